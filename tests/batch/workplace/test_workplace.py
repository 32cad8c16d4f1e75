"""The seam between the orchestrator and the place where an agent works."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec
import pytest
from batch.programs import set_up
from conftest import Workspace
from history import audit, ticked
from sessions import run_here

from gitbatch.agents.protocol import Agent, Assignment, Failure, OutputStream, Progress, Reply
from gitbatch.batch.item.strays import Strays, find_strays
from gitbatch.batch.workplace.changes import list_changes
from gitbatch.batch.workplace.detached_worktrees import DetachedCopies
from gitbatch.batch.workplace.protocol import (
    Collected,
    OpenOutput,
    StartPermit,
    WorkplaceChanges,
    WorkplaceSetup,
)
from gitbatch.batch.workplace.supply import Supply
from gitbatch.repo.worktrees.worktree import Worktree
from gitbatch.text import CleanText, clean_text

if TYPE_CHECKING:
    from gitbatch.batch.workplace.local import LocalWorkplaces


@dataclass
class RemoteWorkplace:
    """A workplace without a folder on this machine: each value that passes it was encoded and decoded."""

    changed: tuple[str, ...] = ()
    output: bytes = b"from afar\n"
    calls: list[str] = field(default_factory=list)
    setup: WorkplaceSetup | None = None

    @property
    def host(self) -> CleanText:
        return clean_text("far")

    async def note_recorded(self, *, in_git: bool) -> None:
        self.calls.append("in git" if in_git else "failed")

    async def prepare(self, setup: WorkplaceSetup) -> None:
        self.calls.append("prepare")
        self.setup = msgspec.json.decode(msgspec.json.encode(setup), type=WorkplaceSetup)

    async def work(self, agent: Agent, assignment: Assignment, progress: Progress) -> Reply | Failure:
        self.calls.append("work")
        sent = msgspec.json.decode(msgspec.json.encode(assignment), type=Assignment)
        assert sent == assignment
        progress(OutputStream.OUTPUT, clean_text(f"{agent.name} works far away"))
        reply = Reply(clean_text(f"Wrote {sent.output}. It is short."))
        return msgspec.json.decode(msgspec.json.encode(reply), type=Reply)

    async def collect(self) -> Collected | None:
        self.calls.append("collect")
        assert self.setup
        return Collected(WorkplaceChanges((self.setup.output, *self.changed)), self.open_output)

    async def discard(self) -> bool:
        self.calls.append("discard")
        return True

    @contextmanager
    def open_output(self) -> Iterator[OpenOutput]:
        descriptor = os.memfd_create("output")
        try:
            os.write(descriptor, self.output)
            os.lseek(descriptor, 0, os.SEEK_SET)
            yield OpenOutput(descriptor, len(self.output))
        finally:
            os.close(descriptor)


@dataclass
class RemoteWorkplaces:
    """Opens remote workplaces."""

    changed: tuple[str, ...] = ()
    output: bytes = b"from afar\n"
    opened: list[RemoteWorkplace] = field(default_factory=list)

    async def close(self, *, in_hurry: bool) -> None:
        """Nothing is open."""

    def open_workplace(
        self, batch: str, slug: str, agent: str, permit: StartPermit | None = None
    ) -> RemoteWorkplace:
        assert permit
        assert batch
        assert agent == "told"
        assert slug
        self.opened.append(RemoteWorkplace(self.changed, self.output))
        return self.opened[-1]


def use(monkeypatch: pytest.MonkeyPatch, remote: RemoteWorkplaces) -> None:
    supply = Supply(remote, DetachedCopies(cast("LocalWorkplaces", remote)))
    monkeypatch.setattr("gitbatch.batch.opening.open_workplaces", lambda *_: nullcontext(supply))


def test_a_run_needs_no_folder(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workplace that only exchanges values gets the same item commits and the same checkpoint."""
    set_up(workspace, "ok", "ok")
    remote = RemoteWorkplaces()
    use(monkeypatch, remote)
    result, events = run_here(workspace, monkeypatch)
    assert (result.succeeded, result.failed) == (2, 0)
    assert ticked(workspace) == ["T1", "T2"]
    assert workspace.git("show", "main:out/T1.md") == "from afar"
    assert len(audit(workspace).items) == 2
    lines = [event["line"] for event in events if event["event"] == "item-progress"]
    assert lines == ["told works far away"] * 2
    assert [made.calls for made in remote.opened] == [["prepare", "work", "collect", "in git", "discard"]] * 2


@pytest.mark.rule("O1", "S2")
@pytest.mark.parametrize(
    ("changed", "output", "reason"),
    [
        (("task.md",), b"x", "the agent modified task.md outside its assigned output"),
        (("OUT/t2.md",), b"x", "the agent modified OUT/t2.md outside its assigned output"),
        ((), b"", "the output file is empty"),
    ],
)
def test_a_workplace_decides_nothing(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    changed: tuple[str, ...],
    output: bytes,
    reason: str,
) -> None:
    set_up(workspace, "ok", "ok", batch="retries = 0")
    use(monkeypatch, RemoteWorkplaces(changed, output))
    _, events = run_here(workspace, monkeypatch)
    outcomes = [event["outcome"] for event in events if event["event"] == "item-finished"]
    assert reason in {outcome["reason"] for outcome in outcomes}
    assert "out/T1.md" not in workspace.git("ls-tree", "-r", "--name-only", "main").split()


GUARDED = frozenset({"task.md", "out/b.md"})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (WorkplaceChanges(("out/a.md",)), Strays()),
        (WorkplaceChanges(("out/a.md", "notes")), Strays(others=(clean_text("notes"),))),
        (WorkplaceChanges(("Task.MD",)), Strays(forbidden=(clean_text("Task.MD"),))),
        (WorkplaceChanges((), ("task.md",)), Strays(forbidden=(clean_text("task.md"),))),
        (
            WorkplaceChanges(("out/b.md", "a\x1b[31m\nb")),
            Strays((clean_text("out/b.md"),), (clean_text("a b"),)),
        ),
    ],
)
def test_strays(changes: WorkplaceChanges, expected: Strays) -> None:
    assert find_strays(changes, "out/a.md", GUARDED) == expected


def test_many_strays_are_counted() -> None:
    found = find_strays(WorkplaceChanges(tuple(f"f{n:02}" for n in range(25))), "out/a.md", GUARDED)
    assert (len(found.others), found.others[-1]) == (21, "and 5 more")


def test_changes_of_a_worktree(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in (".git", "sub/old", "guarded"):
        (tmp_path / name).write_text("gitdir: x\n")
    made = max(path.stat().st_ctime_ns for path in tmp_path.rglob("*"))
    worktree = Worktree(tmp_path, "refs/heads/x", made, b"gitdir: x\n", ("guarded", "sub/old"))
    assert list_changes(worktree) == WorkplaceChanges()
    before = Worktree(tmp_path, "refs/heads/x", made - 10**12, b"gitdir: x\n", ("guarded",))
    assert set(list_changes(before).written) == {"sub/old", "guarded"}, "the pointer is as it was"
    (tmp_path / ".git").write_text("gitdir: elsewhere\n")
    (tmp_path / "guarded").unlink()
    (tmp_path / "link").symlink_to("/")
    found = list_changes(before)
    assert set(found.written) == {".git", "sub/old", "link"}
    assert found.removed == ("guarded",)
