"""The refs of a batch that only gitbatch writes while it runs: what the batch was started with and what was accepted.

An agent without a sandbox can write refs as its user can. Within one process, a value that differs from the expected one
stops the run, and is set back when the run ends, so that the next start does not take it for the user's.
"""

from msgspec import Struct

from gitbatch.repo.refs.store import Refs


class PinnedRefs(Struct):
    """The values that refs must have; changed by the process itself alone."""

    values: dict[str, str | None]
    """By full ref names; None: the ref must not exist."""

    @classmethod
    def read(cls, refs: Refs, names: tuple[str, ...]) -> "PinnedRefs":
        """Returns refs with their present values."""
        return cls(refs.read_several(names))

    def find_changed(self, refs: Refs) -> tuple[str, ...]:
        """Returns the names of the refs that have another value."""
        now = refs.read_several(self.values)
        return tuple(name for name, oid in self.values.items() if now[name] != oid)

    def restore(self, refs: Refs) -> None:
        """Sets the refs that have another value back.

        Raises:
            GitbatchError: one cannot be written.
        """
        for name in self.find_changed(refs):
            oid = self.values[name]
            if oid is None:
                refs.remove(name)
            else:
                refs.point(name, oid)
