"""The values that an option or an argument may have: ids of the plan, agents, branches, topics."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gitbatch.errors import GitbatchError
from gitbatch.text import clean_text

if TYPE_CHECKING:
    from gitbatch.project.config import Config

_NOTE = 60
"""Characters of a note."""


class CompletionWord(Struct, frozen=True):
    """A word that may follow, and a note on it; both are one line."""

    value: str
    note: str = ""


Complete = Callable[[Path, str], Iterator[CompletionWord]]
"""Yields candidates, given the folder of `-C` and the text typed so far."""


def find_values(command: str, parameter: Any, folder: Path, typed: str) -> Iterator[CompletionWord]:  # noqa: ANN401 - typer's own click
    """Yields the values that a parameter of a command may have; none where it is a path."""
    complete = _VALUES.get((command, parameter.name)) or _VALUES.get(("", parameter.name))
    if complete is None:
        yield from (CompletionWord(str(choice)) for choice in getattr(parameter.type, "choices", ()))
        return
    with suppress(GitbatchError, OSError):  # a plan that cannot be read completes nothing
        for found in complete(folder, typed):
            yield CompletionWord(found.value, clean_text(found.note, _NOTE))


def _list_items(folder: Path, typed: str) -> Iterator[CompletionWord]:
    """Yields what `--items` may name, after the items that are named already."""
    from gitbatch.project.disk import DiskSnapshot
    from gitbatch.project.lint import check_plan, find_active_plan

    before = typed[: typed.rfind(",") + 1]
    if not before:
        yield CompletionWord("all", "every open item")
        yield CompletionWord("failed", "open items that did not succeed last time")
    path = find_active_plan(folder, DiskSnapshot)
    plan = check_plan(folder / path, DiskSnapshot).plan
    if not before:
        for group in plan.groups:
            yield CompletionWord(f"group:{group.number}", group.title)
    named = before.split(",")
    for item in plan.items:
        if not item.done and (item.id or item.output) not in named:
            yield CompletionWord(f"{before}{item.id or item.output}", item.title)


def _list_names(folder: Path, _: str) -> Iterator[CompletionWord]:
    from gitbatch.project.disk import DiskSnapshot
    from gitbatch.project.lint import check_plan, find_active_plan

    for item in check_plan(folder / find_active_plan(folder, DiskSnapshot), DiskSnapshot).plan.items:
        yield CompletionWord(item.id or item.output, item.title)


def _list_gates(folder: Path, _: str) -> Iterator[CompletionWord]:
    yield from map(CompletionWord, _read_config(folder).gates)


def _list_modes(_: Path, __: str) -> Iterator[CompletionWord]:
    yield CompletionWord("after-each", "pause after each group")
    yield CompletionWord("after-batch:2", "pause after every 2 groups")
    yield CompletionWord("at-end", "pause only at the end")


def _list_agents(folder: Path, _: str) -> Iterator[CompletionWord]:
    for name, table in _read_config(folder).agents.items():
        yield CompletionWord(name, f"kind {table.__struct_config__.tag}")


def _read_config(folder: Path) -> "Config":
    from gitbatch.project.config import CONFIG_FILE, parse_config
    from gitbatch.project.disk import DiskSnapshot
    from gitbatch.project.lint import find_project_root

    return parse_config(DiskSnapshot(find_project_root(folder.resolve())).read(CONFIG_FILE))


def _list_agent_words(_: Path, __: str) -> Iterator[CompletionWord]:
    from gitbatch.project.agent_scaffold import AGENT_WORDS

    yield from map(CompletionWord, AGENT_WORDS)


def _list_branches(folder: Path, _: str) -> Iterator[CompletionWord]:
    from gitbatch.repo.refs.names import HEADS, short

    with _open_repository(folder) as repo:
        for ref in repo.refs.below(HEADS):
            if not short(ref).startswith("gitbatch/"):
                yield CompletionWord(short(ref))


def _list_rescued(folder: Path, _: str) -> Iterator[CompletionWord]:
    from gitbatch.batch.history.rescued_files import list_rescued

    with _open_repository(folder) as repo:
        for file in list_rescued(repo):
            yield CompletionWord(file.name, file.path)


def _list_batches(folder: Path, _: str) -> Iterator[CompletionWord]:
    """Yields the ids of batches, the last one first."""
    from gitbatch.batch.history.record import all_batches

    with _open_repository(folder) as repo:
        for batch in reversed(all_batches(repo)):
            yield CompletionWord(batch.id, batch.record.plan_path)


def _list_batches_by_digit(folder: Path, typed: str) -> Iterator[CompletionWord]:
    """Yields the ids of batches once a digit is typed: a path may stand there too."""
    if typed[:1].isdigit():
        yield from _list_batches(folder, typed)


def _list_batch_items(folder: Path, _: str) -> Iterator[CompletionWord]:
    """Yields the items of the unfinished batch, or of the last one."""
    from gitbatch.batch.history.record import all_batches
    from gitbatch.cli.batch_reading import order_batches

    with _open_repository(folder) as repo:
        for batch in order_batches(all_batches(repo))[:1]:
            for item in batch.record.items:
                yield CompletionWord(item.name, item.title)


def _list_reviewable(folder: Path, _: str) -> Iterator[CompletionWord]:
    """Yields the items that have a checkpoint."""
    from gitbatch.batch.review.reviewable import find_reviewable, list_review_items

    with _open_repository(folder) as repo:
        for item in list_review_items(repo, find_reviewable(repo)):
            yield CompletionWord(item.name, item.decision.word if item.decision else item.status)


def _list_topics(_: Path, __: str) -> Iterator[CompletionWord]:
    from gitbatch.cli.help import find_title, read_pages
    from gitbatch.cli.verbs import VERBS

    for name, text in read_pages().items():
        yield CompletionWord(name, find_title(text))
    for name, _target, summary in VERBS:
        yield CompletionWord(name, summary)


def _list_schemas(_: Path, __: str) -> Iterator[CompletionWord]:
    from gitbatch.view.schemas import describe_schema, schema_names

    for name in schema_names():
        yield CompletionWord(name, describe_schema(name))


def _list_shells(_: Path, __: str) -> Iterator[CompletionWord]:
    from gitbatch.cli.completion import Shell

    yield from (CompletionWord(shell.value) for shell in Shell)


def _list_languages(_: Path, __: str) -> Iterator[CompletionWord]:
    from gitbatch.plan.help_texts import Language

    yield from (CompletionWord(language.value) for language in Language)


@contextmanager
def _open_repository(folder: Path) -> Iterator[Any]:
    from gitbatch.cli.common import open_repository_of

    with open_repository_of(folder, read_only=True) as repo:
        yield repo


_VALUES: dict[tuple[str, str], Complete] = {
    ("run", "items"): _list_items,
    ("run", "checkpoint"): _list_modes,
    ("run", "agent"): _list_agents,
    ("retry", "agent"): _list_agents,
    ("agents try", "name"): _list_agents,
    ("check", "names"): _list_names,
    ("check", "gate"): _list_gates,
    ("init", "agent"): _list_agent_words,
    ("", "branch"): _list_branches,
    ("rescue take", "item"): _list_rescued,
    ("review", "items"): _list_reviewable,
    ("retry", "items"): _list_reviewable,
    ("undo", "items"): _list_reviewable,
    ("show", "item"): _list_batch_items,
    ("logs", "item"): _list_batch_items,
    ("status", "wanted"): _list_batches_by_digit,
    ("", "batch"): _list_batches,
    ("help", "topic"): _list_topics,
    ("schema", "name"): _list_schemas,
    ("completion", "shell"): _list_shells,
    ("init", "language"): _list_languages,
}
"""What completes a parameter: by its command and its name, or by its name alone."""
