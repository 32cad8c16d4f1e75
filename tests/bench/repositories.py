"""The repositories of the benchmark: as many files as are wanted, and a plan whose items cost nothing."""

import itertools
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

AGENT = 'echo "what $2 says of itself, this time RUN" > "$1"'
"""The agent that costs nothing: a shell that writes one line."""

_RUNS = itertools.count(1)

_IDENTITY = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "Bench"), ("EMAIL", "bench@example.org"), ("DATE", "2026-01-02T03:04:05Z"))
}


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done in a repository: groups of items, and what the agent runs."""

    groups: int
    items: int
    """In each group."""
    checkout: str = "context"
    agent: str = AGENT
    declares: bool = True
    """Whether each item names the files that it reads; else it reads the outputs of all earlier groups."""
    settings: tuple[str, ...] = ()
    """More lines of the configuration: settings of `[batch]`, then other tables."""

    @property
    def total(self) -> int:
        """How many items there are."""
        return self.groups * self.items


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of the benchmark, in a folder of its own with everything else that a run needs."""

    folder: Path
    files: int
    kind: str = ""
    """The kind of worktree; empty: as GITBATCH_WORKTREE has it, else chosen by gitbatch."""

    @property
    def root(self) -> Path:
        """The checkout."""
        return self.folder / "repo"

    @property
    def worktrees(self) -> Path:
        """Where worktrees are made, by everybody."""
        return self.folder / "worktrees"

    @property
    def cache(self) -> Path:
        """Where gitbatch keeps its layers."""
        return self.folder / "home" / ".cache" / "gitbatch"

    @property
    def log(self) -> Path:
        """What the command that ran last has said."""
        return self.folder / "log"

    @property
    def environment(self) -> dict[str, str]:
        """An environment in which nothing of the user's counts."""
        return {
            **_IDENTITY,
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "GITBATCH_WORKTREES": str(self.worktrees),
            "GITBATCH_CACHE": str(self.cache),
            "GITBATCH_WORKTREE": self.kind or os.environ.get("GITBATCH_WORKTREE", "auto"),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
        }

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        """What git says, without the newline at its end."""
        command = ["git", "-c", "gc.auto=0", "-c", "advice.detachedHead=false", *arguments]
        done = subprocess.run(
            command, cwd=self.root, env=self.environment, input=stdin, capture_output=True, check=True
        )
        return done.stdout.decode().removesuffix("\n")

    def reset(self, work: Work) -> str:
        """Bring everything back to where it began, with the plan of some work; returns the commit."""
        return self.reset_with(_plan_files(work, self.files))

    def reset_with(self, files: Mapping[str, str]) -> str:
        """Bring everything back to where it began, with some files more; returns the commit."""
        self.git("reset", "--quiet", "--hard", "start")
        self.git("worktree", "prune")
        ours = ("refs/gitbatch/", "refs/heads/gitbatch/")
        refs = self.git("for-each-ref", "--format=delete %(refname)%0a", *ours).replace("\n\n", "\n")
        self.git("update-ref", "--stdin", stdin=refs.encode())
        for path, text in files.items():
            (self.root / path).write_text(text, encoding="utf-8")
            self.git("add", path)
        self.git("commit", "--quiet", "--message", "The plan")
        return self.git("rev-parse", "HEAD")

    def add_branches(self, count: int) -> None:
        """Make so many branches that have nothing to do with the work, and pack half of them."""
        for half in (range(count // 2), range(count // 2, count)):
            lines = "".join(f"create refs/heads/other/{number} start\n" for number in half)
            self.git("pack-refs", "--all")
            self.git("update-ref", "--stdin", stdin=lines.encode())

    def remove_branches(self) -> None:
        """Remove them."""
        refs = self.git("for-each-ref", "--format=delete %(refname)", "refs/heads/other/")
        self.git("update-ref", "--stdin", stdin=f"{refs}\n".encode())


@dataclass(frozen=True, slots=True)
class Supply:
    """The repositories of one place, each made when it is needed first; with `keep`, they stay for the next time."""

    place: Path
    keep: bool
    _used: dict[int, Repository] = field(default_factory=dict)

    def find(self, files: int) -> Repository:
        """Returns the repository with a number of files."""
        if files not in self._used:
            self._used[files] = self._find_or_make(files)
        return self._used[files]

    def _find_or_make(self, files: int) -> Repository:
        folder = self.place / f"{files} files"
        marker = folder / f"made {_FORMAT}"
        if marker.exists():
            return Repository(folder, files)
        remove_folder(folder)
        made = make_repository(folder, files)
        marker.touch()
        return made

    def close(self) -> None:
        """Removes the repositories, unless they are to be kept."""
        if not self.keep:
            for repo in self._used.values():
                remove_folder(repo.folder)


_FORMAT = 1
"""Of the repositories: those of another one are made again."""


def remove_folder(folder: Path) -> None:
    """Removes a folder if it exists; by `rm`, which is quicker for many files and knows read-only folders."""
    subprocess.run(["rm", "-rf", "--", folder], check=True)


def make_repository(folder: Path, files: int) -> Repository:
    """Make a repository with so many files; the smallest is as Flask's, which has 236 of them."""
    made = Repository(folder, files)
    for path in (made.root, made.worktrees, folder / "home"):
        path.mkdir(parents=True)
    made.git("init", "--quiet", "--initial-branch=main")
    made.git("config", "gc.auto", "0")  # it would run beside whatever is measured next
    made.git("fast-import", "--quiet", stdin=b"".join(_stream(files)))
    made.git("reset", "--quiet", "--hard", "main")
    made.git("tag", "start")
    return made


def file_name(number: int, files: int) -> str:
    """The path of a file, by its number from 0, in a repository of so many: few in a folder where there are few."""
    inside, folders = (5, 10) if files < _MANY else (20, 50)
    folder, name = divmod(number, inside)
    above, folder = divmod(folder, folders)
    return f"src/p{above:03}/m{folder:02}/file{name:02}.py"


_SIZES = (20, 50, 280, 700, 1400, 2300, 3300, 5000, 8400, 13_200, 90_000)
"""The deciles of the sizes of Flask's files in bytes (3.1.2: 1.75 MB in 48 folders), but for the most, which is a picture."""
_MANY = 1000
"""Files from which on a repository has more of them in a folder."""
_LARGE = 10_000
"""Files from which on a repository is made of small ones, so that it fits on a disk."""


def _stream(files: int) -> Iterator[bytes]:
    """The files, as git fast-import reads them; no two alike."""
    who = "Bench <bench@example.org> 1767323045 +0000"
    yield f"commit refs/heads/main\ncommitter {who}\ndata 5\nstart\n".encode()
    for number in range(files):
        text = _text(number, _size(number) if files < _LARGE else 200 + number * 7919 % 3800)
        yield f"M 100644 inline {file_name(number, files)}\ndata {len(text)}\n".encode() + text + b"\n"


def _size(number: int) -> int:
    """The size of a file of a project of the usual kind."""
    decile, rest = divmod(number * 7919 % 1000, 100)
    low, high = _SIZES[decile : decile + 2]
    return low + (high - low) * rest // 100


def _text(number: int, size: int) -> bytes:
    """Lines that look like source code. They compress to less than a third, Flask's files to not quite a half."""
    lines: list[bytes] = []
    length = 0
    while length < size:
        seed = number * 1_000_003 + len(lines) * 7919
        lines.append(
            f"    value_{seed % 9973} = compute({seed % 7907}, name_{seed * 2654435761 % 2**32:08x})\n".encode()
        )
        length += len(lines[-1])
    return b"".join(lines)[:size]


def fresh(agent: str) -> str:
    """An agent that writes what it has not written before: what git has already, it does not write."""
    return agent.replace("RUN", str(next(_RUNS)))


def output_name(group: int, item: int) -> str:
    """The output of an item; both numbers from 1."""
    return f"docs/g{group:02}/i{item:04}.md"


def _plan_files(work: Work, files: int) -> Mapping[str, str]:
    lines = ["# Bench", "", "## Work Packages"]
    for group in range(1, work.groups + 1):
        lines += ["", f"### Group {group}", ""]
        for item in range(1, work.items + 1):
            number = group * 100_000 + item
            reads = ", ".join(file_name(number * factor % files, files) for factor in (7, 31))
            declared = f" (context: {reads})" if work.declares else ""
            lines.append(f"- [ ] T{number:06} Write → Output: {output_name(group, item)}{declared}")
    config = [
        "[batch]",
        f'checkout = "{work.checkout}"',
        *work.settings,
        "[agents.shell]",
        'kind = "command"',
        f"command = ['sh', '-c', '{fresh(work.agent)}', 'sh', '{{output}}', '{{item}}']",
    ]
    return {"task.md": "\n".join(lines) + "\n", "gitbatch.toml": "\n".join(config) + "\n"}
