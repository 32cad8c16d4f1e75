"""The runs of one gate on trees of one group: on all of it, on its base, and on the base with some of its items.

Each run is on a fresh folder with a commit of that tree. A result is known by tree and settings, so the gate does not run
again where it has run. Gates run while no item does, and take the slot of none.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from gitbatch.agents.protocol import OutputStream
from gitbatch.batch.events import GateFinished, GateStarted
from gitbatch.batch.group.checkpoint import BuiltGroup, Unsound, build_group
from gitbatch.batch.group.guilty import Guilty
from gitbatch.batch.history.bases import BaseReader, find_below
from gitbatch.batch.history.gate_results import GateResult, GateResults, digest_settings
from gitbatch.batch.item.run import Run
from gitbatch.batch.item.scheduled import CommitContext
from gitbatch.batch.model import ItemStatus, Outcome
from gitbatch.checks.command import CheckTools, Subject, run_command
from gitbatch.checks.remote_check import RemoteCheck
from gitbatch.checks.tree import FreshTrees, TreeContent, open_tree
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.errors import GitbatchError
from gitbatch.fs.room import require_room
from gitbatch.limits.causes import Cause
from gitbatch.paths import quote_path
from gitbatch.plan.model import ItemKey
from gitbatch.project.check_tables import GateTable
from gitbatch.repo.refs.names import building_ref
from gitbatch.repo.repository import Repository
from gitbatch.text import CleanText, clean_text, list_names

_DETAILS = 20
"""The most lines of a gate's output that a checkpoint has of each guilty item."""


class NoVerdictError(GitbatchError):
    """A gate gave no verdict. It never counts as passed."""


class GatedCommit(Struct, frozen=True):
    """A commit that a gate runs on. It is on no branch."""

    commit: str
    tree: str
    items: tuple[str, ...]
    """The outputs of the group that it has."""


class MergedItems(Struct, frozen=True):
    """The items of a group that are merged, and what each stands on."""

    outcomes: Mapping[ItemKey, Outcome]
    """By key, in the order of the plan."""
    below: Mapping[ItemKey, frozenset[ItemKey]]
    """The items that each one stands on, directly or not."""

    def close(self, items: Iterable[ItemKey]) -> frozenset[ItemKey]:
        """Returns items with those that they stand on."""
        return frozenset(items).union(*(self.below[item] for item in items))


def find_merged(repo: Repository, outcomes: Iterable[Outcome]) -> MergedItems:
    """Returns the items that a checkpoint merges."""
    reader = BaseReader(repo.objects)
    made = {outcome.item.key: outcome for outcome in outcomes if outcome.succeeded and outcome.commit}
    keys = {str(outcome.commit): key for key, outcome in made.items()}
    below = {
        key: frozenset(keys[oid] for oid in find_below((str(outcome.commit),), reader.direct) if oid in keys)
        for key, outcome in made.items()
    }
    return MergedItems(made, below)


class GateShare(Struct, frozen=True):
    """What the gates of a group share."""

    run: Run
    trees: FreshTrees
    tools: CheckTools
    results: GateResults
    now: float
    """Seconds since the epoch: the same for each tree that is built."""


class GateEffort(Struct):
    """What a gate took for one checkpoint."""

    runs: int = 0
    seconds: float = 0.0


class GateRuns(Struct):
    """The runs of one gate for one group: the `GateTrials` of the search for guilty items."""

    share: GateShare
    name: str
    table: GateTable
    built: BuiltGroup
    merged: MergedItems
    effort: GateEffort
    base_broke: bool = False
    """Whether the base has become red although nothing of it has changed."""
    _reds: dict[frozenset[ItemKey], GateResult] = field(default_factory=dict)
    """What the gate said of items on which it is red."""

    @property
    def base(self) -> GatedCommit:
        """The commit of the branch that the group is built on."""
        return GatedCommit(self.built.checkpoint.before, self.built.tree_before, ())

    @property
    def whole(self) -> GatedCommit:
        """The checkpoint that is built."""
        outputs = tuple(outcome.item.output for outcome in self.merged.outcomes.values())
        return GatedCommit(self.built.checkpoint.commit, self.built.tree, outputs)

    async def is_red(self, items: frozenset[ItemKey], *, twice: bool = False) -> bool:
        """Whether the gate is red on the base with the outputs of some items."""
        run = self.share.run
        wanted = [outcome for key, outcome in self.merged.outcomes.items() if key in items]
        commit = await run.git(_write_commit, run.repo, run.commit_context(), self.base, wanted)
        result = await self.judge(commit, twice=twice)
        if result.passed is None:
            self._reds[items] = result
        return result.passed is None

    async def is_rest_red(self, guilty: tuple[Guilty, ...]) -> bool:
        """Whether the gate is red on the checkpoint without guilty items, or on the items that can stay if others run again."""
        run, failed = self.share.run, self.blame(guilty)
        outcomes = tuple(failed.get(o.item.key, o) for o in self.built.finished.outcomes)
        finished = replace(self.built.finished, outcomes=outcomes)
        built = await run.git(build_group, run.repo, run.commit_context(), finished, self.share.now)
        if isinstance(built, Unsound):
            gone = failed.keys()
            return await self.is_red(
                frozenset(k for k in self.merged.outcomes if not self.merged.close((k,)) & gone)
            )
        if built.checkpoint.before != self.base.commit:
            return False  # the branch has moved: the group is judged again on top of it
        outputs = tuple(o.item.output for k, o in self.merged.outcomes.items() if k not in failed)
        commit = GatedCommit(built.checkpoint.commit, built.tree, outputs)
        return (await self.judge(commit)).passed is None

    async def is_base_red(self, found: tuple[Guilty, ...]) -> bool:
        """Whether the gate is red on the base, by a run after those that were red on some items."""
        run, results, commit = self.share.run, self.share.results, self.base
        trees = frozenset(self._find_red(one).tree for one in found)
        result = results.find(self.name, digest_settings(self.table), commit.tree)
        if trees <= result.green_after:
            return False
        for _ in range(self.table.retries_of_gate + 1):
            if (await self._run_once(commit)).verdict is not CheckVerdict.RED:
                await run.git(results.store, replace(result, green_after=result.green_after | trees))
                return False
        self.base_broke = True
        return True

    async def judge(self, commit: GatedCommit, *, twice: bool = False) -> GateResult:
        """Returns what the gate says of a commit, by new runs as far as that is not known.

        Args:
            commit: the commit.
            twice: whether a red result is run again before it is believed.

        Raises:
            NoVerdictError: the gate gave no verdict.
        """
        run, results = self.share.run, self.share.results
        result = results.find(self.name, digest_settings(self.table), commit.tree)
        wanted = self.table.retries_of_gate + 1 if twice else 1
        while result.passed is None and result.reds < wanted:
            result = result.add_run(await self._run_once(commit))
            await run.git(results.store, result)
        return result

    async def run_again(self, commit: GatedCommit) -> GateResult:
        """Returns what the gate says of a commit, with one more run."""
        run, results = self.share.run, self.share.results
        result = results.find(self.name, digest_settings(self.table), commit.tree)
        result = result.add_run(await self._run_once(commit))
        await run.git(results.store, result)
        return result

    async def _run_once(self, commit: GatedCommit) -> CheckResult:
        run = self.share.run
        require_room(run.worktrees_dir, run.repo.common_dir)
        group = self.built.checkpoint.group.number
        run.emit(
            GateStarted(
                batch=run.batch.id,
                group=group,
                gate=self.name,
                tree=commit.tree,
                items=commit.items,
                of=len(self.merged.outcomes),
            )
        )
        ended = await self._run_program(TreeContent(commit=commit.commit, base=self.base.commit))
        self.effort.runs += 1
        self.effort.seconds += ended.seconds
        run.emit(
            GateFinished(
                batch=run.batch.id,
                group=group,
                gate=self.name,
                tree=commit.tree,
                result=ended.verdict,
                seconds=ended.seconds,
                reason=ended.reason,
                details=ended.findings,
                host=ended.host,
            )
        )
        if ended.verdict is CheckVerdict.UNAVAILABLE:
            raise NoVerdictError(
                f"gate {self.name} gave no verdict: {ended.reason}",
                "see to that, then resume: gitbatch run (finished items are kept, and the gate runs again)",
            )
        return ended

    async def _run_program(self, content: TreeContent) -> CheckResult:
        if remote := self.share.run.remote_checks:
            return await remote.run_check(RemoteCheck(self.name, self.table, content), _show_nothing)
        async with open_tree(self.share.trees, "gate", content) as folder:
            subject = Subject(folder.folders)
            return await run_command(self.share.tools, self.name, self.table, subject, _show_nothing)

    def blame(self, guilty: Iterable[Guilty]) -> Mapping[ItemKey, Outcome]:
        """Returns the outcomes of guilty items, by key: failed, with the words of the gate."""
        return {one.item: self._fail(one) for one in guilty}

    def _fail(self, guilty: Guilty) -> Outcome:
        outcome = self.merged.outcomes[guilty.item]
        said = self._find_red(guilty)
        return replace(
            outcome,
            status=ItemStatus.FAILED,
            cause=Cause.GATE,
            commit=None,
            reason=self._describe(guilty, said.reason),
            details=said.findings[-_DETAILS:],
        )

    def _find_red(self, guilty: Guilty) -> GateResult:
        """Returns what the gate said of an item, with those that it is red together with."""
        return self._reds[self.merged.close((guilty.item, *guilty.partners))]

    def _describe(self, guilty: Guilty, said: CleanText) -> CleanText:
        names = tuple(self.merged.outcomes[item].item.name for item in guilty.partners)
        together = f" together with {list_names(names)}" if names else ""
        return clean_text(f"gate {self.name} is red with it{together}: {said}")


def _write_commit(
    repo: Repository, commits: CommitContext, base: GatedCommit, wanted: list[Outcome]
) -> GatedCommit:
    """Writes a commit with the outputs of some items. A ref keeps it, and with it its tree, while a gate runs on it."""
    blobs = {outcome.item.output: outcome.commit.blob for outcome in wanted if outcome.commit}
    tree = repo.objects.write_tree(base.tree, blobs)
    message = f"Gate: {', '.join(map(quote_path, blobs)) or 'no item'}\n"
    commit = repo.objects.write_unsigned(tree, (base.commit,), message, commits.user, commits.user)
    repo.point(building_ref(commits.batch.id), commit)
    return GatedCommit(commit, tree, tuple(blobs))


def _show_nothing(_stream: OutputStream, _line: CleanText) -> None:
    """Shows no line of a gate while it runs: its last ones are in the event of its end."""
