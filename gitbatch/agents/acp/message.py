"""What an agent sends, as far as it is used: the envelope of JSON-RPC, and the parts of the protocol in it.

Everything has a default, and unknown fields are ignored: versions of the protocol differ. A message of another form is
dropped and counted (`Inbox`), never an error.
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from gitbatch.agents.json_text import replace_lone_surrogates

_NULL = Raw(b"null")
"""Also what a field is that is missing."""


class RpcMessage(Struct, frozen=True):
    """A request (a method and an id), a notification (a method alone), or a response (an id alone)."""

    id: int | str | None = None
    method: str | None = None
    params: Raw = _NULL
    result: Raw = _NULL
    error: Raw = _NULL

    @property
    def has_error(self) -> bool:
        """Whether it is the response to a request that failed."""
        return bytes(self.error) != bytes(_NULL)


class RpcError(Struct, frozen=True):
    """The error of a response."""

    code: int = 0
    message: str = ""
    data: Any = None


class Location(Struct, frozen=True):
    """A file that a call is about."""

    path: str = ""


class ToolCall(Struct, frozen=True, rename="camel"):
    """A call of a tool, or what is new about one."""

    tool_call_id: str = ""
    kind: str | None = None
    title: str | None = None
    status: str | None = None
    content: Any = None
    locations: tuple[Location, ...] | None = None
    raw_input: Any = None


class Cost(Struct, frozen=True):
    """What a session has cost so far."""

    amount: float = 0.0
    currency: str = ""


class PlanEntry(Struct, frozen=True):
    """A step of the agent's own plan."""

    content: str = ""
    status: str = ""


class ModeOption(Struct, frozen=True):
    """A mode, or a value of an option; options may come in groups."""

    id: str = ""
    value: str = ""
    options: tuple["ModeOption", ...] = ()


class ConfigOption(Struct, frozen=True, rename="camel"):
    """An option of a session. Its category may be `mode` or `model`."""

    id: str = ""
    category: Any = None
    current_value: Any = None
    options: tuple[ModeOption, ...] = ()


class CodexRetry(Struct, frozen=True, rename="camel"):
    """A request of Codex that failed, and is sent again."""

    message: str = ""
    additional_details: str | None = None


class CodexMeta(Struct, frozen=True):
    """What codex-acp adds to a notification."""

    error: CodexRetry | None = None


class UpdateMeta(Struct, frozen=True):
    """What an agent may add to a notification."""

    codex: CodexMeta | None = None


class SessionUpdate(Struct, frozen=True, rename="camel"):
    """Any notification about a session: which of the fields it has depends on its kind."""

    session_update: str
    tool_call_id: str = ""
    kind: str | None = None
    title: str | None = None
    status: str | None = None
    content: Any = None
    locations: tuple[Location, ...] | None = None
    raw_input: Any = None
    cost: Cost | None = None
    entries: tuple[PlanEntry, ...] = ()
    current_mode_id: str | None = None
    config_options: tuple[ConfigOption, ...] = ()
    meta: UpdateMeta | None = field(default=None, name="_meta")

    @property
    def call(self) -> ToolCall:
        """The call that it is about."""
        return ToolCall(
            self.tool_call_id,
            self.kind,
            self.title,
            self.status,
            self.content,
            self.locations,
            self.raw_input,
        )


class UpdateParams(Struct, frozen=True):
    """The parameters of `session/update`."""

    update: SessionUpdate


class PermissionOption(Struct, frozen=True, rename="camel"):
    """An answer that may be given to a request for permission."""

    option_id: str
    kind: str = ""


class PermissionRequest(Struct, frozen=True, rename="camel"):
    """The parameters of `session/request_permission`."""

    tool_call: ToolCall = ToolCall()
    options: tuple[PermissionOption, ...] = ()


class AgentInfo(Struct, frozen=True):
    """The name and the version of the program."""

    name: str = ""
    version: str = ""


class Initialized(Struct, frozen=True, rename="camel"):
    """The result of `initialize`."""

    protocol_version: int
    agent_info: AgentInfo | None = None
    auth_methods: Any = None


class SessionModes(Struct, frozen=True, rename="camel"):
    """The modes of a session."""

    current_mode_id: str = ""
    available_modes: tuple[ModeOption, ...] = ()


class ModelOption(Struct, frozen=True, rename="camel"):
    """A model that may be chosen."""

    model_id: str = ""


class SessionModels(Struct, frozen=True, rename="camel"):
    """The models of a session, as some versions of the protocol have them."""

    current_model_id: str = ""
    available_models: tuple[ModelOption, ...] = ()


class NewSession(Struct, frozen=True, rename="camel"):
    """The result of `session/new`."""

    session_id: str
    modes: SessionModes | None = None
    models: SessionModels | None = None
    config_options: tuple[ConfigOption, ...] | None = None


class OptionsResult(Struct, frozen=True, rename="camel"):
    """The result of `session/set_config_option`."""

    config_options: tuple[ConfigOption, ...] = ()


class PromptUsage(Struct, frozen=True, rename="camel"):
    """The tokens of a turn."""

    total_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    thought_tokens: int | None = None
    cached_read_tokens: int | None = None
    cached_write_tokens: int | None = None


class TokenCount(Struct, frozen=True):
    """The tokens of a turn, as Gemini CLI reports them."""

    input_tokens: int = 0
    output_tokens: int = 0


class UsedModel(Struct, frozen=True):
    """A model that a turn has used."""

    model: str = ""


class Quota(Struct, frozen=True):
    """What Gemini CLI and claude-agent-acp add to the result of a turn."""

    token_count: TokenCount | None = None
    model_usage: tuple[UsedModel, ...] = ()


class PromptMeta(Struct, frozen=True):
    """What an agent may add to the result of a turn."""

    quota: Quota | None = None


class PromptResult(Struct, frozen=True, rename="camel"):
    """The result of `session/prompt`."""

    stop_reason: str = ""
    usage: PromptUsage | None = None
    meta: PromptMeta | None = field(default=None, name="_meta")


_MESSAGE = msgspec.json.Decoder(RpcMessage)
_UPDATE = msgspec.json.Decoder(UpdateParams)
_PERMISSION = msgspec.json.Decoder(PermissionRequest)
_ERROR = msgspec.json.Decoder(RpcError)


def decode_message(line: str) -> RpcMessage | None:
    """Decodes a line; returns None if it is not a message of JSON-RPC."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        found = _MESSAGE.decode(replace_lone_surrogates(line.encode(errors="replace")))
    except (msgspec.DecodeError, RecursionError):
        return None
    return found if found.method is not None or found.id is not None else None


def decode_update(params: Raw) -> SessionUpdate | None:
    """Decodes the parameters of `session/update`; returns None if they have another form."""
    try:
        return _UPDATE.decode(params).update
    except (msgspec.DecodeError, RecursionError):
        return None


def decode_permission(params: Raw) -> PermissionRequest | None:
    """Decodes a request for permission; returns None if it has another form."""
    try:
        return _PERMISSION.decode(params)
    except (msgspec.DecodeError, RecursionError):
        return None


def decode_value(written: Raw) -> Any:  # noqa: ANN401 - JSON
    """Decodes any value; one that is nested too deeply is None."""
    try:
        return msgspec.json.decode(written)
    except (msgspec.DecodeError, RecursionError):
        return None


def decode_error(written: Raw) -> RpcError:
    """Decodes an error, whatever it is like."""
    try:
        return _ERROR.decode(written)
    except (msgspec.DecodeError, RecursionError):
        return RpcError(message=bytes(written).decode(errors="replace"))
