"""The commits of a history as a graph: which are ours, which stand on one line, what follows what.

A line is a commit with its first parents. Everything here is linear in the number of commits.
"""

from collections.abc import Iterable, Iterator

from msgspec import Struct

from gitbatch.batch.history.trailers import Kind, Trailers, parse_trailers
from gitbatch.repo.objects.codec import Commit
from gitbatch.repo.repository import Repository


class Ours(Struct, frozen=True):
    """A commit that carries trailers of ours, in whatever spelling."""

    commit: Commit
    trailers: Trailers

    @property
    def group(self) -> tuple[str, int] | None:
        """The batch and group of a commit that gitbatch may have made."""
        return (self.trailers.batch, self.trailers.group) if self.trailers.kind else None


class Lines(Struct, frozen=True):
    """The tree that the first parents make: a commit's line is its way to the root."""

    start: dict[str, int]
    size: dict[str, int]
    cut: frozenset[str]
    """The commits whose line ends where a shallow clone does."""

    def may_hold(self, oid: str, tip: str) -> bool:
        """Whether a commit is on the line of another, or may be on the part that the clone lacks."""
        return self._is_on(oid, tip) or tip in self.cut

    def _is_on(self, oid: str, tip: str) -> bool:
        start = self.start[oid]
        return start <= self.start[tip] < start + self.size[oid]

    def find_repeated(self, oids: Iterable[str]) -> Iterator[str]:
        """Those of some commits that have another one of them on their line."""
        open_ends: list[int] = []
        for oid in sorted(set(oids), key=self.start.__getitem__):
            while open_ends and open_ends[-1] <= self.start[oid]:
                open_ends.pop()
            if open_ends:
                yield oid
            open_ends.append(self.start[oid] + self.size[oid])


class History(Struct, frozen=True):
    """A history as far as it can be reached from the tips."""

    tips: tuple[str, ...]
    parents: dict[str, tuple[str, ...]]
    """Of every commit; parents come before their children."""
    ours: dict[str, Ours]
    """In the same order."""
    ends: frozenset[str]
    """The commits whose parents a shallow clone lacks."""
    lines: Lines
    followers: dict[str, list[Ours]]
    """Our commits by their first parent."""
    brought_by: dict[str, list[Ours]]
    """Our merges by their other parents."""
    checkpoints: dict[tuple[str, str, int], list[Ours]]
    """By batch and number, and by batch and group."""
    checkpoint_counts: dict[str, int]
    """How many checkpoints a batch has, as the first of them says."""
    versioned: frozenset[str]
    """The batches with a commit that states its format."""

    def is_followed_in_group(self, oid: str) -> bool:
        """Whether a merge is part of a group's record: a commit of the same group, which is not an item's, follows."""
        group = self.ours[oid].group
        kinds = {Kind.MERGE, Kind.CHECKPOINT}
        followers = self.followers.get(oid, ())
        return any(above.group == group and above.trailers.kind in kinds for above in followers)

    def checkpoints_like(self, ours: Ours) -> dict[str, list[Ours]]:
        """The checkpoints of the same batch that have the same number, and those of the same group."""
        return {what: self.checkpoints[key] for what, key in _unique_places(ours).items()}

    def is_unversioned(self, oid: str) -> bool:
        """Whether a well-formed commit is of a batch in which no commit states its format, as with gitbatch 0.1."""
        trailers = self.ours[oid].trailers
        return trailers.kind is not None and trailers.batch not in self.versioned

    def kind_of(self, oid: str) -> Kind | None:
        """The kind of a commit; None: it is not ours."""
        ours = self.ours.get(oid)
        return ours.trailers.kind if ours else None


def read_history(repo: Repository, tips: list[str]) -> History:
    """Read the graph as git has it; read one by one only the commits that may be ours, and those without parents."""
    listed = repo.git.read_output("rev-list", "--topo-order", "--reverse", "--parents", *tips) if tips else ""
    rows = (line.split(" ") for line in listed.splitlines())
    parents = {oid: tuple(above) for oid, *above in rows}
    ours = _read_ours(repo, tips, parents) if tips else {}
    roots = (oid for oid, above in parents.items() if not above)
    ends = frozenset(oid for oid in roots if repo.objects.read_commit(oid).parents)
    followers: dict[str, list[Ours]] = {}
    brought_by: dict[str, list[Ours]] = {}
    checkpoints: dict[tuple[str, str, int], list[Ours]] = {}
    counts: dict[str, int] = {}
    for oid, found in ours.items():
        first, *others = parents[oid] or ("",)
        followers.setdefault(first, []).append(found)
        for other in others if found.trailers.kind is Kind.MERGE else ():
            brought_by.setdefault(other, []).append(found)
        if found.trailers.kind is Kind.CHECKPOINT:
            counts.setdefault(
                found.trailers.batch, int(found.trailers.first_value("Checkpoint").partition("/")[2])
            )
        for key in _unique_places(found).values():
            checkpoints.setdefault(key, []).append(found)
    return History(
        tuple(tips),
        parents,
        ours,
        ends,
        _number_lines(parents, ends),
        followers,
        brought_by,
        checkpoints,
        counts,
        frozenset(found.trailers.batch for found in ours.values() if found.trailers.format),
    )


def _unique_places(ours: Ours) -> dict[str, tuple[str, str, int]]:
    """What a batch has once on a line: a checkpoint's number, and its group."""
    if ours.trailers.kind is not Kind.CHECKPOINT:
        return {}
    number = int(ours.trailers.first_value("Checkpoint").partition("/")[0])
    batch = ours.trailers.batch
    return {"number": (batch, "number", number), "group": (batch, "group", ours.trailers.group)}


def _read_ours(repo: Repository, tips: list[str], parents: dict[str, tuple[str, ...]]) -> dict[str, Ours]:
    options = ("--fixed-strings", "--regexp-ignore-case", "--grep=Gitbatch-", "--encoding=none")
    candidates = set(repo.git.read_output("rev-list", *options, *tips).split())
    commits = (repo.objects.read_commit(oid) for oid in parents if oid in candidates)
    read = (Ours(commit, parse_trailers(commit.message)) for commit in commits)
    return {found.commit.oid: found for found in read if found.trailers.are_ours}


def _number_lines(parents: dict[str, tuple[str, ...]], ends: frozenset[str]) -> Lines:
    """Number the commits so that those above a commit, by first parents, follow it without a gap."""
    size = dict.fromkeys(parents, 1)
    for oid in reversed(parents):
        for first in parents[oid][:1]:
            size[first] += size[oid]
    start: dict[str, int] = {}
    free = {"": 0}
    cut: set[str] = set()
    for oid, above in parents.items():
        first = above[0] if above else ""
        start[oid] = free[first]
        free[first] += size[oid]
        free[oid] = start[oid] + 1
        if oid in ends or first in cut:
            cut.add(oid)
    return Lines(start, size, frozenset(cut))
