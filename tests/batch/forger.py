"""Makes commits of any shape with git plumbing, as one could who has the repository and not gitbatch."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest
from base_repositories import FSCK, SAMPLES
from conftest import IDENTITY, Workspace, base_environment
from fork_server import ForkServer

from gitbatch.batch.history.verify.audit import AuditFinding, audit_history
from gitbatch.project.edits import END
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository

NEXT = "out/next.md"
OUT = "out/new.md"
ROWS = re.escape("|---|---|---|---|")
BATCH = "20260102-030405-abcd"
FORMAT_LINE = "Gitbatch-Format: 1\n"
DELETED = ("0", "0" * 40)


def item_trailers(key: str = OUT, batch: str = BATCH) -> str:
    who = "Gitbatch-Agent: a\nGitbatch-Attempt: 1\nGitbatch-Seconds: 0.1"
    return f"{FORMAT_LINE}Gitbatch-Batch: {batch}\nGitbatch-Group: 1 G\nGitbatch-Item: {key}\n{who}"


@dataclass(frozen=True)
class Forger:
    """Makes commits of any shape; none of them moves a ref."""

    workspace: Workspace
    repo: Repository
    tip: str
    """A history of three checkpoints, and more open items of the user's."""
    plan: str
    """The commit before it: every box is open."""
    known: dict[object, str] = field(default_factory=dict, compare=False, repr=False)
    """What git has made or said of what is always the same, of all forgers in the repository."""

    def _find_known(self, key: object, find: Callable[[], str]) -> str:
        if key not in self.known:
            self.known[key] = find()
        return self.known[key]

    def blob(self, text: str) -> str:
        return self._find_known(text, lambda: self.git("hash-object", "-w", "--stdin", stdin=text))

    def git(self, *arguments: str, stdin: str = "") -> str:
        """What git says, with an index of the forger's own."""
        environment = {**self.workspace.environment, "GIT_INDEX_FILE": str(self.workspace.home / "index")}
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.workspace.root,
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(
        self, message: str, parents: tuple[str, ...], changes: Mapping[str, str | tuple[str, str]]
    ) -> str:
        """A commit: its first parent's files with changes (a text, or mode and object)."""
        key = (message, parents, *changes.items())
        return self._find_known(key, lambda: self._make_commit(message, parents, changes))

    def _make_commit(
        self, message: str, parents: tuple[str, ...], changes: Mapping[str, str | tuple[str, str]]
    ) -> str:
        self.git("read-tree", *(parents[:1] or ["--empty"]))
        entries = {
            p: ("100644", self.blob(new)) if isinstance(new, str) else new for p, new in changes.items()
        }
        lines = (f"{mode} {oid}\t{path}\0" for path, (mode, oid) in entries.items())
        self.git("update-index", "--replace", "-z", "--index-info", stdin="".join(lines))
        above = [part for parent in parents for part in ("-p", parent)]
        return self.git("commit-tree", self.git("write-tree", "--missing-ok"), *above, "-m", message)

    def item(
        self,
        changes: Mapping[str, str | tuple[str, str]],
        key: str = OUT,
        parents: tuple[str, ...] = (),
        batch: str = BATCH,
    ) -> str:
        message = f"T1 Write\n\nDone.\n\n{item_trailers(key, batch)}"
        return self.commit(message, parents or (self.tip,), changes)

    def merge(
        self, items: tuple[str, ...], changes: Mapping[str, str | tuple[str, str]], first: str = ""
    ) -> str:
        message = f"gitbatch: merge\n\n- it\n\n{FORMAT_LINE}Gitbatch-Batch: {BATCH}\nGitbatch-Group: 1 G"
        return self.commit(message, (first or self.tip, *items), changes)

    def checkpoint(
        self,
        changes: Mapping[str, str | tuple[str, str]],
        parents: tuple[str, ...] = (),
        succeeded: tuple[str, ...] = (),
        batch: str = BATCH,
    ) -> str:
        trailers = f"{FORMAT_LINE}Gitbatch-Batch: {batch}\nGitbatch-Group: 1 G\nGitbatch-Checkpoint: 1/1"
        said = [f"\nGitbatch-Succeeded: {key}" for key in succeeded]
        failed = "" if succeeded else "\nGitbatch-Failed: out/failed.md: cancelled: it broke"
        rows = [f"| x | {key} | succeeded |  |" for key in succeeded] or [
            "| x | out/failed.md | cancelled | x |"
        ]
        changes = {
            path: re.sub(rf"(?s)(?<={ROWS}\n).*?(?=\n\n|{re.escape(END)})", "\n".join(rows), new)
            if isinstance(new, str) and f"more\n{END}" in new
            else new
            for path, new in changes.items()
        }
        message = f"gitbatch: checkpoint 1/1: G\n\nrows\n\n{trailers}{''.join(said)}{failed}"
        return self.commit(message, parents or (self.tip,), changes)

    def read(self, path: str, commit: str = "") -> str:
        name = f"{commit or self.tip}:{path}"
        return self._find_known(("show", name), lambda: self.workspace.git("show", name)) + "\n"

    def longer(self, path: str) -> str:
        """The file of the tip as a checkpoint makes it longer."""
        text = self.read(path)
        return text.replace(END, f"more\n{END}") if END in text else f"{text}- more\n"

    def ticked(self, *keys: str, text: str = "") -> str:
        """The plan of the tip with the boxes of items ticked."""
        lines = (text or self.read("task.md")).splitlines(keepends=True)
        return "".join(
            line.replace("[ ]", "[x]") if any(f"`{key}`" in line for key in keys) else line for line in lines
        )

    def recorded(self, *keys: str, tick: tuple[str, ...] | None = None) -> str:
        """A group as gitbatch records it: items, a merge, a checkpoint that ticks them."""
        items = tuple(self.item({key: "x"}, key) for key in keys)
        merge = self.merge(items, dict.fromkeys(keys, "x"))
        plan = self.ticked(*(keys if tick is None else tick))
        changes = {"status.md": self.longer("status.md"), "task.md": plan}
        return self.checkpoint(changes, parents=(merge,), succeeded=keys)

    def of(self, key: str) -> str:
        """The commit of an item of the batch that has run."""
        command = ("log", self.tip, "--format=%H", "--grep", f"^Gitbatch-Item: {key}$")
        return self._find_known(command, lambda: self.workspace.git(*command))

    def list_genuine(self) -> list[str]:
        """The commits that nobody has forged."""
        command = ("rev-list", self.tip)
        return self._find_known(command, lambda: self.workspace.git(*command)).split()

    def findings(self, revisions: str) -> tuple[AuditFinding, ...]:
        return audit_history(self.repo, revisions).findings


@contextmanager
def opened(workspace: Workspace) -> Iterator[Repository]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in workspace.environment.items():  # opening takes them out again
            patch.setenv(name, value)
        repo = open_repository(workspace.root)
    yield repo
    repo.close()


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory, fork_server: ForkServer) -> Workspace:
    """A repository in which a batch has run. Tests only add objects to it: what moves a ref needs a copy."""
    home = tmp_path_factory.mktemp("home")
    root = home / "repo"
    shutil.copytree(SAMPLES / "three-groups", root)
    environment = {**base_environment(), **IDENTITY, "HOME": str(home), "GIT_CONFIG_GLOBAL": os.devnull}
    workspace = Workspace(root, home, environment, fork_server)
    workspace.git("init", "--quiet", "--initial-branch=main")
    workspace.commit("The plan")
    workspace.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=0)
    return workspace


@contextmanager
def forging_in(workspace: Workspace) -> Iterator[Forger]:
    plan = workspace.git("rev-list", "--max-parents=0", "main")
    keys = [
        OUT,
        "out/next.md",
        *(f"out/ü {number}.md" for number in range(16)),
        *(f"out/{n}.md" for n in range(17)),
    ]
    with opened(workspace) as repo:
        made = Forger(workspace, repo, workspace.git("rev-parse", "main"), plan)
        more = "".join(f"- [ ] Write more → Output: `{key}`\n" for key in keys)
        items = f"{made.read('task.md').rstrip()}\n\n### More\n\n{more}"
        yield replace(made, tip=made.commit("More to do", (made.tip,), {"task.md": items}))


@pytest.fixture(scope="module")
def forger(recorded: Workspace) -> Iterator[Forger]:
    """For tests that only add objects."""
    with forging_in(recorded) as made:
        yield made
    said = recorded.git(*FSCK, check=False)
    assert said == "", "git says what is wrong with a forged tree on the other stream"


@pytest.fixture
def owner(workspace: Workspace, recorded: Workspace) -> Iterator[Forger]:
    """For tests that move refs: a copy of the repository."""
    shutil.rmtree(workspace.root)
    shutil.copytree(recorded.root, workspace.root)
    with forging_in(workspace) as made:
        yield made
