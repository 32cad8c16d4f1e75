"""A repository with a checkout: its folders, objects and refs, and the steps that combine them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.errors import BusyError, GitbatchError, GitError
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.process import Git
from gitbatch.repo.promised import Promised
from gitbatch.repo.refs.store import Refs
from gitbatch.repo.settings import LineEnds

_T = TypeVar("_T")
_TRIES = 10
"""How often objects are written again that vanished before a ref had them."""


class VanishedObjectsError(GitError):
    """New objects were removed by another process before a ref pointed at them."""

    def __init__(self) -> None:
        super().__init__(("gc",), 1, "")
        self.message = "new objects vanished before they were referenced"
        self.advice = "is `git gc --prune=now` running? Wait until it has ended, then resume: gitbatch run"


class Identity(Struct, frozen=True):
    """The user's name and mail address in git: the committer of everything that gitbatch commits."""

    name: str
    email: str


class Repository(Struct, frozen=True):
    """A repository with a checkout."""

    root: Path
    """The top folder of the user's checkout."""
    git_dir: Path
    """The git folder of this checkout: HEAD and the index are here."""
    common_dir: Path
    """The git folder of the repository: objects and refs are here."""
    identity: Identity
    git: Git
    objects: Objects
    refs: Refs
    line_ends: LineEnds
    files_config: Mapping[str, str]
    """Settings about files, read when the process started; see `private_dir.py`."""
    attributes: bytes
    """The user's own attributes (`info/attributes`), which are in no commit, read at the same time."""
    lfs_store: Path
    """The folder where Git LFS keeps files; it need not exist."""
    promised: Promised | None = None
    """The remote that has the objects that a partial clone lacks."""

    @property
    def own_dir(self) -> Path:
        """The folder of the lock and the logs. Nothing in it is needed to resume a batch."""
        return self.common_dir / "gitbatch"

    @property
    def id_bytes(self) -> int:
        """The length of a raw object id: 20 for SHA-1, 32 for SHA-256."""
        return self.objects.id_bytes

    @property
    def name(self) -> str:
        """The name of its top folder."""
        return self.root.name

    def head_branch(self) -> str | None:
        """Returns the full name of the branch that is checked out; None: HEAD is detached."""
        return self.refs.leads_to("HEAD")

    def head_commit(self) -> str | None:
        """Returns the commit that is checked out; None: there are no commits yet."""
        branch = self.head_branch()
        return self.refs.read(branch) if branch else self.refs.commit("HEAD")

    def with_lock(self, descriptor: int, lock_umask: int) -> "Repository":
        """Returns the same repository, all of whose git processes inherit the descriptor of a lock. Close both.

        All but one: what reads objects already is taken over, as it changes nothing and takes as long to start as to be
        asked for all that a start reads.

        Args:
            descriptor: of the lock; see `Git.inherited_fds`.
            lock_umask: see `Refs.lock_umask`.
        """
        git = self.git.with_inherited_fd(descriptor)
        old = self.objects
        objects = Objects(git, old.folder, old.id_bytes, old.partial, old.form, old.signer)
        objects.take_reader(old)
        return replace(self, git=git, objects=objects, refs=self.refs.with_lock(git, lock_umask))

    def start_writing(self) -> None:
        """Starts the git processes that write, for a run that will soon need all of them."""
        self.refs.session.start()
        self.objects.writer.start()

    def fetching(self, before: Callable[[str], None] | None, config: bytes = b"") -> "Repository":
        """Returns the same repository with other terms for fetching what a partial clone lacks; see `Promised`."""
        return replace(self, promised=self.promised and replace(self.promised, before=before, config=config))

    def commit_point(self, ref: str, new: str, old: str | None, reason: str) -> bool:
        """Moves a ref by compare-and-swap (see `Refs.swap`), durably: a power cut afterwards does not undo it.

        git syncs the contents of objects and of the ref, but not the names of their files. So the names of the
        objects are synced before the ref is moved, and the ref's own name before this returns.
        """
        self.objects.writer.sync(new)
        moved = self._with_spares(lambda: self.refs.swap(ref, new, old, reason))
        if moved:
            self.refs.sync(ref)
        return moved

    def point(self, ref: str, oid: str) -> None:
        """Points a ref of ours at an object, wherever the ref was. It may be lost in a power cut, but never dangles.

        git syncs a ref before it reports that it has moved. So the object is synced before.
        """
        self.objects.writer.sync(oid)
        self._with_spares(lambda: self.refs.point(ref, oid))

    def _with_spares(self, move: Callable[[], _T]) -> _T:
        """Moves a ref; once more if git did not find the object, which another process has pruned."""
        try:
            return move()
        except GitError:
            if not self.objects.writer.spares.restore_all():
                raise
            return move()

    @contextmanager
    def with_spares(self) -> Iterator[None]:
        """Gives new objects second names, and those back that another process prunes meanwhile; see `SpareLinks`."""
        spares = self.objects.writer.spares
        spares.begin_links(self.own_dir / "spares")
        self.objects.find_missing(spares.names)  # of a killed process: what is missing is restored
        try:
            yield
        finally:
            with suppress(GitbatchError):  # such as a git that a signal has stopped
                self.objects.find_missing(spares.names)
            spares.remove_links()

    def publish(self, write: Callable[[], _T], clean_up: Callable[[], None] = lambda: None) -> _T:
        """Stores objects and makes a ref point at them, and does both again if the objects vanished in between.

        Until a ref has new objects, a `git gc --prune=now` of another process may remove them.

        Args:
            write: stores the objects and moves the ref; raises VanishedObjectsError if the objects are missing then.
            clean_up: called after each try that failed.

        Returns:
            The result of `write`.

        Raises:
            GitError, BusyError: the last error of `write`, which has failed every time.
        """
        for left in reversed(range(_TRIES)):
            try:
                return write()
            except (GitError, BusyError):
                clean_up()
                if not left:
                    raise
        raise AssertionError  # the last try returns or raises

    def publish_blob(self, ref: str, content: bytes) -> None:
        """Stores a blob and points a ref of ours at it, wherever the ref was; see `publish` and `point`."""
        self.publish(lambda: self.point(ref, self.objects.write_blob(content)))

    def close(self) -> None:
        """Ends the git processes that serve it, all at the same time."""
        self.refs.session.hang_up()
        self.objects.close()
        self.refs.close()
