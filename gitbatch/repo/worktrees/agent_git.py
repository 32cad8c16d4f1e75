"""The private git directory of an agent, which `git log`, `status`, `diff` and `grep` read in its worktree.

The user's own git directory has tokens (`.git/config`), reflogs and stashes that an agent has no business with, and git
refuses to work where it cannot read its configuration. So the `.git` of a worktree names a directory of ours: HEAD and the
index are the worktree's own; the configuration, the refs as of the base and the list of object directories are shared by
all worktrees of one base. Objects are read from the user's repository, as alternates (gitrepository-layout(5)).

Invariant: no value of the user's configuration gets in unless its key is listed here, and no URL with its credentials.
None of our own git processes reads these directories: without a sandbox, agents can write them.
"""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from gitbatch.errors import GitError
from gitbatch.fs.listing import list_folder
from gitbatch.patterns import compile_later
from gitbatch.repo.config_file import format_settings, render_config
from gitbatch.repo.refs.lock_files import TEMPORARY
from gitbatch.repo.repository import Repository
from gitbatch.repo.settings import LineEnds

ASSIGNED = "gitbatch-output"
"""The file in the git directory of a worktree that says which path may be committed there, for the pre-commit hook.

In an overlay worktree it is a link whose text is that path; `/`: none may.
"""

_KEPT = compile_later(
    r"core\.(hookspath|abbrev)|user\.(name|email)"
    r"|remote\..*\.(url|fetch)|branch\..*\.(remote|merge)|diff\..*\.xfuncname",
    re.DOTALL,
)
"""The keys of the user's configuration that agents get to read, as git lists them, besides those about files."""
_URL = compile_later(r"remote\..*\.url|branch\..*\.remote", re.DOTALL)
_FIXED = (
    ("core.bare", "false"),
    ("core.logallrefupdates", "false"),
    ("gc.auto", "0"),
    ("gc.worktreepruneexpire", "never"),
    ("maintenance.auto", "false"),
)
_NOT_AN_AGENTS = "refs/heads/gitbatch/"
"""The item branches, which other agents work on."""
_REFS = ("refs/heads/", "refs/tags/", "refs/remotes/")
"""Prefixes of the user's refs that agents see; stashes and notes of other tools are not among them."""
_COPIED = ("info/exclude", "shallow")
_HOST = r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]"
_STEPS = r"[\w.~%+@/-]*"
"""What a path has behind its first part; it may be the name of a scope, with an `@`."""
_PLAIN_URLS = tuple(
    map(
        compile_later,
        (
            rf"(?P<kept>(?i:file)://)(?P<rest>/{_STEPS})",
            rf"(?P<kept>[A-Za-z][A-Za-z0-9+.-]*://)(?:[^/]*@)?(?P<rest>(?:{_HOST})(?::[0-9]+)?(?:/{_STEPS})?)",
            rf"(?P<kept>)(?:[^/:@]*@)?(?P<rest>(?:{_HOST}):(?!/?/)[\w.~%+-]*(?:/{_STEPS})?)",
            rf"(?P<kept>)(?:[^/:@]*@)?(?P<rest>(?:{_HOST}):/(?!/){_STEPS})",
            r"(?P<kept>)(?P<rest>(?!//)[\w.~%+-]*(?:/[\w.~%+@/ -]*)?)",
        ),
    )
)
"""`scheme://host/path`, `host:path` with or without a user, and local paths."""
_PLAIN_NAME = compile_later(
    r"(?:remote\.[\w./+-]+|branch\.[^:\s]+|(?!remote\.|branch\.).*)\.[a-z]+", re.DOTALL
)
"""The keys whose names cannot hold a URL with credentials: a remote's name is often a URL."""
_MOST_ALTERNATES = 100


class AgentGit(Struct, frozen=True):
    """The content of the git directories of a run's agents, read from the user's repository when the run begins."""

    folder: Path
    """The folder of the run's worktrees, in which they are created."""
    mark: str
    """Part of the names of the shared directories, so that those of a killed run are not used."""
    config: bytes
    refs: tuple[tuple[bytes, bytes], ...]
    """Name and object of each, in git's order."""
    target: bytes
    """The branch that the run moves; agents see it at their base."""
    files: tuple[tuple[str, bytes], ...]
    """Further files of the user's git directory, by name."""
    objects: tuple[Path, ...]
    """The object directories."""

    def shared(self, base: str) -> Path:
        """Returns the directory that the worktrees of one base share."""
        return self.folder / f"{base[:16]}-{self.mark}.common"

    def readable(self, worktree: Path, base: str) -> tuple[Path, ...]:
        """Returns the directories that git reads in a worktree."""
        return (self.shared(base), git_dir_of(worktree), *self.objects)

    def make(self, worktree: Path, base: str, output: str, head: str = "") -> Path:
        """Creates the git directory of a worktree; the caller adds the index.

        Args:
            worktree: the folder.
            base: the commit whose refs it shares.
            output: the path that may be committed there.
            head: the commit that it is at; empty: `base`.

        Raises:
            OSError: it cannot be written.
        """
        made = git_dir_of(worktree)
        made.mkdir()
        shared = self._make_shared(base)
        for name, text in {
            "HEAD": head or base,
            "commondir": str(shared),
            "gitdir": f"{worktree}/.git",
            ASSIGNED: output,
        }.items():
            (made / name).write_bytes(os.fsencode(f"{text}\n"))
        return made

    def make_upper(self, worktree: Path, base: str, output: str, head: str = "") -> Path:
        """Creates what the git directory of a worktree has beyond the directory that it shares, for a mount on top of that.

        Args:
            worktree: the folder.
            base: the commit whose refs it shares.
            output: the path that may be committed there.
            head: the commit that it is at; empty: `base`.

        Raises:
            OSError: it cannot be written.
        """
        made = git_dir_of(worktree)
        made.mkdir()
        self._make_shared(base)
        (made / ASSIGNED).symlink_to(
            output or "/"
        )  # its text is in the folder; a file would take a block of the disk
        if head and head != base:
            (made / "HEAD").write_bytes(os.fsencode(f"{head}\n"))
        return made

    def close(self) -> None:
        """Removes the shared directories; one that an agent keeps from being removed goes at the end of the batch."""
        for shared in list_folder(self.folder):
            if shared.name.endswith(f"-{self.mark}.common"):
                shutil.rmtree(shared, ignore_errors=True)

    def _make_shared(self, base: str) -> Path:
        """Creates the directory that the worktrees of one base share, atomically, unless it exists."""
        shared = self.shared(base)
        if shared.is_dir():
            return shared
        made = shared.with_name(f"{TEMPORARY}{secrets.token_hex(4)}")
        for name in ("refs", "objects/info", "info"):
            (made / name).mkdir(parents=True)
        alternates = b"".join(os.fsencode(path) + b"\n" for path in self.objects)
        for name, content in (
            ("HEAD", base.encode() + b"\n"),
            ("config", self.config),
            ("packed-refs", self._packed_refs(base.encode())),
            ("objects/info/alternates", alternates),
            *self.files,
        ):
            (made / name).write_bytes(content)
        made.rename(shared)
        return shared

    def _packed_refs(self, base: bytes) -> bytes:
        refs = {**dict(self.refs), self.target: base}
        return b"# pack-refs with: sorted \n" + b"".join(
            b"%s %s\n" % (oid, name) for name, oid in sorted(refs.items())
        )


def git_dir_of(worktree: Path) -> Path:
    """Returns the git directory of an agent's worktree."""
    return worktree.with_name(f"{worktree.name}.git")


def read_agent_git(repo: Repository, folder: Path, target: str) -> AgentGit:
    """Reads from the user's repository what agents will see in theirs.

    Args:
        repo: the user's.
        folder: in which the directories will be created.
        target: the full name of the branch that the run moves.
    """
    listing = ("config", "--local", "--no-includes", "--list", "-z")
    config, refs = repo.git.run_all(
        listing, ("for-each-ref", "--format=%(refname) %(objectname)", *_REFS), check=False
    )
    if config.status or refs.status:
        failed = config if config.status else refs
        raise GitError(listing, failed.status, failed.stderr)
    lines = (line.rpartition(b" ") for line in refs.stdout.splitlines())
    return AgentGit(
        folder=folder,
        mark=secrets.token_hex(2),
        config=render_config(clean_settings(config.stdout, repo)),
        refs=tuple((name, oid) for name, _, oid in lines if not name.startswith(_NOT_AN_AGENTS.encode())),
        target=os.fsencode(target),
        files=tuple(_read_files(repo)),
        objects=object_directories(repo.objects.folder),
    )


def _read_files(repo: Repository) -> Iterator[tuple[str, bytes]]:
    yield "info/attributes", repo.attributes
    for name in _COPIED:
        with suppress(FileNotFoundError):
            yield name, (repo.common_dir / name).read_bytes()


def object_directories(store: Path) -> tuple[Path, ...]:
    """Returns an object directory and its alternates, recursively."""
    found: list[Path] = []
    waiting = [store]
    while waiting and len(found) < _MOST_ALTERNATES:
        folder = Path(os.path.realpath(waiting.pop(0)))
        if folder in found or not folder.is_dir():
            continue
        found.append(folder)
        named = folder / "info/alternates"
        lines = named.read_bytes().split(b"\n") if named.is_file() else []
        waiting += [folder / os.fsdecode(line) for line in lines if line and not line.startswith(b"#")]
    return tuple(found)


def clean_settings(listed: bytes, repo: Repository) -> tuple[tuple[str, str | None], ...]:
    """Returns the settings (key, value) of an agent's repository.

    Args:
        listed: the user's, as `git config --list -z` prints them; without a value where git prints none.
        repo: the user's; its settings about files are kept, whichever configuration they come from.
    """
    kept: list[tuple[str, str | None]] = []
    for entry in filter(None, os.fsdecode(listed).split("\0")):
        key, separator, value = entry.partition("\n")
        if not _KEPT.fullmatch(key) or not _PLAIN_NAME.fullmatch(key) or "://" in key:
            continue
        cleaned = clean_url(value) if _URL.fullmatch(key) else value
        if cleaned is not None:
            kept.append((key, cleaned if separator else None))
    if not any(key == "core.hookspath" for key, _ in kept):
        kept.append(("core.hookspath", str(repo.common_dir / "hooks")))
    files = [(key, value) for key, value in repo.files_config.items() if not key.startswith("core.sparse")]
    return (*format_settings(repo.id_bytes), *_FIXED, *files, *_line_ends(repo.line_ends), *kept)


def _line_ends(ends: LineEnds) -> tuple[tuple[str, str], ...]:
    if ends.stored:
        return (("core.autocrlf", "true" if ends.on_disk else "input"),)
    return (("core.eol", "crlf"),) if ends.on_disk else ()


def clean_url(url: str) -> str | None:
    """Returns a remote's URL without user, password, query and fragment; a local path is unchanged.

    None: it has another form, such as `ext::…`, in which credentials cannot be recognised.
    """
    without = re.split(r"[?#]", url, maxsplit=1)[0] if "://" in url else url
    found = next(filter(None, (plain.fullmatch(without) for plain in _PLAIN_URLS)), None)
    return f"{found['kept']}{found['rest']}" if found else None
