"""Judging what a checkpoint writes into status, decisions log and artifacts: the words of its items, and no others.

Texts are compared by their letters and digits alone: escaping for Markdown, and what is neutralised for forges, changes
none of them. The table of criteria in the status and the reasons of failures are not judged.
"""

import re

from gitbatch.batch.history.verify.graph import History, Ours
from gitbatch.batch.history.verify.rules import Check, Complaints
from gitbatch.batch.history.verify.trees import Changes, Trees, is_regular
from gitbatch.project.control import Project
from gitbatch.project.edits import added_entries, is_section_replaced, own_section

_DECISION = re.compile(r"- \*\*D([0-9]{1,9})\*\* · [0-9]{4}-[0-9]{2}-[0-9]{2} · (.*)")
_ROW = re.compile(r"\| (?P<name>.*) \| (?P<key>.*) \| (?P<status>[a-z]+) \| (?P<said>.*) \|")


def judge_texts(trees: Trees, ours: Ours, project: Project, changes: Changes) -> Complaints:
    """Checks that only our section of the status is replaced, and that the log and the artifacts only get entries."""
    for path in (project.status, project.decisions, *project.artifacts):
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


def judge_entries(
    history: History, trees: Trees, ours: Ours, project: Project, brought: dict[str, str]
) -> Complaints:
    """Checks that the log and the artifacts get each decision and contribution of the items, in order, and nothing else."""
    expected: dict[str, list[str]] = {path: [] for path in (project.decisions, *project.artifacts)}
    names = {path.rpartition("/")[2]: path for path in project.artifacts}
    names |= {path: path for path in project.artifacts}
    for oid in brought.values():
        said = history.ours[oid].trailers
        expected[project.decisions] += said.values_of("Decision")
        for artifact, _, text in (value.partition(": ") for value in said.values_of("Contribution")):
            if artifact in names:
                expected[names[artifact]].append(text)
    for path, texts in expected.items():
        old, new = (trees.read_file(oid, path) for oid in (ours.commit.parents[0], ours.commit.oid))
        added = () if old == new else added_entries(old, new)
        if added is None:
            continue
        if len(added) != len(texts):
            yield Check.CHECKPOINT_TEXTS, f"adds {len(added)} entries to {path}; its items said {len(texts)}"
        elif not all(map(_says, added, texts)):
            yield Check.CHECKPOINT_TEXTS, f"adds to {path} what its items have not said"
    yield from _judge_numbers(trees, ours, project)
    yield from _judge_status(history, trees, ours, project, brought)


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
    rows = [found for line in section.splitlines() if (found := _ROW.fullmatch(line))]
    status = {_letters(key): "succeeded" for key in ours.trailers.succeeded}
    status |= {_letters(item.key): str(item.status) for item in ours.trailers.failed}
    said = {_letters(row["key"]): row["status"] for row in rows}
    if said != status or len(rows) != len(status):
        yield Check.CHECKPOINT_TEXTS, f"has other items in {project.status} than in its trailers"
        return
    summaries = {_letters(key): _letters(history.ours[oid].commit.message) for key, oid in brought.items()}
    for row in rows:
        summary = summaries.get(_letters(row["key"]))
        if summary is not None and _letters(row["said"]) not in summary:
            yield Check.CHECKPOINT_TEXTS, f"has another summary of {row['name']} than its item"


def _says(entry: str, text: str) -> bool:
    return _letters(entry).endswith(_letters(text))


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()
