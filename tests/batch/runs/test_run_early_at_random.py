"""Random batches with early items, with real git: whatever happens, each output was written from what the branch has.

An agent writes what it reads, so that each file says from which versions it was written. The user changes files and the plan
at random moments, agents fail, and runs are paused in the middle of a group. At the end `verify` finds nothing.
"""

import random
from dataclasses import dataclass, field

import pytest
from batch.early_runs import run_early
from conftest import Workspace
from waiting import wait_until

from gitbatch.batch.ending import Ending
from gitbatch.batch.events import Event, GroupStarted, ItemFinished, ItemStarted
from gitbatch.batch.planning.early.eagerness import EagerMode
from gitbatch.batch.session import Session

AGENT = r"""
name=${GITBATCH_OUTPUT##*/}
name=${name%.md}
echo "$name" >>"$HOME/starts"
if [ -e "$HOME/fail/$name" ]; then rm "$HOME/fail/$name"; exit 3; fi
mkdir -p out
{ echo "# $name"; sort "$GITBATCH_CONTEXT" | while read -r path; do [ "$path" = status.md ] || cat "$path"; done; } >"$GITBATCH_OUTPUT"
sleep 0.0"$(($(cat "$HOME/starts" | wc -l) * 37 % 10))"
echo '{"summary": "Wrote it. It is short."}' >"$GITBATCH_REPLY"
"""
CONFIG = """[batch]
retries = 1
retry-pause = "0s"
[agents.told]
kind = "command"
command = ["sh", "agent.sh"]
sandbox = "none"
timeout = "60s"
"""
HINTS = ("", "", "", "<!-- barrier -->", "<!-- max: 1 -->", "<!-- sequential -->")
SOURCES = ("src/s1.md", "src/s2.md")


@dataclass
class Drawn:
    """A plan of random groups."""

    drawn: random.Random
    reads: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What each item reads, by its name."""
    groups: list[list[str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=lambda: ["# Plan\n\n## Work Packages\n"])

    def __post_init__(self) -> None:
        for number in range(1, self.drawn.randint(2, 4) + 1):
            earlier = [f"out/{name}.md" for group in self.groups for name in group]
            self.lines.append(f"\n### Group {number}\n\n{self.drawn.choice(HINTS)}\n\n")
            names = [f"I{number}{workspace}" for workspace in range(self.drawn.randint(1, 4))]
            for name in names:
                self._add_item(name, earlier)
            self.groups.append(names)

    def _add_item(self, name: str, earlier: list[str]) -> None:
        chosen = self.drawn.sample([*earlier, *SOURCES], self.drawn.randint(1, 2))
        is_open = self.drawn.random() < 0.15
        self.reads[name] = tuple(earlier) if is_open else tuple(chosen)
        context = "" if is_open else f" (context: {', '.join(chosen)})"
        wait = " <!-- wait -->" if self.drawn.random() < 0.1 else ""
        self.lines.append(f"- [ ] {name} Write it{context} → Output: out/{name}.md{wait}\n")


@dataclass
class User:
    """Changes something at some of the moments at which an item has ended, and pauses the run at some."""

    workspace: Workspace
    drawn: random.Random
    plan: Drawn
    moments: set[int]
    group: int = 0
    ended: int = 0
    changed: dict[str, int] = field(default_factory=dict)
    """The files that were changed last while a group was open, by path."""
    names: set[str] = field(default_factory=set)
    """The items that have ended."""
    retold: list[str] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    jobs: int = 0
    is_crowded: bool = False
    """Whether more items ran at the same time than there are slots."""

    def begin_run(self) -> int:
        """Begins a run with a random number of slots."""
        self.running.clear()
        self.jobs = self.drawn.choice((2, 3, 8))
        return self.jobs

    def listen(self, session: Session, event: Event) -> None:
        if isinstance(event, ItemStarted):
            self.running.add(event.name)
            self.is_crowded = self.is_crowded or len(self.running) > self.jobs
        if isinstance(event, GroupStarted):
            self.group = event.group
        if isinstance(event, ItemFinished):
            self.running.discard(event.outcome.item.name)
            self.ended += 1
            self.names.add(event.outcome.item.name)
            if self.ended in self.moments:
                self._act(session)

    def _act(self, session: Session) -> None:
        match self.drawn.choice(("file", "file", "plan", "pause")):
            case "file":
                path = self.drawn.choice(SOURCES)
                self.workspace.write(path, f"{path} {self.ended}\n")
                self._commit(path)
                # While a group is recorded, the next one may have begun already: the event of that comes later.
                is_recorded = self.names.issuperset(self.plan.groups[max(self.group, 1) - 1])
                self.changed[path] = self.group + is_recorded
            case "plan":
                later = [name for group in self.plan.groups[self.group :] for name in group]
                name = self.drawn.choice(later) if later else ""
                if name and f"{name} Write it" in self.workspace.read("task.md"):
                    self.workspace.edit("task.md", f"{name} Write it", f"{name} Write it well")
                    self._commit("task.md")
                    self.retold.append(name)
            case _:
                session.request_pause()

    def _commit(self, path: str) -> None:
        """Commit a file, when no group is recorded at this moment: then the index is locked, and the run may move HEAD."""

        def try_commit() -> bool:
            self.workspace.git("commit", "--quiet", "--message=change", "--", path, check=False)
            return self.workspace.git("diff", "--name-only", "HEAD", "--", path) == ""

        wait_until(try_commit, "the index is free")


@pytest.mark.rule("F2")
@pytest.mark.parametrize("seed", range(400))
@pytest.mark.sample(2)
def test_each_output_is_written_from_what_the_branch_has(workspace: Workspace, seed: int) -> None:
    drawn = random.Random(seed)  # noqa: S311 - to be the same each time
    plan = Drawn(drawn)
    failing = set_up(workspace, plan)
    count = len(plan.reads)
    user = User(
        workspace, drawn, plan, set(drawn.sample(range(1, count + 1), drawn.randint(0, min(2, count))))
    )
    ran = run_early(workspace, listen=user.listen, eager=EagerMode.ON, jobs=user.begin_run())
    while ran.result.ending is Ending.HALTED:
        ran = run_early(workspace, listen=user.listen, eager=EagerMode.ON, jobs=user.begin_run())
    assert (ran.result.ending, ran.result.succeeded, ran.result.failures) == (Ending.COMPLETE, count, ())
    check_contents(workspace, plan, user)
    assert not user.is_crowded
    if not user.changed and not user.retold:
        starts = (workspace.home / "starts").read_text(encoding="utf-8").split()
        assert len(starts) == count + len(failing), "each item once"
        assert workspace.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/rescue/*") == ""


def set_up(workspace: Workspace, plan: Drawn) -> list[str]:
    """Commit a plan; returns the items whose first attempt fails."""
    files = {"agent.sh": AGENT, "gitbatch.toml": CONFIG, "task.md": "".join(plan.lines)}
    for path, text in (files | {path: f"{path} 0\n" for path in SOURCES}).items():
        workspace.write(path, text)
    workspace.commit("The plan")
    failing = plan.drawn.sample(sorted(plan.reads), plan.drawn.choice((0, 0, 1)))
    (workspace.home / "fail").mkdir()
    for name in failing:
        (workspace.home / "fail" / name).touch()
    return failing


def check_contents(workspace: Workspace, plan: Drawn, user: User) -> None:
    """What was written from files that changed last before its group began is written from their last versions."""
    for number, names in enumerate(plan.groups, 1):
        for name in names:
            reads = plan.reads[name]
            if all(user.changed.get(path, 0) < number for path in _find_sources(plan, reads)):
                expected = f"# {name}\n" + "".join(workspace.read(path) for path in sorted(reads))
                assert workspace.read(f"out/{name}.md") == expected, name


def _find_sources(plan: Drawn, reads: tuple[str, ...]) -> set[str]:
    """The source files that are read, directly or not."""
    found: set[str] = set()
    for path in reads:
        name = path.removeprefix("out/").removesuffix(".md")
        found |= _find_sources(plan, plan.reads[name]) if name in plan.reads else {path}
    return found
