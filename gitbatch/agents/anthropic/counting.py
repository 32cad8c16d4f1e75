"""Asks the server for the number of tokens of a prompt. Its answer is not trusted to have the right shape."""

from typing import TYPE_CHECKING

from gitbatch.agents.anthropic.prompt import Prompt
from gitbatch.agents.anthropic.request_error import list_library_errors

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic


class CannotCountError(Exception):
    """The server does not count tokens at all."""


async def count_tokens(client: "AsyncAnthropic", model: str, prompt: Prompt) -> int | None:
    """Returns the tokens of a request with a prompt. None: the server does not answer; the request itself shows the error.

    Raises:
        CannotCountError: the server has no such endpoint.
    """
    from anthropic import NotFoundError  # noqa: PLC0415 - imported by now

    try:
        counted = await client.messages.count_tokens(
            model=model,
            system=prompt.system_blocks(),
            tools=prompt.tools,
            messages=[{"role": "user", "content": prompt.request}],
        )
    except NotFoundError:
        raise CannotCountError from None
    except list_library_errors():
        return None
    tokens = getattr(counted, "input_tokens", None)  # it may be anything that a server sends
    return tokens if isinstance(tokens, int) else None
