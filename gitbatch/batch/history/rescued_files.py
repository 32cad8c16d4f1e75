"""The files that rescue refs keep, of all batches: found, and given back to the user's checkout.

Any process of the user's may write refs, so a ref counts only if its commit has the form of an item's or of a failed
attempt's, and if its path may be an output.
"""

import math
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress

from msgspec import Struct

from gitbatch.batch.history.record import all_batches
from gitbatch.batch.history.trailers import Kind, Trailers, parse_trailers
from gitbatch.errors import GitbatchError, UsageError
from gitbatch.plan.model import ItemKey
from gitbatch.plan.outputs import path_problem
from gitbatch.repo.checkout.free_path import write_to_free_path
from gitbatch.repo.objects.codec import REGULAR, Commit
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.refs.names import BATCHES, rescue_refs
from gitbatch.repo.refs.store import split_rescued_output
from gitbatch.repo.repository import Repository
from gitbatch.text import CleanText, clean_text


class RescuedFile(Struct, frozen=True):
    """A file that a rescue ref keeps."""

    ref: str
    batch: str
    slug: ItemKey
    """The item's key in its batch: the last part of its branch's name."""
    name: str
    """The item's id, or its path where it has none."""
    path: str
    blob: str
    attempt: int
    """The failed attempt that wrote it; 0: its item was finished, but never merged."""
    reason: CleanText
    """Why that attempt failed; empty if the item was finished."""


def list_rescued(repo: Repository) -> tuple[RescuedFile, ...]:
    """Returns the files that rescue refs keep, the oldest batch first."""
    return tuple(_find_rescued(repo, BATCHES))


def map_rescued(repo: Repository, batch: str) -> Mapping[ItemKey, RescuedFile]:
    """Returns the files that a batch keeps, one for each item: the finished one, else that of the last attempt."""
    found = sorted(_find_rescued(repo, rescue_refs(batch)), key=lambda file: file.attempt or math.inf)
    return {file.slug: file for file in found}


def take_rescued(repo: Repository, wanted: str) -> RescuedFile:
    """Writes a rescued file to its path in the checkout, if that is free or has the file as it is committed.

    Args:
        repo: the repository.
        wanted: the id of an item in any case, or a path, or the name of a rescue ref. Of several, the last one counts.

    Raises:
        UsageError: nothing is kept under that name.
        GitbatchError: something else is at the path.
        OSError: the disk fails.
    """
    found = list_rescued(repo)
    matching = [f for f in found if wanted in {f.path, f.ref} or wanted.casefold() == f.name.casefold()]
    if not matching:
        names = ", ".join(dict.fromkeys(f.name for f in found))
        advice = f"kept are: {names}" if names else "nothing is kept in this repository"
        raise UsageError(f"no rescued file is called {clean_text(wanted)}", advice)
    taken = matching[-1]
    head = repo.refs.commit("HEAD")
    tree = repo.objects.read_commit(head).tree if head else ""
    if not write_to_free_path(repo, tree, taken.path, taken.blob):
        raise GitbatchError(
            f"{taken.path} in your checkout has changes or is not a file: it was not written",
            f"move it away and take again, or write it elsewhere: git show {taken.ref}:{shlex.quote(taken.path)} > FILE",
        )
    return taken


def _find_rescued(repo: Repository, below: str) -> Iterator[RescuedFile]:
    refs = sorted(repo.refs.below(below).items())
    names = _item_names(repo) if refs else {}
    for ref, oid in refs:
        batch = ref.removeprefix(BATCHES).partition("/")[0]
        if not ref.startswith(rescue_refs(batch)):
            continue
        try:
            commit = repo.objects.read_commit(oid)
            trailers = parse_trailers(commit.message)
            path, blob = _only_file(repo, commit)
        except MissingObjectError:  # pruned: nothing is kept
            continue
        slug, attempt = _split_name(ref.removeprefix(rescue_refs(batch)), trailers)
        if path and trailers.batch == batch and path in {trailers.output, trailers.rescued}:
            reason = trailers.first_value("Rescued").partition(": ")[2]
            name = names.get((batch, slug), path)
            yield RescuedFile(ref, batch, ItemKey(slug), name, path, blob, attempt, clean_text(reason))


def _split_name(name: str, trailers: Trailers) -> tuple[str, int]:
    """Returns the slug of a rescue ref's item, and the attempt that failed; 0: none did."""
    failed = split_rescued_output(name) if trailers.kind is Kind.RESCUE else None
    return failed or (name.partition(".")[0], 0)


def _only_file(repo: Repository, commit: Commit) -> tuple[str, str]:
    """Returns path and blob of the file that a commit writes; empty if it does anything else."""
    if len(commit.parents) != 1:
        return "", ""
    changes = tuple(repo.objects.diff_trees(repo.objects.tree_of(commit.parents[0]), commit.tree))
    new = changes[0].new if len(changes) == 1 else None
    if (
        new is None
        or new.mode != REGULAR
        or path_problem(changes[0].path)
        or not repo.objects.is_blob(new.oid)
    ):
        return "", ""
    return changes[0].path, new.oid


def _item_names(repo: Repository) -> dict[tuple[str, str], str]:
    """Returns the names of items by batch and slug, as far as the records of the batches are readable."""
    with suppress(GitbatchError):
        batches = all_batches(repo)
        return {(batch.id, item.slug): item.name for batch in batches for item in batch.record.items}
    return {}
