"""Judging what a checkpoint writes into status, decisions log and artifacts: the words of its items, and no others.

Texts are compared by their letters and digits alone: escaping for Markdown, and what is neutralised for forges, changes
none of them. The table of criteria in the status and the reasons of failures are not judged.
"""

import re

from gitbatch.batch.history.messages import describe_left_out
from gitbatch.batch.history.verify.graph import History, Ours
from gitbatch.batch.history.verify.rules import Check, Complaints
from gitbatch.batch.history.verify.trees import Changes, Trees, is_regular
from gitbatch.batch.model import MOST_OUTCOMES, ItemStatus
from gitbatch.paths import path_key
from gitbatch.patterns import compile_later
from gitbatch.project.control import Project
from gitbatch.project.edits import added_entries, is_section_replaced, own_section
from gitbatch.text import clean_text

_DECISION = compile_later(r"- \*\*D([0-9]{1,9})\*\* · [0-9]{4}-[0-9]{2}-[0-9]{2} · (.*)")
_BETWEEN_CELLS = " | "
"""In a cell, a vertical bar is escaped."""
_COLUMNS = 4
_STATUSES = frozenset(ItemStatus)


def judge_texts(
    trees: Trees, ours: Ours, project: Project, changes: Changes, *, is_review: bool = False
) -> Complaints:
    """Checks that only our section of the status is replaced, and that the log and the artifacts only get entries.

    A review may take entries out of the artifacts, which is judged elsewhere.
    """
    artifacts = () if is_review else (*project.artifacts, *_created_inventories(project, changes))
    for path in (project.status, project.decisions, *artifacts):
        if not is_regular(changes.paths.get(path)):
            continue
        old, new = trees.read_file(ours.commit.parents[0], path), trees.read_file(ours.commit.oid, path)
        is_good = (
            is_section_replaced(old, new) if path == project.status else added_entries(old, new) is not None
        )
        if not is_good:
            yield (
                Check.CHECKPOINT_TEXTS,
                f"takes away or changes what {path} said, or adds what is not an entry",
            )


def _created_inventories(project: Project, changes: Changes) -> tuple[str, ...]:
    """Returns the changed paths that are inventories which the parent does not have."""
    created = (path for path in changes.paths if path not in project.artifacts)
    return tuple(path for path in created if project.find_artifact(path) == path)


def judge_entries(
    history: History,
    trees: Trees,
    ours: Ours,
    project: Project,
    brought: dict[str, str],
    changes: Changes,
) -> Complaints:
    """Checks that the log and the artifacts get each decision and contribution of the items, in order, and nothing else."""
    expected: dict[str, list[str]] = {path: [] for path in (project.decisions, *project.artifacts)}
    spelt: dict[str, str] = {}
    for oid in brought.values():
        said = history.ours[oid].trailers
        expected[project.decisions] += said.values_of("Decision")
        for artifact, _, text in (value.partition(": ") for value in said.values_of("Contribution")):
            path = project.find_artifact(artifact)
            if path and not trees.find_obstacle(ours.commit.parents[0], path):
                expected.setdefault(spelt.setdefault(path_key(path), path), []).append(text)
    expected |= {path: [] for path in _created_inventories(project, changes) if path not in expected}
    for path, texts in expected.items():
        yield from _judge_added(trees, ours, path, tuple(texts))
    yield from _judge_numbers(trees, ours, project)
    yield from _judge_status(history, trees, ours, project, brought)


def judge_log(trees: Trees, ours: Ours, project: Project, texts: tuple[str, ...]) -> Complaints:
    """Checks that the decisions log gets the lines of a review, numbered in sequence, and nothing else."""
    yield from _judge_added(trees, ours, project.decisions, texts)
    yield from _judge_numbers(trees, ours, project)


def _judge_added(trees: Trees, ours: Ours, path: str, texts: tuple[str, ...]) -> Complaints:
    old, new = (trees.read_file(oid, path) for oid in (ours.commit.parents[0], ours.commit.oid))
    added = () if old == new else added_entries(old, new)
    if added is None:
        return
    if len(added) != len(texts):
        yield (
            Check.CHECKPOINT_TEXTS,
            f"adds {len(added)} entries to {path}; what it records said {len(texts)}",
        )
    elif not all(map(_says, added, texts)):
        yield Check.CHECKPOINT_TEXTS, f"adds to {path} what was not said"


def _judge_numbers(trees: Trees, ours: Ours, project: Project) -> Complaints:
    """Checks that decisions are numbered in sequence, from the highest number that was there."""
    old, new = (trees.read_file(oid, project.decisions) for oid in (ours.commit.parents[0], ours.commit.oid))
    added = added_entries(old, new) or ()
    numbers = [int(found[1]) for entry in added if (found := _DECISION.match(entry))]
    there = [int(n) for n in re.findall(rb"(?m)^- \*\*D([0-9]{1,9})\*\*", old)]
    first = max(there, default=0) + 1
    if numbers != list(range(first, first + len(added))):
        yield (
            Check.CHECKPOINT_TEXTS,
            f"numbers its entries of {project.decisions} otherwise than from D{first}",
        )


def _judge_status(
    history: History, trees: Trees, ours: Ours, project: Project, brought: dict[str, str]
) -> Complaints:
    """Checks that our section of the status has a row for each item of the checkpoint, with its summary."""
    section = own_section(trees.read_file(ours.commit.oid, project.status))
    rows = _read_rows(section)
    said = {key: history.ours[oid].commit.message for key, oid in brought.items()}
    succeeded, failed = ours.trailers.succeeded, ours.trailers.failed
    if _is_short(ours, section):
        succeeded = ()
    items = [(_letters(clean_text(key)), "succeeded", said.get(key)) for key in succeeded]
    items += [(_letters(clean_text(item.output)), str(item.status), None) for item in failed]
    if sorted(row[:2] for row in rows) != sorted(item[:2] for item in items):
        yield Check.CHECKPOINT_TEXTS, f"has other items in {project.status} than in its trailers"
        return
    messages: dict[tuple[str, str], list[str | None]] = {}
    for key, status, message in items:
        messages.setdefault((key, status), []).append(message)
    for key, status, summary in rows:
        known = messages[key, status]
        if None not in known and not any(summary in _letters(message or "") for message in known):
            yield Check.CHECKPOINT_TEXTS, f"has another summary in {project.status} than its item {key}"


def _is_short(ours: Ours, section: str) -> bool:
    """Whether our section counts the items that succeeded instead of listing them, as it may if there are many."""
    done, count = len(ours.trailers.succeeded), len(ours.trailers.succeeded) + len(ours.trailers.failed)
    is_allowed = ours.trailers.format > 1 and count > MOST_OUTCOMES
    return is_allowed and describe_left_out(done) in section.splitlines()


def _read_rows(section: str) -> list[tuple[str, str, str]]:
    """Returns output, status and summary of each item in our section, the texts by their letters."""
    cells = (line.split(_BETWEEN_CELLS) for line in section.splitlines() if line.startswith("| "))
    rows = [row for row in cells if len(row) == _COLUMNS and row[2] in _STATUSES]
    return [(_letters(row[1]), row[2], _letters(row[3])) for row in rows]


def _says(entry: str, text: str) -> bool:
    return _letters(entry).endswith(_letters(text))


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()
