"""gitbatch, with a stopwatch at the steps of a run: `python traced.py REPORT run …` is `gitbatch run …`.

The product has no timers. The steps are found by their names; one that is gone is an error. Git processes are
counted by an audit hook: those that we start, not those that git itself starts.
"""

import functools
import importlib
import inspect
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gitbatch.__main__ import main as gitbatch
from gitbatch.batch.event_stream import EventStream
from gitbatch.batch.events import GateStarted, ItemFinished, ItemStarted

STEPS = {
    "worktree": ("batch.workplace.local.make_worktree", "batch.workplace.overlay._make_workplace"),
    "agent": ("batch.item.attempt._run_agent",),
    "harvest": (
        "batch.workplace.local.list_changes",
        "batch.workplace.overlay.collect_from_upper",
        "batch.item.judge.take_output",
    ),
    "merge": ("batch.group.checkpoint._move_target",),
    "follow": ("batch.group.checkpoint.follow_locked",),
    "clean-up": (
        "batch.workplace.local._remove_folders",
        "batch.workplace.overlay._remove_folders",
        "batch.loop.drop_branches",
    ),
}
"""Phase → the functions that do it; what of a batch is in none of them is start-up, planning and events."""


class Trace:
    """What was measured: for each phase seconds and git processes of each call; for each item the time it was done."""

    def __init__(self) -> None:
        self.phases: dict[str, list[tuple[float, int]]] = {phase: [] for phase in STEPS}
        self.items: list[tuple[float, float, int]] = []
        self.git = 0
        self.started: float | None = None
        """When the first agent started."""
        self.gates: list[float] = []
        """When gates started, in seconds since the epoch, which their programs know too."""

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Count the git processes."""
        if event == "subprocess.Popen" and arguments[1][0] == "git":
            self.git += 1

    def wrap(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function with a stopwatch."""

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            began, git = time.monotonic(), self.git
            try:
                return function(*args, **kwargs)
            finally:
                self.phases[phase].append((time.monotonic() - began, self.git - git))

        @functools.wraps(function)
        async def timed_async(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            began, git = time.monotonic(), self.git
            try:
                return await function(*args, **kwargs)
            finally:
                self.phases[phase].append((time.monotonic() - began, self.git - git))

        return timed_async if inspect.iscoroutinefunction(function) else timed

    def note_item(self) -> None:
        """An item is over: note the time, the processor time until now, and the memory in use."""
        usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        cpu = sum(part.ru_utime + part.ru_stime for part in usage)
        self.items.append((time.monotonic(), cpu, memory("VmRSS")))


def memory(name: str) -> int:
    """A number of this process in /proc, in kilobytes; 0 where there is none."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def instrument(trace: Trace) -> None:
    """Put the stopwatches in place."""
    for phase, names in STEPS.items():
        for name in names:
            module, _, attribute = name.rpartition(".")
            home = importlib.import_module(f"gitbatch.{module}")
            setattr(home, attribute, trace.wrap(phase, getattr(home, attribute)))
    send = EventStream.__call__

    def noting(self: Any, event: Any) -> None:  # noqa: ANN401
        if isinstance(event, ItemStarted) and trace.started is None:
            trace.started = time.monotonic()
        if isinstance(event, ItemFinished):
            trace.note_item()
        if isinstance(event, GateStarted):
            trace.gates.append(time.time())
        send(self, event)

    EventStream.__call__ = noting  # type: ignore[method-assign]


def main() -> None:
    """Run gitbatch; then write what was measured as JSON."""
    report = Path(sys.argv.pop(1))
    trace = Trace()
    began = time.monotonic()
    sys.addaudithook(trace.hook)
    instrument(trace)
    try:
        gitbatch()
    finally:
        found = {
            "phases": trace.phases,
            "items": [(at - began, cpu, rss) for at, cpu, rss in trace.items],
            "started": (trace.started or began) - began,
            "git": trace.git,
            "peak": memory("VmHWM"),
            "gates": trace.gates,
            "own": sum(resource.getrusage(resource.RUSAGE_SELF)[:2]),
        }
        report.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
