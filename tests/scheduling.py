"""Which tests a worker of a round gets next: whole modules, so that what a module prepares is prepared once."""

from collections.abc import Iterable
from itertools import groupby
from typing import Protocol

from xdist.scheduler import LoadScheduling  # type: ignore[import-untyped]

_PREFETCHED = 2
"""A worker that has no more tests than these gets the next ones: it needs the next test before it starts one."""
_PARTS = 4
"""A round is given out in at least so many parts for each worker, also if it is of one module."""


class _Worker(Protocol):
    """What the tests are sent to."""

    shutting_down: bool

    def shutdown(self) -> None:
        """Tell it that no more tests will come."""


class ModuleScheduling(LoadScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives tests in the order of their collection, a module at a time, to the worker that has almost none left.

    The scheduler of xdist gives the workers of quick tests ever more: one of them worked for half a minute more than
    all others. And it splits modules, so each worker prepares what the tests of a module share.
    """

    def check_schedule(self, node: _Worker, duration: float = 0) -> None:
        """Give a worker the next module if it has almost no test left, and end it if there is none."""
        del duration
        if node.shutting_down:
            return
        if self.pending:
            self._send_tests(node, 0)
        else:
            node.shutdown()

    def _send_tests(self, node: _Worker, num: int) -> None:
        """Give a worker whole modules until it has enough, however many tests xdist would send."""
        del num
        while self.pending and len(self.node2pending[node]) <= _PREFETCHED:
            largest = len(self.collection) // (_PARTS * len(self.node2pending)) or 1
            super()._send_tests(node, min(largest, _count_first(self.collection[i] for i in self.pending)))


def _count_first(tests: Iterable[str]) -> int:
    """How many tests at the beginning are of one module."""
    _, first = next(groupby(tests, key=lambda test: test.partition("::")[0]))
    return sum(1 for _ in first)
