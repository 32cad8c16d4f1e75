"""Garbage collection: finds what finished batches left and removes it, after unmerged commits have been kept.

It finds only what gitbatch created: refs and branches with the id of a batch, the folders listed for its worktrees, and
git's entries of worktrees with names like ours. Everything of an unfinished batch stays.

A commit that no branch, remote branch or tag of the user contains would be lost with the ref that holds it. It is kept
under `refs/gitbatch/<batch>/rescue/`, like the commits that `gitbatch abort` keeps: not below `refs/heads/`, so it is
neither listed nor pushed as a branch, and `git branch NAME REF` makes it a branch again. Outputs of failed attempts
(`rescue.py`) are not such commits: they stay as long as the record of their batch, and are removed with it.
"""

import os
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from gitbatch.batch.history.record import BATCH_ID, read_plan_path
from gitbatch.batch.history.rescue import is_base_merge, is_rescued_output
from gitbatch.batch.history.worktree_folders import remove_leftovers, worktrees_dirs
from gitbatch.fs.removal import remove_anything
from gitbatch.repo.refs.names import (
    BATCHES,
    HEADS,
    base_ref,
    end_ref,
    item_branches,
    record_ref,
    rescue_ref,
    rescue_refs,
    short,
)
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.worktree import list_checked_out, worktrees_named

_OWN_BRANCHES = f"{HEADS}gitbatch/"
_TEMPORARY = "gitbatch-*"
"""Temporary folders of a harvest that a kill left behind."""


class LeftoverKind(StrEnum):
    """The kinds of things to remove."""

    WORKTREE = "worktree"
    BRANCH = "branch"
    REF = "ref"
    FOLDER = "folder"
    LAYER = "layer"
    """Files of a base commit in the cache folder, of any repository."""


class Removal(Struct, frozen=True):
    """One thing to remove."""

    kind: LeftoverKind
    name: str
    """The full name of a ref; a path."""
    batch: str = ""
    oid: str = ""
    """The object that a ref points to."""


class Rescue(Struct, frozen=True):
    """A commit that is kept under another ref because no other ref contains it."""

    name: str
    """The ref that holds it now and is removed."""
    ref: str
    """The ref that keeps it."""
    commit: str


class Kept(Struct, frozen=True):
    """Something that is kept, with the reason."""

    name: str
    reason: str


class Garbage(Struct, frozen=True):
    """The result of a search: what to remove, what to rescue first, and what is kept."""

    removed: tuple[Removal, ...]
    rescued: tuple[Rescue, ...]
    kept: tuple[Kept, ...]


def find_garbage(repo: Repository, keep: int) -> Garbage:
    """Returns what finished batches left. Changes nothing.

    Args:
        repo: the repository.
        keep: the number of the last finished batches of each plan whose refs and logs are kept.
    """
    refs = repo.refs.below(BATCHES) | repo.refs.below(_OWN_BRANCHES)
    batches = _batch_ids(repo, refs)
    open_ones = [b for b in batches if _is_unfinished(b, refs)]
    over = [b for b in batches if b not in open_ones]
    known = {b for b in over if record_ref(b) in refs}
    last = _select_last(repo, known, keep)
    unmerged = _find_unmerged(repo, refs)
    taken = _checked_out_by_user(repo, over)
    parts = [_find_garbage_of(repo, batch, refs, unmerged, taken, known=batch in last) for batch in over]
    temporary = tuple(
        Removal(LeftoverKind.FOLDER, str(path)) for path in sorted(repo.own_dir.glob(_TEMPORARY))
    )
    waiting = tuple(
        Kept(b, "it is unfinished: gitbatch run resumes it, gitbatch abort ends it") for b in open_ones
    )
    return Garbage(
        removed=(*(r for part in parts for r in part.removed), *temporary),
        rescued=tuple(r for part in parts for r in part.rescued),
        kept=(*waiting, *(k for part in parts for k in part.kept)),
    )


def remove_garbage(repo: Repository, garbage: Garbage) -> None:
    """Removes garbage under the repository's lock, in an order in which no commit is lost and no batch becomes unfinished."""
    for rescue in garbage.rescued:
        repo.point(rescue.ref, rescue.commit)
    for batch in dict.fromkeys(r.batch for r in garbage.removed if r.kind is LeftoverKind.WORKTREE):
        remove_leftovers(repo, batch)
    refs = {r.name: r.oid for r in garbage.removed if r.kind in {LeftoverKind.BRANCH, LeftoverKind.REF}}
    # Records first: a batch exists while its record does, and with a record but no end ref it would be unfinished.
    records = {name: oid for name, oid in refs.items() if name.endswith("/record")}
    repo.refs.delete(records)
    repo.refs.delete({name: oid for name, oid in refs.items() if name not in records})
    for removal in garbage.removed:
        if removal.kind is LeftoverKind.FOLDER:
            remove_anything(Path(removal.name))


def _select_last(repo: Repository, batches: Iterable[str], keep: int) -> frozenset[str]:
    """Returns the last batches of each plan: each has a history of its own."""
    by_plan: dict[str, list[str]] = {}
    for batch in sorted(batches):
        by_plan.setdefault(read_plan_path(repo, batch), []).append(batch)
    return frozenset(b for of_plan in by_plan.values() for b in (of_plan[-keep:] if keep else ()))


def _batch_ids(repo: Repository, refs: Iterable[str]) -> list[str]:
    """Returns the ids of all batches that left a ref, a branch or a folder, the oldest first."""
    named = {ref.split("/")[2 if ref.startswith(BATCHES) else 3] for ref in refs}
    noted = {path.name for path in repo.own_dir.glob("*") if path.is_dir()}
    return sorted(name for name in named | noted if BATCH_ID.fullmatch(name))


def _is_unfinished(batch: str, refs: dict[str, str]) -> bool:
    return record_ref(batch) in refs and base_ref(batch) in refs and end_ref(batch) not in refs


def _find_unmerged(repo: Repository, refs: dict[str, str]) -> frozenset[str]:
    """Returns the commits of our refs that no ref of the user contains."""
    everything = repo.refs.below("refs/")
    theirs = {oid for ref, oid in everything.items() if ref not in refs} | {repo.refs.commit("HEAD") or ""}
    ours = {oid for ref, oid in refs.items() if ref != record_ref(ref.split("/")[2])}
    lines = [*sorted(ours), *(f"^{oid}" for oid in sorted(theirs - {""}))]
    if not ours:
        return frozenset()
    listed = repo.git.run(
        "rev-list", "--ignore-missing", "--stdin", input="\n".join(lines).encode() + b"\n"
    ).stdout
    return frozenset(listed.decode().split()) & ours


def _checked_out_by_user(repo: Repository, batches: Iterable[str]) -> dict[str, Path]:
    """Returns the branches that the user has checked out, without those in worktrees of finished batches."""
    ours = {path for batch in batches for path in worktrees_named(repo, f"{batch}-")}
    return {ref: folder for ref, folder in list_checked_out(repo).items() if folder not in ours}


def _find_garbage_of(
    repo: Repository,
    batch: str,
    refs: dict[str, str],
    unmerged: frozenset[str],
    taken: dict[str, Path],
    *,
    known: bool,
) -> Garbage:
    """Returns what one finished batch left; `known`: its refs and its log are kept."""
    folders = {*worktrees_named(repo, f"{batch}-"), *(p for p in worktrees_dirs(repo, batch) if p.exists())}
    found = [Removal(LeftoverKind.WORKTREE, os.fspath(folder), batch) for folder in sorted(folders)]
    branches = {ref: oid for ref, oid in refs.items() if ref.startswith(item_branches(batch))}
    kept = [Kept(ref, f"it is checked out in {taken[ref]}") for ref in branches if ref in taken]
    found += [
        Removal(LeftoverKind.BRANCH, ref, batch, oid) for ref, oid in branches.items() if ref not in taken
    ]
    rescued = {ref: oid for ref, oid in refs.items() if ref.startswith(rescue_refs(batch))}
    outputs = {ref: oid for ref, oid in rescued.items() if is_rescued_output(repo, batch, oid)}
    unmerged -= frozenset(outputs.values())  # outputs of failed attempts are removed with the record
    unmerged -= frozenset(oid for oid in branches.values() if is_base_merge(repo, batch, oid))
    for ref, oid in refs.items():
        if not ref.startswith(f"{BATCHES}{batch}/"):
            continue
        if ref in rescued and oid in unmerged:
            kept.append(
                Kept(ref, f"it is not merged (see it with git show; delete it with git update-ref -d {ref})")
            )
        elif (ref in rescued and ref not in outputs) or not known:
            found.append(Removal(LeftoverKind.REF, ref, batch, oid))
    log = repo.own_dir / batch
    if log.is_dir() and not known:
        found.append(Removal(LeftoverKind.FOLDER, os.fspath(log), batch))
    return Garbage(tuple(found), _plan_rescues(batch, found, refs, unmerged), tuple(kept))


def _plan_rescues(
    batch: str, found: list[Removal], refs: dict[str, str], unmerged: frozenset[str]
) -> tuple[Rescue, ...]:
    """Returns a rescue ref for each unmerged commit whose last ref is removed."""
    going = {removal.name for removal in found}
    safe = {oid for ref, oid in refs.items() if ref not in going}
    used = set(refs)
    rescues: list[Rescue] = []
    for removal in found:
        if removal.oid not in unmerged or removal.oid in safe:
            continue
        slug = removal.name.removeprefix(item_branches(batch)).removeprefix(f"{BATCHES}{batch}/")
        name, count = rescue_ref(batch, slug.replace("/", "-")), 1
        while name in used:
            count += 1
            name = rescue_ref(batch, f"{slug.replace('/', '-')}.{count}")
        safe.add(removal.oid)
        used.add(name)
        rescues.append(Rescue(short(removal.name), name, removal.oid))
    return tuple(rescues)
