"""The outputs of earlier groups that an item was given, where its commit states only their number and digest.

They are found again in the plan and the tree that the item started from: as many files as the digest is of are the same
for all items of a group, so that they are looked for once.
"""

from msgspec import Struct, field

from gitbatch.batch.history.bases import read_base
from gitbatch.batch.history.trailers import Trailers
from gitbatch.guard.shared import read_shared_files
from gitbatch.plan.matching import ItemPlace, match_items
from gitbatch.plan.model import Group
from gitbatch.plan.parse import read_plan
from gitbatch.project.control import plan_options
from gitbatch.project.manifest import NO_OUTPUTS, EarlierOutputs, ManifestBuilder
from gitbatch.repo.objects.codec import Commit
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.snapshot import TreeSnapshot

_REMEMBERED = 8
"""The number of bases whose plans are kept: the items of a group share one."""


class OutputsReader(Struct):
    """Finds what commits of items state by a digest. It keeps the lists of the bases that it looked at last."""

    objects: Objects
    _builders: dict[tuple[str, str, str | None], tuple[ManifestBuilder, ...]] = field(default_factory=dict)
    _groups: dict[tuple[int, str], Group | None] = field(default_factory=dict)

    def find_outputs(
        self, trailers: Trailers, line: str, base: str, plan: str | None
    ) -> EarlierOutputs | None:
        """Returns the outputs that the digest of an item's commit is of.

        Args:
            trailers: of the commit.
            line: the tree of the commit of the branch that the item started from: it has the plan.
            base: the tree that the item started from.
            plan: the path of the plan, if it is known.

        Returns:
            The outputs; empty if the commit states none; None if no plan of that commit has such a list.
        """
        stated = trailers.context_outputs
        if stated is None:
            return NO_OUTPUTS
        for builder in self._builders_of(line, base, plan):
            group = self._find_group(builder, trailers)
            earlier = builder.find_earlier(group) if group else NO_OUTPUTS
            if (len(earlier.files), earlier.digest) == stated:
                return earlier
        return None

    def find_outputs_of(self, commit: Commit, trailers: Trailers, plan: str | None) -> EarlierOutputs:
        """Returns the outputs that the digest of an item's commit is of; empty if it states no digest, or they cannot be found."""
        if trailers.context_outputs is None:
            return NO_OUTPUTS
        base, line = commit.parents[0], read_base(self.objects, commit.parents[0]).line
        found = self.find_outputs(trailers, self.objects.tree_of(line), self.objects.tree_of(base), plan)
        return found or NO_OUTPUTS

    def read_context(self, commit: Commit, trailers: Trailers, plan: str | None) -> dict[str, str]:
        """Returns the blobs of all files that the agent of an item's commit was given, by path.

        Those of a list that cannot be found again are left out.
        """
        read = dict(trailers.context)
        others = self.find_outputs_of(commit, trailers, plan).blobs.items()
        return read | {path: blob for path, blob in others if path not in read and path != trailers.output}

    def _builders_of(self, line: str, base: str, plan: str | None) -> tuple[ManifestBuilder, ...]:
        key = (line, base, plan)
        if key not in self._builders:
            if len(self._builders) >= _REMEMBERED:
                self._builders.clear()
                self._groups.clear()
            has, reads = TreeSnapshot(self.objects, line), TreeSnapshot(self.objects, base)
            projects = read_shared_files(has, plan).projects
            plans = (read_plan(has.read(p.plan_path) or b"", p.plan_path, plan_options(p)) for p in projects)
            self._builders[key] = tuple(
                ManifestBuilder(read, project, reads) for read, project in zip(plans, projects, strict=True)
            )
        return self._builders[key]

    def _find_group(self, builder: ManifestBuilder, trailers: Trailers) -> Group | None:
        """Returns the group of a plan that an item is in; all items of a group that say the same are in one."""
        stated = trailers.first_value("Group")
        key = (id(builder), stated)
        if key not in self._groups:
            place = ItemPlace(trailers.output or trailers.rescued, stated.partition(" ")[2], trailers.group)
            found = match_items({place.output: place}, builder.plan).get(place.output)
            self._groups[key] = found[0] if found else None
        return self._groups[key]
