"""Commit objects, as far as they are read: never the bytes of a signature."""

from msgspec import Struct


class Commit(Struct, frozen=True):
    """A commit object, as far as we read it."""

    oid: str
    tree: str
    parents: tuple[str, ...]
    author: str
    """Name and mail address."""
    committed: int
    """Seconds since the epoch."""
    message: str


def parse_commit(oid: str, data: bytes) -> Commit:
    """Returns the commit that an object holds."""
    head, _, message = data.decode(errors="replace").partition("\n\n")
    fields = [line.partition(" ")[::2] for line in head.split("\n")]
    first = dict(reversed(fields))
    author, _, _ = first["author"].rpartition("> ")
    _, _, committed = first["committer"].rpartition("> ")
    parents = tuple(value for key, value in fields if key == "parent")
    return Commit(oid, first["tree"], parents, f"{author}>", int(committed.split(" ")[0]), message)
