"""The lower layers of a worktree: folders of files in an order, and the index that belongs to them."""

from pathlib import Path

from msgspec import Struct

from gitbatch.repo.templates.store import Lease


class Layers(Struct):
    """The files of one commit in the cache, held until they are closed."""

    leases: tuple[Lease, ...]
    """The layers, the uppermost first."""
    tree: str
    """The tree whose files they are."""
    index: Path
    """The index of the tree, with the status of each file in the layers. Read-only: it is copied or linked."""

    @property
    def lower(self) -> tuple[Path, ...]:
        """The folders of files, the uppermost first."""
        return tuple(lease.tree for lease in self.leases)

    def close(self) -> None:
        """Ends the right to use them: after everything that was mounted on them is gone."""
        for lease in self.leases:
            lease.close()
