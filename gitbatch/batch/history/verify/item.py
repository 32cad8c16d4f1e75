"""Judging an item's commit: one parent on the branch's line, one file, named by an open item of the plan."""

from gitbatch.batch.history.trailers import Kind
from gitbatch.batch.history.verify.checked import judge_checks
from gitbatch.batch.history.verify.early import judge_plan_item
from gitbatch.batch.history.verify.graph import History, Ours
from gitbatch.batch.history.verify.rules import Check, Complaints
from gitbatch.batch.history.verify.trees import Trees, format_paths, is_regular
from gitbatch.plan.outputs import path_problem
from gitbatch.repo.objects.codec import REGULAR, TreeEntry


def judge_item(history: History, trees: Trees, ours: Ours) -> Complaints:
    """Yields the findings about an item's commit."""
    commit = ours.commit
    if len(commit.parents) != 1:
        yield Check.ITEM_PARENT, f"has {len(commit.parents)} parents; an item has one"
        return
    yield from _judge_place(history, ours)
    yield from _judge_changes(history, trees, ours)
    base, key = commit.parents[0], ours.trailers.output
    if key not in trees.open_outputs(history.line_below(commit.oid), history.plan_of(ours)):
        yield (
            Check.ITEM_PLAN,
            f"its output {key} is not that of an open item of the plan as its parent has it",
        )
    yield from judge_checks(history, trees, ours)
    yield from judge_plan_item(history, trees, ours)
    read = dict(ours.trailers.context)
    wrong = {path for path, blob in read.items() if getattr(trees.entry_at(base, path), "oid", "") != blob}
    if wrong:
        yield (
            Check.ITEM_CONTEXT,
            f"says that it read {format_paths(wrong)}, which its parent does not have like that",
        )
    if trees.find_outputs(ours.trailers, history.line_below(commit.oid), base, history.plan_of(ours)) is None:
        yield (
            Check.ITEM_CONTEXT,
            "states another digest of what it read than that of the outputs of the earlier groups in its parent",
        )


def _judge_place(history: History, ours: Ours) -> Complaints:
    """Checks that an item starts from a commit of the branch or a base merge, and is merged only by a merge of ours."""
    oid, base = ours.commit.oid, ours.commit.parents[0]
    kind = history.kind_of(base)
    if kind in {Kind.ITEM, Kind.RESCUE}:
        yield Check.ITEM_PARENT, f"its parent is the commit of another {kind}"
    elif kind is Kind.MERGE and history.is_followed_in_group(base):
        yield Check.ITEM_PARENT, "its parent is a merge of a group whose checkpoint comes later"
    while history.kind_of(base) is Kind.MERGE and base not in history.ends:
        base = history.parents[base][0]
    yield from _judge_merges(history, oid, base)
    if history.is_on_line(oid):
        yield Check.ITEM_PLACE, "stands on the line of the branch itself; an item comes in by a merge"


def _judge_merges(history: History, oid: str, base: str) -> Complaints:
    """Checks that each merge of an item, ours or the user's, is on the line that the item started from."""
    for merge in history.brought_by.get(oid, ()):
        if merge.commit.oid not in history.ends and not history.lines.may_hold(base, merge.commit.parents[0]):
            yield (
                Check.ITEM_PARENT,
                f"its parent is not on the line of the branch that {merge.commit.oid[:12]} is on",
            )
    for merge_oid in history.merged_by_users.get(oid, ()):
        if not history.lines.may_hold(base, history.parents[merge_oid][0]):
            yield Check.ITEM_PARENT, f"its parent is not on the line that {merge_oid[:12]} merges it into"


def _judge_changes(history: History, trees: Trees, ours: Ours) -> Complaints:
    key, plan, line = ours.trailers.output, history.plan_of(ours), history.line_below(ours.commit.oid)
    changes, shared = trees.find_changes(ours.commit), trees.shared_files(line, plan)
    if changes.malformed:
        yield Check.TREE, f"{format_paths(changes.malformed)} is not a folder that git writes"
    if problem := path_problem(key, shared.protected):
        yield Check.ITEM_PATH, f"its output {key} {problem}"
    if taken := shared.select_shared(changes.paths.keys() - {key}):
        yield Check.ITEM_SHARED, f"changes {format_paths(taken)} besides its output {key}"
    if strays := changes.paths.keys() - taken - {key}:
        yield Check.ITEM_CHANGES, f"changes {format_paths(strays)}, which is not its output {key}"
    elif key not in changes.paths:
        yield Check.ITEM_CHANGES, f"does not change its output {key}"
    if key in changes.paths:
        limit = trees.find_size_limit(line, plan)
        yield from _judge_file(trees, ours, changes.paths[key], limit)


def _judge_file(trees: Trees, ours: Ours, output: TreeEntry | None, limit: int) -> Complaints:
    """Checks that the harvest would take an output: a regular file that is not empty and not too large."""
    key = ours.trailers.output
    if not is_regular(output):
        yield Check.ITEM_FILE, f"its output {key} is deleted, or not a regular file of mode {REGULAR}"
    elif output and (problem := _find_blob_problem(trees, output.oid, limit)):
        yield Check.ITEM_FILE, f"its output {key} {problem}"


def _find_blob_problem(trees: Trees, oid: str, limit: int) -> str | None:
    """Returns why the harvest would not have taken a blob."""
    size = trees.objects.read_blob_size(oid)
    if size is None:
        return "is not a blob, or the blob is missing"
    return (
        "is empty"
        if not size
        else f"has {size} bytes, more than the limit of {limit}"
        if size > limit
        else None
    )
