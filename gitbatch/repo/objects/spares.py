"""Second names of new objects, which a prune of another process does not remove.

`git prune --expire=now` looks at the refs first and removes objects afterwards: also one that a ref has got in between. git
has no lock against that, and looking for the object once more does not help, as the removal may come later. So a new
object has a second name in a folder of ours (a hard link: no content is read or copied) while a process has the lock, and
one that is gone gets its first name back.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from gitbatch.fs.removal import remove_anything


class SpareLinks(Struct):
    """The second names of the objects that a process has stored."""

    store: Path
    """The folder of the object store."""
    folder: Path | None = None
    """Where they are; None: objects get none."""

    @property
    def names(self) -> tuple[str, ...]:
        """The objects that have one."""
        return tuple(os.listdir(self.folder)) if self.folder else ()  # noqa: PTH208 - names alone

    def begin_links(self, folder: Path) -> None:
        """Starts to give new objects a second name in a folder, which may have those of a killed process."""
        with suppress(OSError):
            folder.mkdir(exist_ok=True)
            self.folder = folder

    def remove_links(self) -> None:
        """Removes all second names."""
        if self.folder:
            remove_anything(self.folder)
            self.folder = None

    def keep_objects(self, oids: Iterable[str]) -> None:
        """Gives objects a second name. A file system without hard links, or an object in a pack, has none."""
        if self.folder is None:
            return
        for oid in oids:
            with suppress(OSError):
                os.link(self._find_file(oid), f"{self.folder}/{oid}")

    def restore_object(self, oid: str) -> bool:
        """Gives an object its first name back. Returns true if it was gone and is there again."""
        if self.folder is None:
            return False
        file = self._find_file(oid)
        with suppress(OSError):
            Path(file).parent.mkdir(exist_ok=True)  # git removes an empty folder
            os.link(f"{self.folder}/{oid}", file)
            return True
        return False

    def restore_all(self) -> int:
        """Gives all objects their first names back. Returns the number of those that were gone."""
        return sum(map(self.restore_object, self.names))

    def _find_file(self, oid: str) -> str:
        return f"{self.store}/{oid[:2]}/{oid[2:]}"
