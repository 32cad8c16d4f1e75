"""The cancellation of an attempt, with what the agent had used until then: it was paid for."""

import asyncio

from gitbatch.limits.usage import Usage


class AttemptInterruptedError(asyncio.CancelledError):
    """An attempt was cancelled after its agent had started to work. An agent raises it instead of the cancellation."""

    def __init__(self, usage: Usage) -> None:
        super().__init__("interrupted")
        self.usage = usage
        """As far as the agent had reported it; the rest is unknown."""


class ProgramStoppedError(asyncio.CancelledError):
    """A cancellation for which the program was asked to end, or killed: how it has ended says nothing about its work."""
