"""The files of a commit, for `project/`."""

from msgspec import Struct

from gitbatch.paths import ancestors
from gitbatch.project.snapshot import Listing
from gitbatch.repo.objects.codec import SUBMODULE, SYMLINK
from gitbatch.repo.objects.store import Objects


class TreeSnapshot(Struct, frozen=True):
    """The files of one tree: a `project.snapshot.Snapshot`."""

    objects: Objects
    tree: str

    def blob(self, path: str) -> str | None:
        """Returns the object id of the regular file at a path; None: it is missing or another kind."""
        entry = self.objects.find_entry(self.tree, path)
        return entry.oid if entry and entry.is_file else None

    def read(self, path: str) -> bytes | None:
        """Returns the content of the regular file at a path; None: it is missing or another kind."""
        oid = self.blob(path)
        return self.objects.read_blob(oid) if oid else None

    def files(self, folder: str) -> tuple[str, ...]:
        """Returns the paths of all regular files below a folder; empty if the folder is missing."""
        entry = self.objects.find_entry(self.tree, folder)
        if entry is None or not entry.is_tree:
            return ()
        return tuple(path for path, e in self.objects.list_files(entry.oid, f"{folder}/") if e.is_file)

    def list_folder(self, folder: str) -> Listing:
        """Returns the names in a folder; none if it is missing."""
        entry = self.objects.find_entry(self.tree, folder) if folder else None
        if folder and (entry is None or not entry.is_tree):
            return Listing()
        found = self.objects.read_folder(entry.oid if entry else self.tree)
        return Listing(
            tuple(sorted(name for name, e in found.items() if e.is_file)),
            tuple(sorted(name for name, e in found.items() if e.is_tree)),
        )

    def find_obstacle(self, path: str) -> str | None:
        """Returns what is at a path, or above it, so that it cannot be a file; None: it can be one."""
        for above in (*ancestors(path), path):
            entry = self.objects.find_entry(self.tree, above)
            if entry is None or (entry.is_file if above == path else entry.is_tree):
                continue
            kinds = {SYMLINK: "a symlink", SUBMODULE: "a submodule"}
            return f"{above} is {kinds.get(entry.mode, 'a folder' if entry.is_tree else 'a file')}"
        return None
