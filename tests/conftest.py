"""What tests share: a repository made from a sample, real git in it, and gitbatch run as a user runs it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from base_repositories import (
    FSCK,
    BaseRepositories,
    list_loose_branches,
    list_objects,
    read_loose_head,
)
from examples import choose_examples
from fork_server import ForkServer, Started
from round import choose_left_out, compile_modules, keep_files_in_memory
from scheduling import ModuleScheduling

from gitbatch.batch.events import Event
from gitbatch.batch.history.verify.audit import audit_history
from gitbatch.batch.model import ItemCommit
from gitbatch.cli.main import main
from gitbatch.cli.verbosity import reset_level
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository
from gitbatch.view.envelope import ErrorOutput
from gitbatch.view.outputs.run import RunOutput

pytest_plugins = ("agents.process_bench", "batch.forger", "faults.trials", "garbage", "paused")
"""The modules of fixtures that several test modules of a folder use, and when garbage is collected."""

IDENTITY = {
    "GIT_AUTHOR_NAME": "Test User",
    "GIT_AUTHOR_EMAIL": "user@example.org",
    "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z",
    "GIT_COMMITTER_NAME": "Test User",
    "GIT_COMMITTER_EMAIL": "user@example.org",
    "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z",
}


def pytest_configure(config: pytest.Config) -> None:
    """Prepare what the workers of a round share, before they start; `--basetemp` keeps the files of tests."""
    choose_examples()
    starts_workers = config.getoption("numprocesses", None) and not hasattr(config, "workerinput")
    if not starts_workers:
        return
    if not config.option.basetemp:
        keep_files_in_memory()
    compile_modules()


LONG_FIRST = ("wall", "faults", "demo", "bench", "sandbox")
"""The folders with the longest tests: at the end of a round on several processors, one would work and all others wait."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out some cases of costly tests in the usual round, and begin with the folders that take longest."""
    if os.environ.get("GITBATCH_FAULTS") != "long":
        left_out = choose_left_out(config, items)
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]
    root = Path(__file__).parent
    items.sort(key=lambda item: item.path.relative_to(root).parts[0] not in LONG_FIRST)


def pytest_xdist_auto_num_workers() -> int:
    """For `-n auto`: twice the processors, as the tests wait for agents and clocks half of their time."""
    return 2 * len(os.sched_getaffinity(0))


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ModuleScheduling | None:
    """Give out whole modules, unless another way is asked for."""
    return ModuleScheduling(config, log) if config.getoption("dist") == "load" else None


Running = subprocess.Popen[str] | Started
"""A gitbatch that runs."""


@dataclass
class Workspace:
    """A repository of a test, with a home of its own."""

    root: Path
    home: Path
    environment: dict[str, str] = field(default_factory=dict)
    server: ForkServer | None = None
    """What starts gitbatch faster than a new Python."""

    def git(self, *arguments: str, check: bool = True, given: str = "") -> str:
        """What git says, without the newline at its end; it reads `given`."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            env=self.environment,
            input=given or None,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.removesuffix("\n")

    def write(self, path: str, text: str) -> None:
        """Write a file, with the folders on the way."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8", newline="")

    def read(self, path: str) -> str:
        """The text of a file, with its line ends."""
        return (self.root / path).read_bytes().decode()

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text in a file; it must be there."""
        text = self.read(path)
        assert old in text
        self.write(path, text.replace(old, new))

    def commit(self, message: str = "change") -> str:
        """Commit everything; returns the commit."""
        self.git("add", "--all")
        self.git("-c", "maintenance.auto=false", "commit", "--quiet", "--message", message)
        return read_loose_head(self.root / ".git") or self.git("rev-parse", "HEAD")

    def gitbatch(
        self, *arguments: str, code: int | None = None, change: str = "", **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run gitbatch as a user would, without a terminal.

        Args:
            arguments: its own.
            code: what it must exit with; None: anything.
            change: Python that runs before it.
            more: variables.
        """
        environment = {**self.environment, **more}
        if self.server and self.server.can_run(environment):
            done = self.server.run(arguments, self.root, environment, 120, change)
        else:
            done = subprocess.run(
                [sys.executable, *run_changed(change), *arguments],
                cwd=self.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
        assert code is None or done.returncode == code, (
            f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    def start(self, *arguments: str, is_heard: bool = True, change: str = "") -> Running:
        """Start gitbatch without a terminal; what it says, errors too, is in `stdout`, or nowhere.

        `change`: Python that runs before it.
        """
        if not (self.server and self.server.can_run(self.environment)):
            return subprocess.Popen(
                [sys.executable, *run_changed(change), *arguments],
                cwd=self.root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if is_heard else subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                text=True,
                bufsize=1,
            )
        reader, writer = os.pipe() if is_heard else (-1, os.open(os.devnull, os.O_WRONLY))
        started = self.server.start(arguments, self.root, self.environment, (writer, writer), change)
        os.close(writer)
        if is_heard:
            started.stdout = os.fdopen(reader, encoding="utf-8")
        return started

    def run_json(self, *arguments: str, code: int | None = None) -> tuple[list[Any], Any]:
        """Run `gitbatch run --json`: the events, and the envelope that is printed last."""
        return read_run(self.gitbatch("run", *arguments, "--json", code=code).stdout)

    def state(self) -> tuple[str, str]:
        """Everything that a command which changes nothing must leave as it is: status and refs."""
        return self.git("status", "--porcelain", "--ignored"), self.git("for-each-ref")

    def subjects(self) -> list[str]:
        """The subjects of the first-parent history, the oldest first."""
        return self.git("log", "--first-parent", "--reverse", "--format=%s").splitlines()


def run_changed(change: str) -> tuple[str, ...]:
    """The options of a Python that runs gitbatch, behind a change of it if there is one."""
    if not change:
        return ("-m", "gitbatch")
    return (
        "-c",
        f"{change}\nimport runpy\nrunpy.run_module('gitbatch', run_name='__main__', alter_sys=True)",
    )


def _read_commit(_: type, value: str) -> ItemCommit:
    """An item's commit, of which JSON has the id."""
    return ItemCommit(value, "", (), "")


def read_run(said: str) -> tuple[list[Any], Any]:
    """The events that `run --json` has printed, and the envelope, which is the last line: each is of its type."""
    lines = said.splitlines()
    for line in lines[:-1]:
        msgspec.json.decode(line, type=Event, dec_hook=_read_commit)
    *events, envelope = map(json.loads, lines)
    msgspec.json.decode(lines[-1], type=RunOutput if "ending" in envelope else ErrorOutput)
    assert "event" not in envelope
    return events, envelope


@pytest.fixture(autouse=True)
def usual_verbosity() -> None:
    """What an earlier test of this process has chosen by `-q` must not silence another: only `main` forgets it."""
    reset_level()


@pytest.fixture(autouse=True)
def _signal_handlers() -> Iterator[None]:
    """The handlers of the ending signals as they were: a run in the test's own process sets its own."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    # A shell lets what it starts behind `&` ignore SIGINT, and Python leaves that as it is.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def base_environment() -> dict[str, str]:
    """What of the environment is the same for every test."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return kept | {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}


def choose_worktree(test: pytest.Item) -> str:
    """The kind of worktree of a test: copies, which cost least in small checkouts, or what the round was given."""
    asked = os.environ.get("GITBATCH_WORKTREE", "copy")
    return "copy" if asked == "overlay" and test.get_closest_marker("copied") else asked


@pytest.fixture
def environment(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, str]:
    """An environment in which only the test's own files count."""
    home = tmp_path / "home"
    home.mkdir()
    return {
        **base_environment(),
        "GITBATCH_WORKTREE": choose_worktree(request.node),
        **IDENTITY,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "TERM": "dumb",
    }


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """The server of this worker."""
    server = ForkServer(base_environment())
    yield server
    server.close()


@pytest.fixture(scope="session")
def claude_fork_server() -> Iterator[ForkServer]:
    """For runs of the kind `anthropic`: its library takes a second to import."""
    server = ForkServer(base_environment(), "anthropic", "anthropic.resources.messages")
    yield server
    server.close()


@pytest.fixture(scope="session")
def base_repositories(tmp_path_factory: pytest.TempPathFactory) -> BaseRepositories:
    """What git makes once in this worker."""
    folder = tmp_path_factory.mktemp("base")
    return BaseRepositories(
        folder,
        base_environment()
        | IDENTITY
        | {"HOME": str(folder), "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
    )


@pytest.fixture
def workspace(
    tmp_path: Path,
    environment: dict[str, str],
    fork_server: ForkServer,
    base_repositories: BaseRepositories,
    request: pytest.FixtureRequest,
) -> Iterator[Workspace]:
    """An empty repository on branch main. Whatever batches have run in it, `verify` finds nothing at the end."""
    root = tmp_path / "repo"
    root.mkdir()
    made = Workspace(root, tmp_path / "home", environment, fork_server)
    base_repositories.copy_empty(root)
    yield made
    if (root / ".git" / "gitbatch").is_dir() and not request.node.get_closest_marker("forged"):
        assert_valid(made)


def assert_valid(workspace: Workspace) -> None:
    """The history of every branch of the user's is one that gitbatch could have made."""
    refs = list_loose_branches(workspace.root / ".git")
    if refs is None:
        refs = workspace.git("for-each-ref", "--format=%(refname)", "refs/heads/").splitlines()
    branches = [ref for ref in refs if not ref.startswith("refs/heads/gitbatch/")]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in workspace.environment.items():
            patch.setenv(name, value)
        repo = open_repository(workspace.root, read_only=True)
        try:
            for branch in branches:
                assert audit_history(repo, branch).findings == ()
        finally:
            repo.close()


@pytest.fixture
def three(workspace: Workspace, base_repositories: BaseRepositories) -> Iterator[Workspace]:
    """The sample with three groups of four items, committed. At the end, git finds no fault in any object."""
    base_repositories.copy_sample("three-groups", workspace.root)
    before = list_objects(workspace.root)
    yield workspace
    assert_sound(workspace, before)


def assert_sound(workspace: Workspace, before: frozenset[str]) -> None:
    """Git finds no fault in any object, if there are others than before."""
    if list_objects(workspace.root) != before:
        assert workspace.git(*FSCK) == ""


@pytest.fixture
def repo(
    workspace: Workspace, base_repositories: BaseRepositories, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Repository]:
    """A repository with one file, opened in this process."""
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    if [*workspace.root.iterdir()] == [workspace.root / ".git"]:
        base_repositories.copy_one_file(workspace.root)
    else:
        workspace.write("a.txt", "a\n")
        workspace.commit()
    opened = open_repository(workspace.root)
    yield opened
    opened.close()


Here = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Run gitbatch in the test's own process, as its entry point does: exit code, standard output and error."""
    monkeypatch.chdir(workspace.root)

    def run_main(*arguments: str) -> tuple[int, str, str]:
        for name, value in workspace.environment.items():  # opening a repository removes git's own
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["gitbatch", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run_main
