"""The commits of a history as a graph: our commits, the lines of first parents, and the commits that follow each.

A line is a commit with its first parents. Everything here is linear in the number of commits.
"""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

from msgspec import Struct

from gitbatch.batch.history.trailers import Kind, Trailers, parse_trailers
from gitbatch.repo.objects.codec import Commit
from gitbatch.repo.repository import Repository


class Ours(Struct, frozen=True):
    """A commit with trailers of ours, in any spelling."""

    commit: Commit
    trailers: Trailers

    @property
    def group(self) -> tuple[str, int] | None:
        """Returns batch and group of a commit that gitbatch may have made; else None."""
        return (self.trailers.batch, self.trailers.group) if self.trailers.kind else None


class Lines(Struct, frozen=True):
    """The tree of first parents: a commit's line is its path to the root."""

    start: dict[str, int]
    size: dict[str, int]
    cut: frozenset[str]
    """The commits whose line ends where a shallow clone does."""

    def may_hold(self, oid: str, tip: str) -> bool:
        """Returns true if a commit is on the line of another, or may be on a part of the line that the clone lacks."""
        return self.is_on(oid, tip) or tip in self.cut

    def is_on(self, oid: str, tip: str) -> bool:
        """Returns true if a commit is on the line of another, as far as the clone goes."""
        start = self.start[oid]
        return start <= self.start[tip] < start + self.size[oid]

    def find_repeated(self, oids: Iterable[str]) -> Iterator[str]:
        """Yields those of some commits that have another one of them on their line."""
        open_ends: list[int] = []
        for oid in sorted(set(oids), key=self.start.__getitem__):
            while open_ends and open_ends[-1] <= self.start[oid]:
                open_ends.pop()
            if open_ends:
                yield oid
            open_ends.append(self.start[oid] + self.size[oid])


class History(Struct, frozen=True):
    """The commits that can be reached from the tips."""

    tips: tuple[str, ...]
    parents: dict[str, tuple[str, ...]]
    """The parents of every commit, parents before their children."""
    ours: dict[str, Ours]
    """In the same order."""
    ends: frozenset[str]
    """The commits whose parents a shallow clone lacks."""
    lines: Lines
    followers: dict[str, list[Ours]]
    """Our commits by their first parent."""
    brought_by: dict[str, list[Ours]]
    """Our merges by their other parents."""
    merged_by_users: dict[str, list[str]]
    """Other merges by those of their other parents that are an item's."""
    checkpoints: dict[tuple[str, str, int], list[Ours]]
    """By batch and number, and by batch and group."""
    checkpoints_of: dict[str, list[Ours]]
    """By batch, in the order of the history."""
    group_titles: dict[tuple[str, int], str]
    """The name of each group in its first commit."""
    checkpoint_counts: dict[str, int]
    """The number of checkpoints of a batch, as its first checkpoint states it."""
    versioned: frozenset[str]
    """The batches with a commit that states its format."""
    plans: dict[str, str]
    """The plan of each batch, as its first checkpoint that states one does."""

    def plan_of(self, ours: Ours) -> str | None:
        """Returns the plan of a commit's batch, by its own trailers or those of a checkpoint; None if none states it."""
        return ours.trailers.plan or self.plans.get(ours.trailers.batch)

    bases: frozenset[str]
    """The base merges: an item of the batch stands on them, and no checkpoint of their group."""

    def is_followed_in_group(self, oid: str) -> bool:
        """Whether a merge or checkpoint of the same group follows a merge; else it can only be a base merge."""
        followers = self.followers.get(oid, ())
        return any(_records(above, self.ours[oid], self.bases) for above in followers)

    def direct_items(self, oid: str) -> tuple[str, ...]:
        """Returns the item commits that the base of an item's commit merges itself."""
        base, found = self.parents[oid][0] if self.parents[oid] else "", tuple[str, ...]()
        while base in self.bases and base not in self.ends:
            found = (*self.parents[base][1:], *found)
            base = self.parents[base][0]
        return tuple(item for item in found if self.kind_of(item) is Kind.ITEM)

    def line_below(self, oid: str) -> str:
        """Returns the first parent of a commit; for one that stands on a base merge, the commit below that.

        A commit is judged by the project of this commit: base merges add outputs, and no control file.
        """
        base = self.parents[oid][0]
        while base in self.bases and base not in self.ends:
            base = self.parents[base][0]
        return base

    def is_on_line(self, oid: str) -> bool:
        """Whether a commit is certainly on the line of a tip, and is not the tip itself."""
        return any(
            tip != oid and self.lines.may_hold(oid, tip) and tip not in self.lines.cut for tip in self.tips
        )

    def last_group_checkpoint(self, batch: str, oid: str) -> str | None:
        """Returns the last of those that record a whole group: those of revisions are left out."""
        found = (ours for ours in self.checkpoints_of.get(batch, ()) if not ours.trailers.revision)
        on_line = [other.commit.oid for other in found if self.lines.is_on(other.commit.oid, oid)]
        return max(on_line, key=self.lines.start.__getitem__, default=None)

    def checkpoints_like(self, ours: Ours) -> dict[str, list[Ours]]:
        """Returns the checkpoints of the same batch with the same number, and those with the same group."""
        return {what: self.checkpoints[key] for what, key in _unique_places(ours).items()}

    def is_unversioned(self, oid: str) -> bool:
        """Whether a well-formed commit is of a batch in which no commit states its format, as with gitbatch 0.1."""
        trailers = self.ours[oid].trailers
        return trailers.kind is not None and trailers.batch not in self.versioned

    def kind_of(self, oid: str) -> Kind | None:
        """Returns the kind of a commit; None if it is not ours."""
        ours = self.ours.get(oid)
        return ours.trailers.kind if ours else None


def read_history(repo: Repository, tips: list[str], base: str = "") -> History:
    """Reads the graph by one `git rev-list`; reads as objects only commits that may be ours, or have no parents.

    If `base` is set, what can be reached from it is left out: the lines of the commits end above it.
    """
    wanted = (*tips, *((f"^{base}",) if base else ()))
    listed = (
        repo.git.read_output("rev-list", "--topo-order", "--reverse", "--parents", *wanted) if tips else ""
    )
    rows = (line.split(" ") for line in listed.splitlines())
    parents = {oid: tuple(above) for oid, *above in rows}
    ours = _read_ours(repo, wanted, parents) if tips else {}
    roots = (oid for oid, above in parents.items() if not above)
    ends = frozenset(oid for oid in roots if repo.objects.read_commit(oid).parents)
    followers: dict[str, list[Ours]] = {}
    brought_by: dict[str, list[Ours]] = {}
    checkpoints: dict[tuple[str, str, int], list[Ours]] = {}
    of_batch: dict[str, list[Ours]] = {}
    titles: dict[tuple[str, int], str] = {}
    counts: dict[str, int] = {}
    plans: dict[str, str] = {}
    for oid, found in ours.items():
        first, *others = parents[oid] or ("",)
        followers.setdefault(first, []).append(found)
        for other in others if found.trailers.kind is Kind.MERGE else ():
            brought_by.setdefault(other, []).append(found)
        if found.group:
            titles.setdefault(found.group, found.trailers.first_value("Group"))
        if found.trailers.kind is Kind.CHECKPOINT:
            of_batch.setdefault(found.trailers.batch, []).append(found)
            if found.trailers.plan:
                plans.setdefault(found.trailers.batch, found.trailers.plan)
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
        _number_lines(_find_firsts(parents) if base else parents, ends),
        followers,
        brought_by,
        _find_users_merges(parents, ours),
        checkpoints,
        of_batch,
        titles,
        counts,
        frozenset(found.trailers.batch for found in ours.values() if found.trailers.format),
        plans,
        _find_bases(ours, followers),
    )


def _find_bases(ours: dict[str, Ours], followers: dict[str, list[Ours]]) -> frozenset[str]:
    """Returns the base merges; for more than 16 items, one of them follows another."""
    found: set[str] = set()
    for oid, merge in reversed(ours.items()):
        above = followers.get(oid, ()) if merge.trailers.kind is Kind.MERGE else ()
        if any(_records(other, merge, found) for other in above):
            continue
        if any(_stands_on(other, merge) or other.commit.oid in found for other in above):
            found.add(oid)
    return frozenset(found)


def _records(above: Ours, merge: Ours, bases: AbstractSet[str]) -> bool:
    """Whether a commit is the next one of the group that a merge belongs to: a merge or its checkpoint."""
    if above.group != merge.group or above.commit.oid in bases:
        return False
    return above.trailers.kind in {Kind.MERGE, Kind.CHECKPOINT}


def _stands_on(above: Ours, merge: Ours) -> bool:
    """Whether an item of the same batch has a merge as its parent."""
    return above.trailers.kind is Kind.ITEM and above.trailers.batch == merge.trailers.batch


def _find_users_merges(parents: dict[str, tuple[str, ...]], ours: dict[str, Ours]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for oid, above in parents.items():
        for other in above[1:] if oid not in ours else ():
            if other in ours and ours[other].trailers.kind is Kind.ITEM:
                found.setdefault(other, []).append(oid)
    return found


def _unique_places(ours: Ours) -> dict[str, tuple[str, str, int]]:
    """Returns what a batch may have only once on a line: the number of a checkpoint, and its group, for each revision."""
    if ours.trailers.kind is not Kind.CHECKPOINT:
        return {}
    number, revision = ours.trailers.position[0], ours.trailers.revision
    batch = ours.trailers.batch
    if revision:
        return {"revision": (batch, f"revision {revision}", ours.trailers.group)}
    return {"number": (batch, "number", number), "group": (batch, "group", ours.trailers.group)}


def _find_firsts(parents: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Returns the first parent of each commit, as far as it is among the commits."""
    return {oid: tuple(first for first in above[:1] if first in parents) for oid, above in parents.items()}


def _read_ours(
    repo: Repository, tips: tuple[str, ...], parents: dict[str, tuple[str, ...]]
) -> dict[str, Ours]:
    options = ("--fixed-strings", "--regexp-ignore-case", "--grep=Gitbatch-")
    as_stored = set(repo.git.read_output("rev-list", *options, "--encoding=none", *tips).split())
    decoded = set(repo.git.read_output("rev-list", *options, "--encoding=UTF-8", *tips).split())
    wanted = as_stored | decoded
    commits = repo.objects.read_commits(oid for oid in parents if oid in wanted)
    read = (Ours(commit, _parse_stored(commit, is_stored=commit.oid in as_stored)) for commit in commits)
    return {found.commit.oid: found for found in read if found.trailers.are_ours}


def _parse_stored(commit: Commit, *, is_stored: bool) -> Trailers:
    if not is_stored:  # git decodes it before it reads trailers; gitbatch writes UTF-8 alone
        return Trailers(problem="its message is in an encoding that gitbatch does not write")
    return parse_trailers(commit.message)


def _number_lines(parents: dict[str, tuple[str, ...]], ends: frozenset[str]) -> Lines:
    """Numbers the commits so that the descendants of a commit, by first parents, follow it without a gap."""
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
