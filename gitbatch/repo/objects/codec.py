"""The texts of git's tree and commit objects, and of the identities in commits: parsed and rendered here alone.

The bytes of a signature are never kept: only whether a commit has one.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from gitbatch.errors import GitError
from gitbatch.paths import decode_path, encode_path
from gitbatch.patterns import compile_later

if TYPE_CHECKING:
    from hashlib import _Hash

REGULAR = "100644"
TREE = "40000"
SYMLINK = "120000"
SUBMODULE = "160000"

_ENTRIES = {size: compile_later(rb"(?s)([0-7]+) ([^\0]+)\0(.{%d})|(.+)" % size) for size in (20, 32)}
"""An entry of a tree by the length of a raw object id: its mode, name and id; or something else."""


def open_digest(id_bytes: int, content: bytes = b"") -> "_Hash":
    """Returns the digest that object ids of a length are made by, which has taken a content."""
    return hashlib.new("sha1" if id_bytes == 20 else "sha256", content, usedforsecurity=False)


def compute_id(kind: str, content: bytes, id_bytes: int) -> str:
    """Returns the id of an object; `id_bytes`: the length of a raw id."""
    made = open_digest(id_bytes, render_header(kind, content))
    made.update(content)
    return made.hexdigest()


def render_header(kind: str, content: bytes) -> bytes:
    """Returns what stands before the content of an object, in its file and in what its id is made of."""
    return b"%s %d\0" % (kind.encode(), len(content))


_DELIMITERS = dict.fromkeys(map(ord, "<>\n\0"))


class Ident(Struct, frozen=True):
    """The author or the committer of a commit, and the time (seconds since the epoch, UTC)."""

    name: str
    email: str
    when: int

    def render(self) -> str:
        """Returns the text that a commit has for it."""
        return f"{_without_delimiters(self.name)} <{_without_delimiters(self.email)}> {self.when} +0000"

    def variables(self, role: str) -> dict[str, str]:
        """Returns the environment variables that set it for a git process; `role`: AUTHOR or COMMITTER."""
        return {
            f"GIT_{role}_NAME": _without_delimiters(self.name),
            f"GIT_{role}_EMAIL": _without_delimiters(self.email),
            f"GIT_{role}_DATE": f"@{self.when} +0000",
        }


def parse_ident(text: str) -> Ident:
    """Returns the identity that a line of a commit's header holds; its time zone is dropped."""
    name, _, rest = text.partition(" <")
    email, _, when = rest.partition("> ")
    return Ident(name, email, int(when.split(" ")[0]))


def _without_delimiters(name: str) -> str:
    """Returns a name as git would write it: without the characters that delimit it in a commit."""
    return name.translate(_DELIMITERS).strip()


class Commit(Struct, frozen=True):
    """A commit object without its signature."""

    oid: str
    tree: str
    parents: tuple[str, ...]
    author: str
    """As the commit has it; see `parse_ident`."""
    committer: str
    is_signed: bool
    message: str


def parse_commit(oid: str, data: bytes, errors: str = "replace") -> Commit:
    """Returns the commit that an object holds.

    Args:
        oid: its id.
        data: its content.
        errors: what is done with bytes that are not UTF-8; "strict" for a commit that is to be written again.
    """
    header, _, message = data.decode(errors=errors).partition("\n\n")
    fields = [line.partition(" ")[::2] for line in header.split("\n")]
    first = dict(reversed(fields))
    return Commit(
        oid=oid,
        tree=first["tree"],
        parents=tuple(value for key, value in fields if key == "parent"),
        author=first["author"],
        committer=first["committer"],
        is_signed=any(key.startswith("gpgsig") for key, _ in fields),
        message=message,
    )


def render_commit(
    tree: str, parents: tuple[str, ...], message: str, author: Ident, committer: Ident
) -> bytes:
    """Returns the content of a commit object without a signature."""
    lines = [
        f"tree {tree}",
        *(f"parent {parent}" for parent in parents),
        f"author {author.render()}",
        f"committer {committer.render()}",
    ]
    return ("\n".join(lines) + "\n\n" + end_message(message)).encode()


def end_message(message: str) -> str:
    """Returns a commit message that ends with one newline."""
    return message.rstrip("\n") + "\n"


class TreeEntry(Struct, frozen=True):
    """One line of a tree object; `mode` as git stores it (no leading zero)."""

    mode: str
    name: str
    oid: str

    @property
    def is_tree(self) -> bool:
        """Whether this is a folder."""
        return self.mode == TREE

    @property
    def is_file(self) -> bool:
        """Whether this is a regular file, executable or not."""
        return self.mode.startswith("100")

    @property
    def sort_key(self) -> bytes:
        """The bytes by which git sorts the entries of a tree: the name, for a folder with a slash."""
        return encode_path(f"{self.name}/" if self.is_tree else self.name)


def parse_tree(data: bytes, id_bytes: int) -> Iterator[TreeEntry]:
    """Yields the entries of a tree object, in git's order.

    Args:
        data: its content.
        id_bytes: the length of a raw object id.

    Raises:
        GitError: it has another form.
    """
    for mode, name, oid, rest in _ENTRIES[id_bytes].findall(data):
        if rest:
            raise GitError(("ls-tree",), 128, f"not an entry of a tree: {rest[:80]!r}")
        # old programs have written modes with a zero
        yield TreeEntry(mode.lstrip(b"0").decode(), decode_path(name), oid.hex())


def sort_entries(entries: Iterable[TreeEntry]) -> list[TreeEntry]:
    """Returns the entries of a tree in git's order."""
    return sorted(entries, key=lambda entry: entry.sort_key)


def render_tree(entries: Iterable[TreeEntry]) -> bytes:
    """Returns the content of a tree object with these entries, in git's order whatever theirs is."""
    return render_sorted(sort_entries(entries))


def render_sorted(entries: Iterable[TreeEntry]) -> bytes:
    """Returns the content of a tree object with these entries, which are in git's order."""
    return b"".join(
        f"{entry.mode} ".encode() + encode_path(entry.name) + b"\0" + bytes.fromhex(entry.oid)
        for entry in entries
    )
