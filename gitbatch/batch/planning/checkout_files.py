"""The files of a checkout: those on the disk, and those of the index that a sparse checkout leaves out."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from gitbatch.errors import GitbatchError
from gitbatch.paths import decode_path
from gitbatch.project.disk import DiskSnapshot
from gitbatch.project.snapshot import Listing, Snapshot
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository

_LEFT_OUT = "S "
"""How `git ls-files -t` marks a path that is not in a sparse checkout."""


class CheckoutFiles(Struct, frozen=True):
    """The files of a checkout: a `project.snapshot.Snapshot`."""

    disk: DiskSnapshot
    left_out: Mapping[str, str]
    """The blob of each regular file that a sparse checkout leaves out, by path."""

    @property
    def root(self) -> Path:
        """The top folder of the checkout."""
        return self.disk.root

    def blob(self, path: str) -> str | None:
        """Returns an id of a file's content; None if the file does not exist."""
        return self.disk.blob(path) or self.left_out.get(path)

    def read(self, path: str) -> bytes | None:
        """Returns the content of the file at `path`, or None.

        Raises:
            GitbatchError: a partial clone lacks it.
        """
        content, oid = self.disk.read(path), self.left_out.get(path)
        if content is not None or oid is None:
            return content
        with closing(open_repository(self.root, read_only=True)) as repo:
            try:
                return repo.objects.read_blob(oid)
            except MissingObjectError as error:
                raise GitbatchError(
                    f"cannot read {path}: the sparse checkout leaves it out, and this partial clone lacks it",
                    f"fetch it: git cat-file -e {oid}",
                ) from error

    def files(self, folder: str) -> tuple[str, ...]:
        """Returns the paths of all files below a folder."""
        below = (path for path in self.left_out if path.startswith(f"{folder}/"))
        return tuple(sorted({*self.disk.files(folder), *below}))

    def list_folder(self, folder: str) -> Listing:
        """Returns the names in a folder, those that a sparse checkout leaves out included."""
        there, prefix = self.disk.list_folder(folder), f"{folder}/" if folder else ""
        below = [path.removeprefix(prefix) for path in self.left_out if path.startswith(prefix)]
        files = {name for name in below if "/" not in name}
        folders = {name.partition("/")[0] for name in below if "/" in name}
        return Listing(tuple(sorted({*there.files, *files})), tuple(sorted({*there.folders, *folders})))


def read_checkout_files(repo: Repository) -> CheckoutFiles:
    """Returns the files of a repository's checkout."""
    listed: list[str] = []
    if repo.files_config.get("core.sparsecheckout"):
        listed = decode_path(repo.git.run("ls-files", "-t", "--stage", "-z").stdout).split("\0")
    entries = (line.partition("\t") for line in listed if line.startswith(f"{_LEFT_OUT}100"))
    return CheckoutFiles(DiskSnapshot(repo.root), {path: head.split()[2] for head, _, path in entries})


def find_checkout_files(root: Path) -> Snapshot:
    """Returns the files of a checkout at a folder; outside of a repository, those on the disk."""
    mark = root / ".git"
    if mark.exists() and not (mark.is_dir() and not (mark / "info/sparse-checkout").exists()):
        try:
            with closing(open_repository(root, read_only=True)) as repo:
                return read_checkout_files(repo)
        except GitbatchError:
            pass
    return DiskSnapshot(root)
