"""Opening a repository: where it is, what it is, whether a batch can run in it at all."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.errors import GitbatchError, GitError
from gitbatch.fs.disk import raising_only_of_disk
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.process import Git, GitResult, scrub_environment
from gitbatch.repo.promised import Promised, find_promised
from gitbatch.repo.refs.names import HEADS
from gitbatch.repo.refs.store import Refs
from gitbatch.repo.settings import LineEnds, files_config, line_ends, read_settings, settings_for_ours
from gitbatch.repo.signing import find_signer

OLDEST_GIT = (2, 38)

_UNDER_WAY = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase or git am",
}


class Identity(Struct, frozen=True):
    """Who the user is, as git knows them: the committer of everything we commit."""

    name: str
    email: str


_NOBODY = Identity("nobody", "nobody@gitbatch.invalid")


class Repository(Struct, frozen=True):
    """A repository with a checkout."""

    root: Path
    """The top of the user's checkout."""
    git_dir: Path
    """Of this checkout: HEAD and the index are here."""
    common_dir: Path
    """Of the repository: objects and refs are here."""
    identity: Identity
    git: Git
    objects: Objects
    refs: Refs
    line_ends: LineEnds
    files_config: Mapping[str, str]
    """Settings about files, as they were when the process started; see `private_dir.py`."""
    attributes: bytes
    """The user's own attributes, in no commit (`info/attributes`), as they were then."""
    promised: Promised | None = None
    """The remote that has what a partial clone lacks."""

    @property
    def own_dir(self) -> Path:
        """Where the lock and the logs are. Nothing in it is needed to go on with a batch."""
        return self.common_dir / "gitbatch"

    @property
    def id_bytes(self) -> int:
        """Length of a raw object id: 20 for SHA-1, 32 for SHA-256."""
        return self.objects.id_bytes

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.root.name

    def head_branch(self) -> str | None:
        """The full name of the branch that is checked out, by whatever names; None on a detached HEAD."""
        return self.refs.leads_to("HEAD")

    def with_lock(self, descriptor: int, lock_umask: int) -> "Repository":
        """The same repository, all of whose gits inherit a lock's descriptor. Close both.

        Args:
            descriptor: see `Git.inherited_fds`.
            lock_umask: see `Refs.lock_umask`.
        """
        git = self.git.with_inherited_fd(descriptor)
        old = self.objects
        objects = Objects(git, old.store, old.id_bytes, old.signer, old.partial)
        return replace(self, git=git, objects=objects, refs=self.refs.with_lock(git, lock_umask))

    def fetching(self, before: Callable[[str], None] | None, config: bytes = b"") -> "Repository":
        """The same repository, which fetches what a partial clone lacks, or does not; see `Promised`."""
        return replace(self, promised=self.promised and replace(self.promised, before=before, config=config))

    def commit_point(self, ref: str, new: str, old: str | None, reason: str) -> bool:
        """Move a ref by compare-and-swap (see `Refs.swap`), so that it holds from then on, whatever happens.

        git brings the contents of objects and of the ref to the disk, and no names of files: so those of the
        objects go before the ref is moved, and the ref's own before anybody is told.
        """
        self.objects.writer.sync()
        moved = self.refs.swap(ref, new, old, reason)
        if moved:
            self.refs.sync(ref)
        return moved

    def point(self, ref: str, oid: str) -> None:
        """Let a ref of ours point to an object, wherever it was. No commit point; but a ref never leads nowhere.

        git has a ref on the disk before it says that it is moved: so what it points to has to be there before.
        """
        self.objects.writer.sync()
        self.refs.point(ref, oid)

    def close(self) -> None:
        """End the git processes that serve it."""
        self.objects.close()
        self.refs.close()


def open_repository(directory: Path, *, read_only: bool = False) -> Repository:
    """Open the repository that a directory is in.

    Takes the GIT_* variables out of this process's environment: after it, only the identity is kept of them.

    Args:
        directory: inside the repository.
        read_only: nothing will be committed, so nobody needs to be named: a CI job often has no identity.

    Raises:
        GitbatchError: git is missing or too old, there is no repository, it is bare, or nobody is named in it.
    """
    if not directory.is_dir():
        raise GitbatchError(f"{directory} is not a folder", "name a folder inside a repository with -C")
    if "\n" in str(directory.resolve()):
        raise GitbatchError(
            f"the path of {directory} has a line break in it", "rename the folder: git's answers end at one"
        )
    inherited = scrub_environment()
    git = Git(directory)
    version, found = git.run_all(("--version",), _WHERE, check=False)
    _require_version(version)
    git, (bare, git_dir, common_dir, object_format, *top) = _locate(git, found, inherited)
    if bare == "true":
        raise GitbatchError(
            f"{directory} is in a bare repository", "run gitbatch in a clone that has its files checked out"
        )
    if not top:
        raise GitbatchError(f"{directory} is inside a .git folder", "run gitbatch where the files are")
    root = Path(top[0])
    identity = _NOBODY if read_only else _identity(root, inherited)
    named = {"GIT_COMMITTER_NAME": identity.name, "GIT_COMMITTER_EMAIL": identity.email}  # for reflogs
    settings = read_settings(git.in_directory(root), inherited)
    promised = find_promised(settings, inherited)
    inside = git.in_directory(root, **named).with_config(settings_for_ours(settings))
    signer = find_signer(settings, f"{identity.name} <{identity.email}>")
    id_bytes = 32 if object_format == "sha256" else 20
    return Repository(
        root=root,
        git_dir=Path(git_dir),
        common_dir=Path(common_dir),
        identity=identity,
        git=inside,
        objects=Objects(inside, Path(common_dir) / "objects", id_bytes, signer, promised is not None),
        refs=Refs(inside, Path(common_dir), Path(git_dir), "0" * (2 * id_bytes)),
        line_ends=line_ends(settings),
        promised=promised,
        files_config=files_config(settings),
        attributes=_own_attributes(Path(common_dir)),
    )


def _own_attributes(common_dir: Path) -> bytes:
    with raising_only_of_disk():
        return (common_dir / "info" / "attributes").read_bytes()
    return b""


_ASKED = ("--is-bare-repository", "--absolute-git-dir", "--git-common-dir", "--show-object-format")
_WHERE = ("rev-parse", "--path-format=absolute", *_ASKED, "--show-toplevel")


def _locate(git: Git, found: GitResult, inherited: Mapping[str, str]) -> tuple[Git, list[str]]:
    """What kind of repository this is and where (its top last, if we are in a checkout); and a git that works in it.

    `found`: what git says when it is asked where.
    """
    if (
        found.status != 0 and "dubious ownership" in found.stderr
    ):  # to choose what to do; what is shown is git's own
        git = _trusted(git, found, inherited)
        found = git.run(*_WHERE, check=False)
    said = os.fsdecode(found.stdout).split("\n")[:-1]  # a path may have other characters that end lines
    if len(said) not in {len(_ASKED), len(_ASKED) + 1}:
        raise GitbatchError(
            f"{git.directory} is not in a git repository",
            "change into one, name one with -C DIR, or run git init",
        )
    return git, said


def _trusted(git: Git, refused: GitResult, inherited: Mapping[str, str]) -> Git:
    """A git for a repository of another owner, if the user's own configuration trusts it."""
    kept = {name: value for name, value in inherited.items() if name.startswith("GIT_CONFIG")}
    try:
        top = git.run_with_user_config("rev-parse", "--show-toplevel", extra=kept).removesuffix("\n")
    except GitError as error:
        said = refused.stderr.strip().splitlines()
        advice = "if you trust it, run the git config command that git names: " + said[-1].strip()
        raise GitbatchError(said[0].removeprefix("fatal: "), advice) from error
    trust = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": top}
    return git.in_directory(git.directory, **trust)


def _require_version(said: GitResult) -> None:
    if said.status:
        raise GitError(("--version",), said.status, said.stderr)
    found = re.search(r"(\d+)\.(\d+)", os.fsdecode(said.stdout))
    if found and (int(found[1]), int(found[2])) < OLDEST_GIT:
        raise GitbatchError(
            f"git {found[0]} is too old", f"gitbatch needs git {'.'.join(map(str, OLDEST_GIT))} or newer"
        )


def _identity(root: Path, inherited: Mapping[str, str]) -> Identity:
    """The user's name, by their own configuration and variables: read with those, and nothing else is."""
    kept = {
        name: value for name, value in inherited.items() if name.startswith(("GIT_COMMITTER_", "GIT_CONFIG"))
    }
    try:
        said = Git(root).run_with_user_config("var", "GIT_COMMITTER_IDENT", extra=kept)
    except GitError as error:
        advice = 'run: git config user.name "Your Name" && git config user.email you@example.org'
        raise GitbatchError("git does not know who you are", advice) from error
    name, _, rest = said.partition(" <")
    return Identity(name, rest.partition(">")[0])


def require_nothing_under_way(repo: Repository) -> None:
    """Refuse to move the branch of a checkout that is in the middle of something.

    Raises:
        GitbatchError: a merge, rebase, cherry-pick or revert is under way.
    """
    for name, what in _UNDER_WAY.items():
        if (repo.git_dir / name).exists():
            raise GitbatchError(
                f"{what} is under way in this checkout", "finish or abort it (see git status) first"
            )


def require_movable(repo: Repository, branch: str) -> None:
    """Refuse to move a branch (full name) that the user of this checkout is in the middle of something with.

    Raises:
        GitbatchError: a merge or the like is under way on it, or a rebase of it.
    """
    if repo.head_branch() == branch:
        require_nothing_under_way(repo)
    for name in ("rebase-merge", "rebase-apply"):
        with raising_only_of_disk():
            rebased = (repo.git_dir / name / "head-name").read_text(errors="surrogateescape").strip()
            if rebased == branch:
                require_nothing_under_way(repo)


def require_target(repo: Repository) -> tuple[str, str]:
    """The branch that is checked out and its commit.

    Raises:
        GitbatchError: the HEAD is detached, or the branch has no commit yet.
    """
    branch = repo.head_branch()
    if branch is None:
        raise GitbatchError(
            "HEAD is detached: there is no branch to record checkpoints on",
            "check out a branch (git switch NAME), or name one with --branch",
        )
    tip = repo.refs.read(branch)
    if tip is None:
        name = branch.removeprefix(HEADS)
        raise GitbatchError(
            f"branch {name} has no commit yet", "commit the plan first: git add task.md && git commit -m plan"
        )
    return branch, tip
