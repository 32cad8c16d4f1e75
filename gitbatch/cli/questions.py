"""The questions at the terminal: for options that are missing before a batch (rule O7), and about a changed configuration."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import questionary

from gitbatch.batch.model import CheckpointMode, PauseMode
from gitbatch.batch.planning.selection import select_items
from gitbatch.cli.interruption import cancelled_by_signals
from gitbatch.cli.terminal import choose_pointer, open_prompt
from gitbatch.errors import DeclinedError, UsageError
from gitbatch.plan.model import Plan

_RUN_CHANGED = "Run the batch with the changed configuration?"


def ask_items(plan: Plan) -> str:
    """Asks which items to run; returns a value of --items."""
    open_groups = [(g, sum(not item.done for item in g.items)) for g in plan.groups]
    total = sum(count for _, count in open_groups)
    choices = [questionary.Choice(f"all {total} open items", "all")]
    choices += [
        questionary.Choice(f"group {g.number}: {g.title} ({count} open)", f"group:{g.number}")
        for g, count in open_groups
        if count
    ]
    choices.append(questionary.Choice("some items, by id or output path", "some"))
    chosen: str = _ask_question(questionary.select, "Which items?", choices)
    if chosen != "some":
        return chosen
    said = "Ids or output paths, with commas between:"
    return _ask_question(questionary.text, said, validate=_valid_items(plan))


def _valid_items(plan: Plan) -> Callable[[str], bool | str]:
    def check_items(text: str) -> bool | str:
        try:
            # Whether an item has failed is known once the batch starts.
            return (
                bool(select_items(plan, text, lambda: frozenset(i.reference for i in plan.items)))
                or "it names no open item"
            )
        except UsageError as error:
            return error.message

    return check_items


def ask_mode(groups: int) -> CheckpointMode:
    """Asks when to pause for a review."""
    choices = [
        questionary.Choice("after each group", PauseMode.AFTER_EACH),
        questionary.Choice("after every N groups", PauseMode.AFTER_BATCH),
        questionary.Choice("only at the end", PauseMode.AT_END),
    ]
    pace = PauseMode(_ask_question(questionary.select, "Pause for a review?", choices))
    if pace is not PauseMode.AFTER_BATCH:
        return CheckpointMode(pace)
    text = _ask_question(
        questionary.text,
        f"After how many of the {groups} groups?",
        default="2",
        validate=lambda t: re.fullmatch(r"[1-9][0-9]{0,5}", t) is not None,
    )
    return CheckpointMode(pace, int(text))


def _ask_question(question: Callable[..., questionary.Question], *arguments: Any, **options: Any) -> str:  # noqa: ANN401 - those of questionary's own functions
    if question is questionary.select:
        options["pointer"] = choose_pointer()
    with open_prompt() as output:
        answer = _wait_for_answer(question(*arguments, **options, output=output))
    if answer is None:
        raise DeclinedError("nothing was started", "run the command again to choose")
    return answer  # type: ignore[no-any-return]  # questionary does not type its answers


def ask_phase() -> str:
    """Asks for the form of a new project; returns the phase's name, or "" for a single plan."""
    choices = [
        questionary.Choice("one plan: task.md, no phases", "plan"),
        questionary.Choice("a phase of several: a folder with its plan, rules and status", "phase"),
    ]
    if _ask_question(questionary.select, "What do you start with?", choices) == "plan":
        return ""
    return _ask_question(questionary.text, "The phase's name:", default="phase-1")


def ask_to_append() -> bool:
    """Asks whether to append the scope section to CLAUDE.md."""
    return _ask_to_confirm("Append it to CLAUDE.md?", default=True)


def ask_to_accept() -> bool:
    """Asks whether the batch may run with the configuration whose difference is shown."""
    return _ask_to_confirm(_RUN_CHANGED, default=False)


def ask_to_abort() -> bool:
    """Asks whether to end the batch."""
    return _ask_to_confirm("End this batch?", default=False)


async def ask_to_accept_now() -> bool:
    """Asks the same during a run."""
    with open_prompt() as output:
        question = questionary.confirm(_RUN_CHANGED, default=False, auto_enter=False, output=output)
        return bool(await question.ask_async(kbi_msg=""))


def _ask_to_confirm(message: str, *, default: bool) -> bool:
    with open_prompt() as output:
        question = questionary.confirm(message, default=default, auto_enter=False, output=output)
        return bool(_wait_for_answer(question))


def _wait_for_answer(question: questionary.Question) -> Any:  # noqa: ANN401 - questionary does not type its answers
    """Returns the answer, None after Ctrl-C; other signals end the process when the terminal is as it was."""

    async def ask_person() -> Any:  # noqa: ANN401 - as above
        with cancelled_by_signals():
            return await question.ask_async(kbi_msg="")

    return asyncio.run(ask_person())
