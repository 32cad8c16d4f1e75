"""The cost of requests in US dollars: by the configuration, else by the library genai-prices, else unknown.

The library is in `limits/model_prices.py`. The cost of an unknown model is unknown, never 0.
"""

from msgspec import Struct

from gitbatch.agents.anthropic.table import Price
from gitbatch.limits.model_prices import find_cost
from gitbatch.limits.usage import Usage

_MILLION = 1_000_000
_SHORT = 1_000
"""Tokens of a request that is not charged as a long one."""


class Prices(Struct, frozen=True):
    """The prices of an agent's models."""

    model: str
    own: Price | None
    """That of the configuration, for `model`."""

    def cost_of(self, model: str, usage: Usage) -> float | None:
        """Returns the cost of a request; None: unknown."""
        if self.own and model == self.model:
            return _by_table(self.own, usage)
        return find_cost(model, usage, "anthropic")

    def knows_price(self, model: str) -> bool:
        """Whether the cost of a model's requests is known."""
        return self.cost_of(model, Usage(input=1, output=1, cache_read=1, cache_write=1)) is not None

    def window_of(self, model: str) -> int | None:
        """Returns the number of tokens that a model can read; None: unknown."""
        from genai_prices import Usage as Tokens  # noqa: PLC0415
        from genai_prices import calc_price  # noqa: PLC0415

        try:
            found = calc_price(Tokens(input_tokens=1), model, provider_id="anthropic")
        except (LookupError, ValueError):
            return None
        return found.model.context_window

    def describe_prices(self, model: str) -> str:
        """Returns a line for people with the prices and their source."""
        read = self.cost_of(model, Usage(input=_SHORT))
        written = self.cost_of(model, Usage(output=_SHORT))
        if read is None or written is None:
            return f"{model}: unknown price"
        if self.own and model == self.model:
            source = (
                f"as configured, of {self.own.as_of}" if self.own.as_of else "as configured, without a date"
            )
        else:
            from genai_prices import __version__  # noqa: PLC0415

            source = f"genai-prices {__version__}, which gives no date"
        times = _MILLION / _SHORT
        return f"{model}: ${read * times:g} in, ${written * times:g} out for a million tokens ({source})"


def _by_table(price: Price, usage: Usage) -> float:
    read = price.input if price.cache_read is None else price.cache_read
    write = price.input if price.cache_write is None else price.cache_write
    total = (
        usage.input * price.input
        + usage.output * price.output
        + usage.cache_read * read
        + usage.cache_write * write
    )
    return total / _MILLION
