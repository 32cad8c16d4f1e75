"""One trial: a run is killed at one step, its repository is looked at, it is started again, and looked at again."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from base_repositories import FSCK
from conftest import IDENTITY, Workspace
from history import list_cached
from round import choose_memory

HERE = Path(__file__).parent
USERS_PYTHON = "/usr/bin/python3"
NOBODY = 65534

RUN = ("run", "--items", "all", "--checkpoint", "at-end", "--jobs", "1")
AT_ONCE = (*RUN[:-1], "2")

PLAN = """# Two groups of two

## Definition of Done

- [ ] Every letter has its page
- [ ] Every pair has its page

## Arbeitspakete

### Letters

- [ ] T1 Write a → DoD: #1 → Output: out/a.md
- [ ] T2 Write b → DoD: #1 → Output: out/b.md

### Pairs

- [ ] T3 Write ab → DoD: #2 → Output: out/pairs/ab.md (context: out/a.md, out/b.md)
- [ ] T4 Revise a → DoD: #2 → After: T3 → Output: out/a.md (context: out/pairs/ab.md)
"""
"""The last item waits for the one before it, and writes the file of the first one again."""

AGENT = """echo "$GITBATCH_ITEM" >>"$HOME/agents.log"
{ echo "# $1"; while read -r path; do head -n 1 "$path"; done <"$GITBATCH_CONTEXT"; } >"$1"
printf '{"summary": "Wrote %s. It is a page.", "decisions": ["One heading in %s"]}' "$1" "$1" >"$GITBATCH_REPLY"
"""

RETRYING = (
    """if [ "$1" = out/b.md ] && [ ! -e "$1" ]; then
echo "$GITBATCH_ITEM" >>"$HOME/agents.log"; echo half >"$1"; exit 3
fi
"""
    + AGENT
)
"""An agent that never gets one item done unless it finds what its failed attempt had written."""

CONFIG = """[agents.scripted]
kind = "command"
command = ["sh", "agent.sh", "{output}"]
sandbox = "none"
[batch]
retry-pause = "0s"
"""

UNBORN = re.compile(r"notice: worktrees/\S+/HEAD points to an unborn branch \(gitbatch/\S+\)")
ITEMS = {"1-t1": "out/a.md", "1-t2": "out/b.md", "2-t3": "out/pairs/ab.md", "2-t4": "out/a.md"}
"""The items, in plan order, with their outputs."""
GROUPS = (("1-t1", "1-t2"), ("2-t3", "2-t4"))


@dataclass(frozen=True)
class Ran:
    """How a run went."""

    status: int
    """Its exit code; negative: it was killed."""
    steps: int
    killed: bool
    where: str
    said: str


@dataclass
class Server:
    """The process that forks a gitbatch for each run."""

    process: "subprocess.Popen[str]"
    page: Path

    def run(
        self,
        workspace: Workspace,
        *arguments: str,
        at: int = 0,
        victim: str = "everything",
        record: bool = False,
        error: int = 0,
        only: str = "",
        elsewhere: tuple[tuple[str, ...], ...] = (),
        launcher: bool = False,
    ) -> Ran:
        """Run gitbatch.

        Args:
            place: where.
            arguments: of gitbatch.
            at: the step at which `victim` is killed, or the call that fails; 0: none.
            victim: who is killed; with `errors.c`, which calls fail.
            record: whether the log has every step.
            error: of the calls that fail.
            only: with `errors.c`, only calls in whose record this stands are counted.
            elsewhere: commands of other processes at the first pause, where a person is asked, who always continues.
            launcher: whether the steps are those of the launcher.
        """
        asked = {
            "arguments": arguments,
            "cwd": str(workspace.root),
            "environment": workspace.environment,
            "at": at,
            "victim": victim,
            "record": record,
            "timeout": 60,
            "output": str(self.page.with_suffix(".out")),
            "error": error,
            "only": only,
            "elsewhere": elsewhere,
            "launcher": launcher,
            "below": [str(workspace.root), workspace.environment["XDG_CACHE_HOME"]],
        }
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        return Ran(**json.loads(self.process.stdout.readline()))

    def recorded(self) -> list[str]:
        """The steps of the run that was recorded last: number, process, call, path."""
        log = self.page.with_name(self.page.name + ".log")
        lines = log.read_text(encoding="utf-8").splitlines()
        log.unlink()
        return lines


@contextmanager
def serving(
    folder: Path, environment: dict[str, str], source: str, user: int | None = None
) -> Iterator[Server]:
    """A server with a library preloaded; needs a C compiler, and for another user the system's Python."""
    shim, page = folder / "shim.so", folder / "page"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", shim, HERE / source, "-ldl"], check=True)
    page.write_bytes(bytes(4096))
    give_to(user, folder)
    process = subprocess.Popen(
        [
            sys.executable if user is None else USERS_PYTHON,
            "-X",
            "frozen_modules=on",
            str(HERE / "server.py"),
        ],
        env={
            **environment,
            "LD_PRELOAD": str(shim),
            "FAULTS_PAGE": str(page),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": f"{HERE.parents[1]}:{sysconfig.get_path('purelib')}",
        },
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Server(process, page)
    finally:
        process.communicate()


def give_to(user: int | None, folder: Path) -> None:
    """Give a folder and what is below to a user."""
    if user is not None:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, user, user, follow_symlinks=False)


@dataclass(frozen=True)
class Snapshot:
    """What a repository looks like in the end, whichever way it came there; ids and times left out."""

    story: tuple[str, ...]
    """Subject and number of parents of each first-parent commit."""
    files: tuple[tuple[str, str], ...]
    status: str


@dataclass
class Bench:
    """Where trials are made: a repository to copy, and what a run that nobody kills makes of it."""

    server: Server
    folder: Path
    environment: dict[str, str]
    agent: str = AGENT
    plan: str = PLAN
    more: Mapping[str, str] = field(default_factory=dict)
    """Further files of the repository, or others in the place of the usual ones."""
    also: "Callable[[Workspace, Committed], None]" = lambda _workspace, _now: None
    """What else must hold at every instant."""
    expected: Snapshot | None = None
    user: int | None = None
    """Who runs gitbatch; None: who runs the tests."""
    ends: "itertools.count[int]" = field(default_factory=itertools.count)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def workspace(self) -> Workspace:
        """A new copy of the repository."""
        folder = self.folder / f"trial-{next(self._numbers)}"
        shutil.copytree(self.folder / "template", folder, symlinks=True)
        home = folder / "home"
        give_to(self.user, folder)
        return Workspace(
            folder / "repo",
            home,
            {**self.environment, "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")},
        )

    def make_template(self) -> None:
        """The plan, the agent, and changes of the user's that nobody may touch."""
        workspace = Workspace(
            self.folder / "template" / "repo", self.folder / "template" / "home", self.environment
        )
        workspace.root.mkdir(parents=True)
        workspace.home.mkdir()
        workspace.git("init", "--quiet", "--initial-branch=main", "--template=")
        for path, text in {
            "task.md": self.plan,
            "agent.sh": self.agent,
            "gitbatch.toml": CONFIG,
            "mine.txt": "one\n",
            "status.md": "# Status\n",
            ".gitattributes": "*.md text\n",
            **self.more,
        }.items():
            workspace.write(path, text)
        workspace.commit("The plan")
        workspace.write("mine.txt", "one\ntwo\n")
        workspace.write("staged.txt", "staged\n")
        workspace.git("add", "staged.txt")
        workspace.write("staged.txt", "staged and changed\n")
        workspace.write("untracked.txt", "untracked\n")


def make_bench(
    server: Server, folder: Path, environment: dict[str, str], agent: str = AGENT, user: int | None = None
) -> Bench:
    """A bench, with what to expect learned from a run that nobody kills."""
    bench = Bench(server, folder, environment, agent, user=user)
    bench.make_template()
    workspace = bench.workspace()
    ran = server.run(workspace, *RUN)
    assert ran.status == 0, ran.said
    bench.expected = snapshot(workspace)
    check_end(bench, workspace)
    assert sorted(set(agents(workspace))) == sorted(ITEMS)
    assert len(agents(workspace)) == len(ITEMS) + (agent == RETRYING)
    return bench


@dataclass
class Servers:
    """The servers of a worker: one for each library, which all modules use whose runs are the user's of the tests."""

    stack: ExitStack
    memory: Path
    """Where folders are made: in memory, where that is possible."""
    fallback: Path
    _started: dict[str, Server] = field(default_factory=dict)

    @contextmanager
    def open(
        self, source: str = "shim.c", *, on_disk: bool = False, user: int | None = None
    ) -> Iterator[tuple[Server, Path, dict[str, str]]]:
        """A server, a folder, and the variables of its runs.

        Args:
            source: of the library that is preloaded.
            on_disk: whether to take a folder that is not in memory in any case.
            user: who runs gitbatch.
        """
        with _make_folder(self.fallback if on_disk else self.memory, source) as folder:
            environment = {
                "PATH": os.environ["PATH"],
                **IDENTITY,
                "HOME": str(folder),
                "GIT_CONFIG_GLOBAL": os.devnull,
                "GIT_CONFIG_NOSYSTEM": "1",
                "TERM": "dumb",
            }
            if user is None:
                yield self._find(source, environment), folder, environment
                return
            with serving(folder, environment, source, user) as server:
                yield server, folder, environment

    @contextmanager
    def open_bench(self, source: str = "shim.c", agent: str = AGENT) -> Iterator[Bench]:
        """A bench; `agent`: the script."""
        with self.open(source) as (server, folder, environment):
            yield make_bench(server, folder, environment, agent)

    def _find(self, source: str, environment: dict[str, str]) -> Server:
        if source not in self._started:
            folder = self.stack.enter_context(_make_folder(self.memory, f"server-{source}"))
            self._started[source] = self.stack.enter_context(serving(folder, environment, source))
        return self._started[source]


@contextmanager
def _make_folder(place: Path, name: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"gitbatch-{Path(name).stem}-", dir=place))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def fault_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The servers of this worker; skips the test where they can't be."""
    if sys.platform != "linux" or not shutil.which("cc"):
        pytest.skip("needs Linux and a C compiler")
    fallback = tmp_path_factory.getbasetemp()
    with ExitStack() as stack:
        yield Servers(stack, choose_memory(fallback), fallback)


def snapshot(workspace: Workspace) -> Snapshot:
    """What a repository looks like now."""
    (batch,) = {
        line.split("/")[2] for line in workspace.git("for-each-ref", "refs/gitbatch").splitlines()
    } or {"none"}
    story = workspace.git("log", "--first-parent", "--reverse", "--format=%s|%P").splitlines()
    names = workspace.git("ls-files", "-z").split("\0")[:-1]
    found = {p: (workspace.root / p).read_text(encoding="utf-8") for p in names}
    return Snapshot(
        tuple(f"{line.partition('|')[0]}|{len(line.partition('|')[2].split())}" for line in story),
        tuple(
            (p, re.sub(r"\d{4}-\d\d-\d\d", "DAY", text.replace(batch, "BATCH"))) for p, text in found.items()
        ),
        workspace.git("status", "--porcelain"),
    )


def agents(workspace: Workspace) -> list[str]:
    """The items whose agents were started, in that order."""
    log = workspace.home / "agents.log"
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


@dataclass(frozen=True)
class Committed:
    """What history says at one instant."""

    merged: tuple[str, ...]
    """Items that the branch has."""
    waiting: tuple[str, ...]
    """Items that only their own branch has."""


def check_instant(bench: Bench, workspace: Workspace) -> Committed:
    """What must hold whenever a run is cut: outputs, ticks and status agree, and git finds nothing wrong."""
    there = workspace.git("ls-tree", "-r", "--name-only", "main", "out/").splitlines()
    ids = [line[6:8].lower() for line in _show(workspace, "task.md") if line.startswith("- [x] T")]
    merged = tuple(item for item in ITEMS if item[2:] in ids)
    assert set(there) == {ITEMS[item] for item in merged}, "outputs and ticks differ"
    is_revised = "out/a.md" in there and "# out/pairs/ab.md" in _show(workspace, "out/a.md")
    assert is_revised == ("2-t4" in merged), "the file of two items, and its ticks"
    done = [group for group in GROUPS if set(group) <= set(merged)]
    assert merged == tuple(item for group in done for item in group), "half a group"
    rows = [line.split(" | ")[1] for line in _show(workspace, "status.md") if line.startswith("| T")]
    assert rows == [ITEMS[item] for item in (done[-1] if done else ())], f"status differs: {rows}"
    subjects = workspace.git("log", "--first-parent", "--format=%s", "main").splitlines()
    assert sum(s.startswith("gitbatch: checkpoint") for s in subjects) == len(done), subjects
    wrong = fsck(workspace)
    assert wrong == [], wrong
    form = "%(refname:lstrip=4) %(trailers:key=Gitbatch-Item,valueonly,separator=)"
    branches = workspace.git("for-each-ref", f"--format={form}", "refs/heads/gitbatch").splitlines()
    own = (item for item, path in (line.split(" ") for line in branches) if path == ITEMS[item])
    waiting = tuple(item for item in own if item not in merged)
    said = bench.server.run(workspace, "status", "--json").said
    shown = next(
        (line for line in said.splitlines() if line.startswith("{")), "{}"
    )  # notes are on the other stream
    if items := json.loads(shown).get("items"):
        states = {item["slug"]: item["status"] for item in items}
        for key, state in states.items():
            assert (state == "succeeded") == (key in merged), (key, state, merged)
            assert (state == "not-merged") == (key in waiting), (key, state, waiting)
    return Committed(merged, waiting)


def fsck(workspace: Workspace) -> list[str]:
    """What git finds wrong; not that a run was cut while it made a worktree and its branch at the same time."""
    done = subprocess.run(
        ["git", *FSCK, "--no-progress"],
        cwd=workspace.root,
        env=workspace.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if not UNBORN.fullmatch(line)]
    return said or [f"exit code {done.returncode}"] * bool(done.returncode)


def _show(workspace: Workspace, path: str) -> list[str]:
    return workspace.git("show", f"main:{path}").splitlines()


def check_end(bench: Bench, workspace: Workspace) -> None:
    """What must hold when a batch is complete, however often it was cut."""
    assert snapshot(workspace) == bench.expected
    assert not workspace.git(*FSCK)
    git = workspace.root / ".git"
    left = [p for p in git.rglob("*") if p.name.endswith(".lock") or p.name.endswith(".new")]
    left += [p for p in (git / "refs").rglob("*") if p.is_file() and not p.stat().st_mode & 0o200]
    left += [p for p in (git / "worktrees", git / "index.gitbatch") if p.exists()]
    left += list_cached(workspace)
    assert left == []
    own = {p.name for p in (git / "gitbatch").iterdir() if p.is_file()}
    assert own <= {"lock", "children"}, own
    refs = [
        r for r in workspace.git("for-each-ref", "--format=%(refname)").splitlines() if "/ledger/" not in r
    ]
    assert sorted(ref.rpartition("/")[2] for ref in refs) == ["base", "end", "followed", "main", "record"], (
        refs
    )
    if next(bench.ends) % 4:  # it costs as much as a trial, and depends least on where the kill was
        return
    before = workspace.state()
    again = bench.server.run(workspace, *RUN)
    assert again.status == 0, again.said
    assert workspace.state() == before, "running again changed something"


@dataclass(frozen=True)
class Verdict:
    """A trial that held."""

    where: str
    resumes: int
    asked: str = ""
    """What the resume asked the user to do, if it did not go on by itself."""


def trial(
    bench: Bench,
    at: int,
    victim: str,
    *,
    then: tuple[tuple[int, str], ...] = (),
    arguments: tuple[str, ...] = RUN,
) -> Verdict | None:
    """Kill a run at a step, then its resumes at further steps, then let it end. None: there is no such step."""
    workspace = bench.workspace()
    ran = bench.server.run(workspace, *arguments, at=at, victim=victim)
    if not ran.killed:
        assert ran.status == 0, ran.said
        shutil.rmtree(workspace.root.parent)
        return None
    where, resumes = [ran.where], 0
    acknowledged = after_kill(bench, workspace, ran)
    for number, who in then:
        ran = bench.server.run(workspace, *RUN, at=number, victim=who)
        resumes += 1
        if ran.killed:
            where.append(ran.where)
            acknowledged = after_kill(bench, workspace, ran) | acknowledged
    asked, tries = "", 0
    while (ran := bench.server.run(workspace, *RUN)).status:
        tries += 1
        assert (ran.status, tries) <= (75, 3), f"exit {ran.status}: {ran.said}"
        lock = re.search(r"remove (\S+\.lock)", ran.said)
        assert lock, ran.said
        asked = lock[1]
        Path(asked).unlink()
    check_end(bench, workspace)
    started = agents(workspace)
    for key, count in acknowledged.items():
        assert started.count(key) == count, f"{key} ran again"
    shutil.rmtree(workspace.root.parent)
    return Verdict(" | ".join(where), resumes + 1, asked)


def after_kill(bench: Bench, workspace: Workspace, ran: Ran) -> dict[str, int]:
    """Check the instant; the items that may never run again, and how often they have until now."""
    if ran.status != -9:
        assert ran.status in {0, 1, 75}, f"exit {ran.status}: {ran.said}"
    now = check_instant(bench, workspace)
    started = agents(workspace)
    bench.also(workspace, now)
    return {key: started.count(key) for key in (*now.merged, *now.waiting)}
