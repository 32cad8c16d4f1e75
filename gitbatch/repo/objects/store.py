"""The object store of a repository: everything that is read and written of it without an index and a checkout.

A change to one file costs the trees on its path, however large the repository is.
Not thread-safe: a run has one thread for git.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gitbatch.repo.objects.codec import (
    REGULAR,
    TREE,
    Commit,
    Ident,
    TreeEntry,
    end_message,
    parse_commit,
    parse_ident,
    render_commit,
    render_sorted,
    sort_entries,
)
from gitbatch.repo.objects.reader import ObjectReader
from gitbatch.repo.signing import Signer, SigningError, UnansweredSigningError


@dataclass(slots=True, eq=False, repr=False)
class Objects(ObjectReader):
    """Reads and writes the objects of one repository. Close it when done."""

    signer: Signer | None = None
    """Signs as the user has configured it; None: they do not sign."""
    _is_unanswered: bool = field(init=False, default=False)
    """Whether the signing program has once not answered."""

    def write_blob(self, content: bytes | int) -> str:
        """Stores a blob: bytes of ours, or the content of a file descriptor, which only git reads. Returns its id."""
        return (
            self.writer.write_fd(content) if isinstance(content, int) else self.writer.write("blob", content)
        )

    def write_tree(self, base: str | None, blobs: Mapping[str, str | None]) -> str:
        """Stores the tree `base` with the regular files `blobs` (path → blob id; None: no file) put in. Returns its id.

        Missing folders are created, and those that become empty are left out. A file where a folder is needed is
        replaced: callers check that before.
        """
        return self._write_folder(self._put_in(base, blobs))

    def _write_folder(self, entries: Mapping[str, TreeEntry]) -> str:
        """Stores a tree with these entries, and caches them: the check of an item's commit and the next merge read them."""
        # Every entry exists: it was written here, or was in the tree before. git does not check that (`--literally`), so
        # a folder of 10,000 files is cheap, and a partial clone fetches nothing.
        ordered = sort_entries(entries.values())
        made = self.writer.write("tree", render_sorted(ordered))
        self.keep_folder(made, {entry.name: entry for entry in ordered})
        return made

    def _put_in(self, base: str | None, blobs: Mapping[str, str | None]) -> Mapping[str, TreeEntry]:
        """Returns the entries of such a tree by name; the folders below it are stored."""
        entries = dict(self.read_folder(base)) if base else {}
        below: dict[str, dict[str, str | None]] = {}
        for path, oid in blobs.items():
            name, _, rest = path.partition("/")
            if rest:
                below.setdefault(name, {})[rest] = oid
            elif oid is None:
                entries.pop(name, None)
            else:
                entries[name] = TreeEntry(REGULAR, name, oid)
        for name, inner in below.items():
            old = entries.get(name)
            if (old is None or not old.is_tree) and not any(inner.values()):
                continue  # there is nothing below it that could be taken away
            inside = self._put_in(old.oid if old and old.is_tree else None, inner)
            entries.pop(name, None)
            if inside:
                entries[name] = TreeEntry(TREE, name, self._write_folder(inside))
        return entries

    def write_commit(
        self, tree: str, parents: tuple[str, ...], message: str, author: Ident, committer: Ident
    ) -> str:
        """Stores a commit, signed if the user signs, and returns its id. git does not edit the message.

        Raises:
            SigningError: it cannot be signed.
        """
        if self.signer is None:
            return self.write_unsigned(tree, parents, message, author, committer)
        who = author.variables("AUTHOR") | committer.variables("COMMITTER")
        self.writer.flush()
        made = self.signer.write_commit(self.git, tree, parents, end_message(message), who)
        return self.writer.mark_unsynced(made)

    def write_signed_if_possible(
        self, tree: str, parents: tuple[str, ...], message: str, author: Ident, committer: Ident
    ) -> str:
        """Stores a commit; without a signature if it cannot be signed: `sign_commit` does it later.

        A signing program that has not answered once is not started again: each time would cost minutes.
        """
        parts = (tree, parents, message, author, committer)
        try:
            return self.write_unsigned(*parts) if self._is_unanswered else self.write_commit(*parts)
        except SigningError as error:
            self._is_unanswered = isinstance(error, UnansweredSigningError)
            return self.write_unsigned(*parts)

    def write_unsigned(
        self, tree: str, parents: tuple[str, ...], message: str, author: Ident, committer: Ident
    ) -> str:
        """Stores a commit without a signature. Returns its id."""
        return self.writer.write("commit", render_commit(tree, parents, message, author, committer))

    def sign_commit(self, oid: str) -> str:
        """Returns a signed copy of a commit of ours; the commit itself if it is signed or the user does not sign.

        Raises:
            SigningError: it cannot be signed.
        """
        if self.signer is None:
            return oid
        commit = self._own_commit(oid)
        return oid if commit.is_signed else self._write_again(commit, commit.tree, commit.parents)

    def lacks_signature(self, oid: str) -> bool:
        """Returns true if the user signs commits and one of ours is not signed."""
        return self.signer is not None and not self._own_commit(oid).is_signed

    def rewrite_commit(self, oid: str, tree: str, parents: tuple[str, ...]) -> str:
        """Stores a commit of ours with another tree and other parents; author, committer and message stay.

        Raises:
            SigningError: it cannot be signed.
        """
        return self._write_again(self._own_commit(oid), tree, parents)

    def _own_commit(self, oid: str) -> Commit:
        """Returns a commit of ours. It is UTF-8 (strict), so nothing is lost when it is written again."""
        return parse_commit(oid, self._read_object(oid, "commit"), errors="strict")

    def _write_again(self, commit: Commit, tree: str, parents: tuple[str, ...]) -> str:
        author, committer = parse_ident(commit.author), parse_ident(commit.committer)
        return self.write_commit(tree, parents, commit.message, author, committer)

    def require_signer(self) -> None:
        """Signs a test commit, if the user signs, before anything is paid for.

        Raises:
            SigningError: it cannot be signed.
        """
        if self.signer is not None:
            self.signer.require_usable(self.git)

    def wait_for_signer(self, limit: float, tell: Callable[[str], None]) -> None:
        """Sets how many seconds a signing program is waited for; `tell` is called with a notice while it is."""
        self.signer = self.signer and self.signer.with_limit(limit, tell)

    def stop_signing(self) -> None:
        """Ends the signing program, and each one that is started later, without waiting. Callable from any thread."""
        if self.signer is not None:
            self.signer.patience.stop.set()
