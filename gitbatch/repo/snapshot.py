"""A commit's files, as `project/` reads them."""

from msgspec import Struct

from gitbatch.repo.objects.store import Objects


class TreeSnapshot(Struct, frozen=True):
    """The files of one tree: a `project.snapshot.Snapshot`."""

    objects: Objects
    tree: str

    def blob(self, path: str) -> str | None:
        """The object id of the regular file at `path`, or None."""
        entry = self.objects.find_entry(self.tree, path)
        return entry.oid if entry and entry.is_file else None

    def read(self, path: str) -> bytes | None:
        """The content of the regular file at `path`, or None."""
        oid = self.blob(path)
        return self.objects.read_blob(oid) if oid else None

    def files(self, folder: str) -> tuple[str, ...]:
        """The paths of all regular files below a folder; none if there is no such folder."""
        entry = self.objects.find_entry(self.tree, folder)
        if entry is None or not entry.is_tree:
            return ()
        return tuple(path for path, e in self.objects.list_files(entry.oid, f"{folder}/") if e.is_file)
