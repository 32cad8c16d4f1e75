"""The programs whose way to their model is known: their hosts, the variables of key and address, the requests they need."""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.api_proxy.routes import Route


class ApiProgram(Struct, frozen=True):
    """How a program reaches its model."""

    hosts: tuple[str, ...]
    """The hosts that it needs when it goes there itself, with its key."""
    key_variables: Mapping[str, str]
    """The variables that may have its key, and how a placeholder begins there: it is judged by that."""
    address_variable: str = ""
    """The variable that sets the address of its server; empty: it has none, so the key has to be in its environment."""
    address_arguments: tuple[str, ...] = ()
    """Arguments after its name that set that address, instead of `{address}`."""
    address_setting: str = ""
    """The name of that address among its settings in JSON, which the variable `own_settings` has."""
    address: str = ""
    """The address if it is not set."""
    routes: tuple[Route, ...] = ()
    """The requests that it needs, below its address."""
    has_prices: bool = False
    """Whether the list prices of its models are known."""
    by_key: Mapping[str, "ApiProgram"] = MappingProxyType({})
    """For a program with several providers: what it is if it has the key of one provider only, by that key's variable."""
    own_settings: str = ""
    """A variable with settings of the program in JSON, which may name a server of their own."""

    @property
    def can_hide_key(self) -> bool:
        """Whether its address can be set, so that it can work with a placeholder."""
        return bool(self.address_variable or self.address_arguments or self.address_setting)


_OWN_SERVER = ("baseURL", "base_url", "model_provider")
"""Names of settings of OpenCode and of Codex."""


def narrow_program(program: ApiProgram, passed: Mapping[str, str]) -> ApiProgram:
    """Returns what is known of a program with these variables.

    That is less, if its settings name a server of their own, and more, if it has the key of one provider only.
    """
    if any(word in passed.get(program.own_settings, "") for word in _OWN_SERVER):
        return replace(program, address_variable="", address_arguments=(), address_setting="")
    keys = [name for name in program.key_variables if passed.get(name, "").strip()]
    if len(keys) != 1:
        return program
    return program.by_key.get(keys[0], program)


_MESSAGES = (
    Route("POST", "/v1/messages", spends=True),
    Route("POST", "/v1/messages/count_tokens"),
    Route("HEAD", "/"),
)
_OPENAI = (
    Route("POST", "/chat/completions", spends=True),
    Route("POST", "/responses", spends=True),
    Route("GET", "/models"),
)
_GEMINI = (
    Route("POST", "/v1beta/models/*:generateContent", spends=True),
    Route("POST", "/v1beta/models/*:streamGenerateContent", spends=True),
    Route("POST", "/v1beta/models/*:countTokens"),
)

CLAUDE = ApiProgram(
    hosts=("api.anthropic.com",),
    key_variables={
        "ANTHROPIC_API_KEY": "sk-ant-api03-",
        "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-",  # sent as Bearer
        "ANTHROPIC_AUTH_TOKEN": "token-",
    },
    address_variable="ANTHROPIC_BASE_URL",
    address="https://api.anthropic.com",
    routes=_MESSAGES,
    has_prices=True,
)
_OPENCODE_WITH_CLAUDE = ApiProgram(
    hosts=("api.anthropic.com",),
    key_variables={"ANTHROPIC_API_KEY": "sk-ant-api03-"},
    address_variable="ANTHROPIC_BASE_URL",
    address="https://api.anthropic.com/v1",
    routes=(Route("POST", "/messages", spends=True), Route("POST", "/messages/count_tokens")),
    has_prices=True,
)
PROGRAMS: Mapping[str, ApiProgram] = MappingProxyType(
    {
        "claude": CLAUDE,
        "codex": ApiProgram(
            hosts=("api.openai.com", "chatgpt.com", "auth.openai.com"),
            key_variables={"CODEX_API_KEY": "sk-proj-", "OPENAI_API_KEY": "sk-proj-"},
            address_setting="openai_base_url",
            own_settings="CODEX_CONFIG",  # of the adapter for ACP
            address="https://api.openai.com/v1",
            routes=_OPENAI,
            has_prices=True,
        ),
        "gemini": ApiProgram(
            hosts=("generativelanguage.googleapis.com",),
            key_variables={"GEMINI_API_KEY": "AIzaSy", "GOOGLE_API_KEY": "AIzaSy"},
            address_variable="GOOGLE_GEMINI_BASE_URL",
            address="https://generativelanguage.googleapis.com",
            routes=_GEMINI,
            has_prices=True,
        ),
        # It has many providers, each with an address of its own.
        "opencode": ApiProgram(
            hosts=(
                *("api.anthropic.com", "api.openai.com", "generativelanguage.googleapis.com"),
                *("opencode.ai", "openrouter.ai", "models.opencode.ai"),
            ),
            key_variables=dict.fromkeys(
                (
                    *("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY"),
                    "OPENCODE_API_KEY",
                ),
                "",
            ),
            by_key={"ANTHROPIC_API_KEY": _OPENCODE_WITH_CLAUDE},
            own_settings="OPENCODE_CONFIG_CONTENT",
        ),
        "qwen": ApiProgram(
            hosts=("api.openai.com", "dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com"),
            key_variables={"OPENAI_API_KEY": "sk-"},
            address_variable="OPENAI_BASE_URL",
            address="https://api.openai.com/v1",
            routes=_OPENAI,
        ),
    }
)
"""By the name of the format or the preset."""
FORMATS: Mapping[str, ApiProgram] = MappingProxyType(
    {
        **PROGRAMS,
        # With that variable, Gemini CLI 0.61 takes its method of authentication to be "gateway", which it then refuses
        # if it has no terminal: "Invalid auth method selected." By ACP the method is named.
        "gemini": replace(PROGRAMS["gemini"], address_variable=""),
        "codex": replace(
            PROGRAMS["codex"],
            address_arguments=("-c", 'openai_base_url="{address}"'),
            address_setting="",
            own_settings="",
        ),
    }
)
"""Those of programs that are started with a format, by its name."""
