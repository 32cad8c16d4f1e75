"""The problems that keep an item from running: what it reads, its agent, and the path of its output.

A run refuses to start with the first of them among its items, and `gitbatch lint` reports all of them: both by the same
functions, from a commit or from the disk. No program is started.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec import Struct

from gitbatch.batch.planning.schedule import find_earlier_versions, settings_of
from gitbatch.batch.planning.surroundings import Surroundings
from gitbatch.batch.planning.waits import find_waits
from gitbatch.errors import PlanError
from gitbatch.plan.help_texts import Advice
from gitbatch.plan.model import Plan, WorkItem
from gitbatch.project import help_texts
from gitbatch.project.config import Config
from gitbatch.project.config_tables import suggest_name
from gitbatch.project.context import find_files, possible_paths
from gitbatch.project.control import Project

CONTEXT_ELSEWHERE = "GB401"
"""A context file is in a submodule or in a nested repository."""
OUTPUT_NESTED = "GB404"
"""An output is below a nested repository."""
OUTPUT_BLOCKED = "GB406"
"""An output is in a submodule, below a link or a file, or a folder."""
CONTEXT_MISSING = "GB408"
"""A context file does not exist, and no item of an earlier group writes it."""
AGENT_UNKNOWN = "GB409"
"""An agent is not configured, or it is not clear which one is meant."""

OUTPUT_UNWRITTEN = "GB415"
"""An item revises a file that an open item, which is not chosen, is to write. Only a selection can have this problem."""

OUTPUT_OF_OTHER_AGENT = "GB416"
"""An item's agent does not write an output with this name."""

_WILDCARDS = frozenset("*?[")


class ItemProblem(Struct, frozen=True):
    """A problem of an item."""

    code: str
    item: WorkItem
    word: str
    """What the problem is about, as the plan has it."""
    before: str
    """The message before the word; `{item}` stands for the item's name."""
    reason: str
    advice: Advice

    def describe(self, item: str, word: str) -> str:
        """Returns the message with the names of item and word as they are to be shown."""
        return f"{item if self.before.startswith('{item}') else ''}{self.before.removeprefix('{item}')}{word}{self.reason}"


def find_item_problems(
    plan: Plan, project: Project, items: tuple[WorkItem, ...], agent: str | None, around: Surroundings
) -> Iterator[ItemProblem]:
    """Yields the problems of items that are to run together.

    Args:
        plan: the plan.
        project: its project.
        items: the items.
        agent: the agent of items that name none; None: that is not clear, which is another problem.
        around: the files that they find.
    """
    yield from _find_unwritten(plan, items)
    yield from _find_context_problems(plan, project, items, around)
    yield from find_agent_problems(plan, project.config, items, agent)
    yield from _find_output_problems(items, around)


def require_no_problems(plan: Plan, problems: Iterable[ItemProblem]) -> None:
    """Refuses the first problem.

    Raises:
        PlanError: there is one.
    """
    for problem in problems:
        message = problem.describe(problem.item.name, problem.word)
        raise PlanError(f"{plan.path}:{problem.item.line}: {message}", problem.advice.english)


def agents_by_item(plan: Plan, items: Iterable[WorkItem], default: str) -> Iterator[tuple[WorkItem, str]]:
    """Yields items with the names of their agents."""
    groups = {group.number: group for group in plan.groups}
    return ((item, settings_of(item, groups[item.group], plan).agent or default) for item in items)


def find_default_agent(config: Config) -> str | None:
    """Returns the agent of items that name none; None if that is not clear."""
    try:
        return config.agent_name(None)
    except PlanError:
        return None


def find_foreign_context(name: str, project: Project, around: Surroundings) -> str | None:
    """Returns why a declared context file cannot be in a commit: it is part of another repository; else None."""
    for path in possible_paths(name, project):
        submodule, nested = around.submodule_of(path), around.nested_repository_of(path)
        if submodule or nested:
            kind = "the submodule" if submodule else "the nested repository"
            return f"which is in {kind} {submodule or nested}: its files are in no commit of this repository"
    return None


def find_nesting(path: str, around: Surroundings) -> str | None:
    """Returns why an output cannot be written because of a nested repository; else None."""
    nested = around.nested_repository_of(path)
    return f"{nested} is a repository of its own and not a submodule of this one" if nested else None


def _find_context_problems(
    plan: Plan, project: Project, items: tuple[WorkItem, ...], around: Surroundings
) -> Iterator[ItemProblem]:
    """Yields the declared context files that will not exist when their item starts."""
    writers = _find_writers(plan, items)
    for item in items:
        for name in item.context:
            if find_files(name, project, around.snapshot):
                continue
            elsewhere = find_foreign_context(name, project, around)
            if elsewhere:
                yield _reads(CONTEXT_ELSEWHERE, item, name, elsewhere, help_texts.COPY_CONTEXT)
                continue
            written = (writers[path] for path in possible_paths(name, project) if path in writers)
            is_chosen, writer = next(written, (False, None))
            early = writer is not None and _is_before(writer, item, plan)
            if not (is_chosen and early):
                reason = _missing_reason(writer, is_early=early)
                yield _reads(CONTEXT_MISSING, item, name, reason, _missing_advice(name, writer))


def _find_unwritten(plan: Plan, items: tuple[WorkItem, ...]) -> Iterator[ItemProblem]:
    """Yields the items that revise a file which an open item of an earlier group, that is not chosen, is to write."""
    chosen = frozenset(item.reference for item in items)
    writers = Counter(item.output for item in plan.items)
    for item in items:
        for other in find_earlier_versions(item, plan) if writers[item.output] > 1 else ():
            if not other.done and other.reference not in chosen:
                reason = f", which {other.unique_name} of an earlier group is to write"
                advice = help_texts.CHOOSE_WRITER.fill(writer=other.unique_name)
                yield ItemProblem(OUTPUT_UNWRITTEN, item, item.output, "{item} revises ", reason, advice)


def _find_writers(plan: Plan, chosen: tuple[WorkItem, ...]) -> dict[str, tuple[bool, WorkItem]]:
    """Returns the first item that writes each path, and whether it is chosen; a chosen one if there is any."""
    writers = {item.output: (False, item) for item in reversed(plan.items)}
    return writers | {item.output: (True, item) for item in reversed(chosen)}


def _reads(code: str, item: WorkItem, name: str, reason: str, advice: Advice) -> ItemProblem:
    return ItemProblem(code, item, name, "{item} reads ", f", {reason}", advice)


def _is_before(writer: WorkItem, item: WorkItem, plan: Plan) -> bool:
    """Whether an item sees the output of another one: of an earlier group, or of its own if it waits for it."""
    group = plan.groups[item.group - 1]
    return writer.group < item.group or writer in find_waits(group, plan).find_all(item)


def _missing_reason(writer: WorkItem | None, *, is_early: bool) -> str:
    if writer is None:
        return "which does not exist and which no item writes"
    if not is_early:
        return f"which {writer.name} writes, and that is not in an earlier group, nor waited for"
    return f"which is not there yet: {writer.name} writes it and is not among the chosen items"


def _missing_advice(name: str, writer: WorkItem | None) -> Advice:
    if writer is not None:
        return help_texts.CHOOSE_WRITER.fill(writer=writer.name)
    return help_texts.COMMIT_CONTEXT if _WILDCARDS.isdisjoint(name) else help_texts.NAME_EACH_FILE


def find_agent_problems(
    plan: Plan, config: Config, items: tuple[WorkItem, ...], default: str | None
) -> Iterator[ItemProblem]:
    """Yields the items whose agent is not configured, or does not write their output."""
    known = tuple(sorted(config.agents))
    for item, agent in agents_by_item(plan, items, default or ""):
        if agent and agent not in config.agents:
            near, names = suggest_name(agent, known), ", ".join(known)
            advice = help_texts.MEANT_AGENT if near else help_texts.KNOWN_AGENTS
            advice = advice.fill(near=near or "", names=names) if known else help_texts.ADD_AGENT
            reason = ", which is not configured"
            yield ItemProblem(AGENT_UNKNOWN, item, agent, "{item} wants agent ", reason, advice)
        elif agent and (problem := config.agents[agent].find_output_problem(item.output)):
            reason, advice = f" by agent {agent}: {problem}", help_texts.OTHER_AGENT
            yield ItemProblem(
                OUTPUT_OF_OTHER_AGENT, item, item.output, "cannot write the output ", reason, advice
            )


def _find_output_problems(items: tuple[WorkItem, ...], around: Surroundings) -> Iterator[ItemProblem]:
    """Yields the outputs that are in or below something else than a folder: a link, submodule, file, or repository."""
    for item in items:
        blocked, nested = around.find_path_problem(item.output), find_nesting(item.output, around)
        if blocked or nested:
            code = OUTPUT_BLOCKED if blocked else OUTPUT_NESTED
            before, reason = "cannot write the output ", f": {blocked or nested}"
            yield ItemProblem(code, item, item.output, before, reason, help_texts.OTHER_OUTPUT)
