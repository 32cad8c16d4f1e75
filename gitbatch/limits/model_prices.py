"""The cost of a request in US dollars by the library genai-prices: the list price of the provider; else unknown.

The library has dated prices and is released every few weeks; importing it takes 0.2 s, so it is imported only where a
price is needed. The cost of an unknown model is unknown, never 0.
"""

from functools import lru_cache

from gitbatch.limits.usage import Usage


@lru_cache(4096)
def find_cost(model: str, usage: Usage, provider: str | None = None) -> float | None:
    """Returns the cost of a request; None: unknown.

    Args:
        model: its name at the provider.
        usage: the tokens.
        provider: the provider's name in the library; None: the one that has a model of this name.
    """
    from genai_prices import Usage as Tokens  # noqa: PLC0415 - it takes 0.2 s
    from genai_prices import calc_price  # noqa: PLC0415

    tokens = Tokens(
        input_tokens=usage.input + usage.cache_read + usage.cache_write,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        output_tokens=usage.output,
    )
    try:
        return float(calc_price(tokens, model, provider_id=provider).total_price)
    except (LookupError, ValueError):  # ValueError: a price that does not know one of the kinds of token
        return None
