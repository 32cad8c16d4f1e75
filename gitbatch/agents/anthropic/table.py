"""The settings of the agent kind `anthropic`."""

from typing import Annotated

from msgspec import Meta

from gitbatch.project.agent_kinds import AgentKind
from gitbatch.project.agent_table import AgentTable, ConfigTable, Positive

Dollars = Annotated[float, Meta(ge=0)]


class Price(ConfigTable, frozen=True):
    """US dollars for a million tokens."""

    input: Dollars
    output: Dollars
    cache_read: Dollars | None = None
    """As `input` if not set."""
    cache_write: Dollars | None = None
    """As `input` if not set."""
    as_of: Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}(-[0-9]{2})?$")] | None = None
    """The date of these prices, as 2026-11 or 2026-11-20; shown with them."""


class AnthropicAgent(AgentTable, frozen=True, kw_only=True, tag="anthropic"):
    """Claude, by the Messages API of Anthropic or of any server that speaks it; it needs no process and no sandbox.

    Waiting for a busy server does not count towards its `timeout`.
    """

    model: str = "claude-sonnet-5-5"
    fallback_model: str | None = None
    """Used where the context is too large for `model`: one with a larger window."""
    context_window: Positive | None = None
    """Tokens that `model` can read; what is known of the model if not set."""
    max_turns: Positive = 50
    """Answers of the model for one attempt."""
    max_output_tokens: Positive = 32_000
    """Of one answer."""
    base_url: str | None = None
    """The address of the server; if not set, that of ANTHROPIC_BASE_URL, else Anthropic's."""
    api_key_env: str = "ANTHROPIC_API_KEY"
    """The environment variable that has the key."""
    max_cost: Annotated[float, Meta(gt=0)] | None = None
    """US dollars for one item, all attempts together."""
    max_tokens: Positive | None = None
    """For one item, all attempts together; those of the cache count too."""
    price: Price | None = None
    """Of `model`, where the prices that come with gitbatch are not yours."""

    @property
    def secret_variables(self) -> tuple[str, ...]:
        """The variable of the key."""
        return (self.api_key_env,)


KIND = AgentKind(AnthropicAgent, "gitbatch.agents.anthropic.agent:make_anthropic_agent")
