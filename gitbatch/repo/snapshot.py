"""The files of a commit, for `project/`."""

from msgspec import Struct

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
