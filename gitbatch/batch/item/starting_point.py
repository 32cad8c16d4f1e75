"""Finding what an attempt starts from: the files that its agent reads, and the output of an earlier attempt."""

from gitbatch.batch.history.rescue import Rescued
from gitbatch.batch.history.trailers import parse_trailers
from gitbatch.batch.item.rescue import find_usable
from gitbatch.batch.item.scheduled import ScheduledItem, StartingPoint
from gitbatch.batch.planning.early.staleness import EarlyReading, judge_reading
from gitbatch.batch.planning.schedule import find_earlier_versions
from gitbatch.batch.workplace.protocol import WorkplaceSetup
from gitbatch.project.manifest import Manifest
from gitbatch.project.scope import SCOPE_FILE
from gitbatch.repo.attributes import FilteredPathError, require_no_filter
from gitbatch.repo.repository import Repository


def find_starting_point(repo: Repository, batch: str, scheduled: ScheduledItem) -> StartingPoint:
    """Returns the context of an item, and what an earlier attempt in a batch had written."""
    state = scheduled.project_state
    is_there = state.snapshot.blob(scheduled.item.output) is not None
    versions = find_earlier_versions(scheduled.item, state.plan) if is_there else ()
    context = scheduled.manifests.list_context(scheduled.item, scheduled.group)
    return StartingPoint(
        context,
        _find_earlier(repo, batch, scheduled, context),
        tuple(other.unique_name for other in versions if other.done),
    )


def _find_earlier(
    repo: Repository, batch: str, scheduled: ScheduledItem, context: Manifest
) -> Rescued | None:
    """Returns the output of an earlier attempt, if it still fits and can be written without a filter."""
    earlier = find_usable(repo, batch, scheduled)
    if earlier and not scheduled.item.reads_earlier and _has_read_others(repo, scheduled, earlier, context):
        return None
    if earlier:
        try:
            require_no_filter(repo, scheduled.project_state.tree, scheduled.item.output)
        except FilteredPathError:  # the user's own attributes have changed: the harvest reports it
            return None
    return earlier


def _has_read_others(repo: Repository, scheduled: ScheduledItem, earlier: Rescued, context: Manifest) -> bool:
    """Whether an earlier attempt was given other files, or other versions: left as it is, its output would be stale."""
    read = parse_trailers(repo.objects.read_commit(earlier.commit).message).context
    given, ignored = ((f.path, f.blob) for f in context), scheduled.project_state.project.shared_files
    return bool(judge_reading(EarlyReading(read, ""), given, "", frozenset(ignored), frozenset()))


def make_setup(batch: str, scheduled: ScheduledItem, start: StartingPoint) -> WorkplaceSetup:
    """Returns the state in which the workplace of an attempt starts."""
    state, output, paths = scheduled.project_state, scheduled.item.output, None
    if state.project.config.batch.checkout == "context":
        folder = output.rpartition("/")[0]
        reads = start.context.paths
        paths = (*reads, *scheduled.seen, f"{folder}/" if folder else output)
    return WorkplaceSetup(
        branch=scheduled.branch_of(batch),
        commit=state.commit,
        tree=state.tree,
        output=output,
        paths=paths,
        guarded=(SCOPE_FILE, *state.project.shared_files),
        earlier=start.earlier.commit.blob if start.earlier else None,
    )
