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
    """Arguments after its name that set that address, in the place of `{address}`; a program has these or a variable."""
    address: str = ""
    """The address if it is not set."""
    routes: tuple[Route, ...] = ()
    """The requests that it needs, below its address."""
    has_prices: bool = False
    """Whether the list prices of its models are known."""

    @property
    def can_hide_key(self) -> bool:
        """Whether its address can be set, so that it can work with a placeholder."""
        return bool(self.address_variable or self.address_arguments)


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
PROGRAMS: Mapping[str, ApiProgram] = MappingProxyType(
    {
        "claude": CLAUDE,
        "codex": ApiProgram(
            hosts=("api.openai.com", "chatgpt.com", "auth.openai.com"),
            key_variables={"CODEX_API_KEY": "sk-proj-", "OPENAI_API_KEY": "sk-proj-"},
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
                *("opencode.ai", "openrouter.ai", "models.dev"),
            ),
            key_variables={"ANTHROPIC_API_KEY": "", "OPENAI_API_KEY": "", "OPENCODE_API_KEY": ""},
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
        "codex": replace(PROGRAMS["codex"], address_arguments=("-c", 'openai_base_url="{address}"')),
    }
)
"""Those of programs that are started with a format, by its name."""
