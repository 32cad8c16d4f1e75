"""The agents that are known by name: how each is started, and what it needs. One row for each.

`{scratch}` is the folder of the attempt: no agent reads or writes the settings and the login of the user.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

PresetName = Literal["claude", "opencode", "gemini", "qwen", "codex"]
_ANTHROPIC = ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN")


_OUTPUT = "{output}"
_MAY_EDIT, _MAY_NOT = f'"{_OUTPUT}": "allow"', f'"{_OUTPUT}": "deny"'


def deny_output(variable: str) -> str:
    """Returns the value of a variable of a preset for a review, which may not write the output either."""
    return variable.replace(_MAY_EDIT, _MAY_NOT)


_SCRATCH = "{scratch}/"


class Preset(Struct, frozen=True):
    """What is known of one agent."""

    command: tuple[str, ...]
    mode: str
    """Set in each session; empty: the agent has none."""
    keys: tuple[str, ...]
    """The variables that may have the key: the first that is set is passed, and one has to be."""
    provider_keys: Mapping[str, str] = MappingProxyType({})
    """For an agent with several providers: the variable of the key by the provider, the first part of the model's name."""
    public: tuple[str, ...] = ()
    """Variables that are passed and are not secret."""
    auth: str = ""
    """The method of `authenticate`; empty: it is not called."""
    model_option: str = ""
    """The option of the command line for the model."""
    model_variable: str = ""
    """The variable for the model."""
    variables: Mapping[str, str] = MappingProxyType({})
    noise: str = ""
    """A pattern of lines on standard error that say nothing to people."""
    knows_cost: bool = False
    knows_usage: bool = False
    needs_sandbox: bool = False
    """It asks for no permission at all: nothing but the sandbox limits what it does."""

    @property
    def folders(self) -> tuple[str, ...]:
        """Its own folders in the scratch folder."""
        values = self.variables.values()
        return tuple(value.removeprefix(_SCRATCH) for value in values if value.startswith(_SCRATCH))


def _opencode_rules() -> str:
    """Returns the rules of OpenCode, with a placeholder for the output: it asks for nothing, but keeps them."""
    rules = {
        "edit": {"*": "deny", _OUTPUT: "allow"},
        "bash": "deny",
        "webfetch": "deny",
        "external_directory": "deny",
    }
    return json.dumps(rules)


PRESETS: Mapping[PresetName, Preset] = MappingProxyType(
    {
        "claude": Preset(
            command=("claude-agent-acp",),
            mode="default",
            keys=_ANTHROPIC,
            public=("ANTHROPIC_BASE_URL",),
            model_variable="ANTHROPIC_MODEL",
            variables={
                "CLAUDE_CONFIG_DIR": "{scratch}/claude",
                "CLAUDE_CODE_MAX_RETRIES": "1",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "DISABLE_AUTOUPDATER": "1",
                "DISABLE_UPDATES": "1",
                "DISABLE_TELEMETRY": "1",
                "IS_SANDBOX": "1",  # as root it does not start without; its mode is ours all the same
            },
            noise=r"\[[a-z-]+(?:/[a-z-]+)?\] ",  # its log: `[session/create] sessionId=…`
            knows_cost=True,
            knows_usage=True,
        ),
        "opencode": Preset(
            command=("opencode", "acp"),
            mode="",
            keys=("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY"),
            provider_keys={
                "anthropic": "ANTHROPIC_API_KEY",
                "openai": "OPENAI_API_KEY",
                "google": "GEMINI_API_KEY",
                "openrouter": "OPENROUTER_API_KEY",
            },
            public=("OPENCODE_CONFIG_CONTENT",),
            variables={
                "OPENCODE_PERMISSION": _opencode_rules(),  # counts more than any file of settings
                "OPENCODE_DISABLE_PROJECT_CONFIG": "1",
                "OPENCODE_DISABLE_AUTOUPDATE": "1",
                "OPENCODE_DISABLE_MODELS_FETCH": "1",
                **{
                    f"XDG_{name}_HOME": f"{{scratch}}/{name.lower()}"
                    for name in ("CONFIG", "DATA", "CACHE", "STATE")
                },
            },
            knows_cost=True,
        ),
        "gemini": Preset(
            command=("gemini", "--acp", "--skip-trust"),
            mode="default",
            keys=("GEMINI_API_KEY",),
            public=("GOOGLE_GEMINI_BASE_URL",),
            auth="gemini-api-key",
            model_option="-m",
            variables={"GEMINI_CLI_HOME": "{scratch}/gemini", "NO_BROWSER": "1"},
            knows_usage=True,
        ),
        "qwen": Preset(
            command=("qwen", "--acp", "--auth-type", "openai"),
            mode="default",
            keys=("OPENAI_API_KEY",),
            public=("OPENAI_BASE_URL", "OPENAI_MODEL"),
            model_variable="OPENAI_MODEL",
            variables={"QWEN_HOME": "{scratch}/qwen", "NO_BROWSER": "1"},
        ),
        "codex": Preset(
            command=("codex-acp",),
            mode="agent-full-access",
            keys=("OPENAI_API_KEY", "CODEX_API_KEY"),
            public=("OPENAI_BASE_URL", "CODEX_CONFIG"),
            auth="api-key",
            variables={"CODEX_HOME": "{scratch}/codex", "NO_BROWSER": "1"},
            needs_sandbox=True,
        ),
    }
)
"""By name. `docs/agents/acp.md` has the versions that each row was tried with."""

OTHER = Preset(command=(), mode="default", keys=())
"""A program of the user's choice."""
