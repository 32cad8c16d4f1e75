"""Asking a person: what is missing before a batch (rule O7), and what to do at a pause."""

import asyncio
import re
import sys
import termios
from collections.abc import Callable

import questionary

from gitbatch.batch.model import CheckpointMode, PauseMode
from gitbatch.batch.planning.selection import select_items
from gitbatch.errors import DeclinedError, UsageError
from gitbatch.plan.model import Plan

_CONTINUE, _DIFF, _STOP = "continue with the next group", "show the diff", "stop here"


def ask_items(plan: Plan) -> str:
    """Which items to run, in the words of --items."""
    open_groups = [(g, sum(not item.done for item in g.items)) for g in plan.groups]
    total = sum(count for _, count in open_groups)
    choices = [questionary.Choice(f"all {total} open items", "all")]
    choices += [
        questionary.Choice(f"group {g.number}: {g.title} ({count} open)", f"group:{g.number}")
        for g, count in open_groups
        if count
    ]
    choices.append(questionary.Choice("some items, by id or output path", "some"))
    chosen: str = _answer(questionary.select("Which items?", choices))
    if chosen != "some":
        return chosen
    return _answer(questionary.text("Ids or output paths, with commas between:", validate=_valid_items(plan)))


def _valid_items(plan: Plan) -> Callable[[str], bool | str]:
    def valid(text: str) -> bool | str:
        try:
            return bool(select_items(plan, text)) or "that names no open item"
        except UsageError as error:
            return error.message

    return valid


def ask_mode(groups: int) -> CheckpointMode:
    """When to pause for a review."""
    choices = [
        questionary.Choice("after each group", PauseMode.AFTER_EACH),
        questionary.Choice("after every N groups", PauseMode.AFTER_BATCH),
        questionary.Choice("only at the end", PauseMode.AT_END),
    ]
    pace = PauseMode(_answer(questionary.select("Pause for a review?", choices)))
    if pace is not PauseMode.AFTER_BATCH:
        return CheckpointMode(pace)
    text = _answer(
        questionary.text(
            f"After how many of the {groups} groups?",
            default="2",
            validate=lambda t: re.fullmatch(r"[1-9][0-9]{0,5}", t) is not None,
        )
    )
    return CheckpointMode(pace, int(text))


def _answer(question: questionary.Question) -> str:
    answer = question.ask(kbi_msg="")
    if answer is None:
        raise DeclinedError("nothing was started", "run it again when you know what you want")
    return answer  # type: ignore[no-any-return]  # questionary does not type its answers


def ask_to_accept() -> bool:
    """Ask whether the batch may run by the configuration whose difference is shown."""
    return bool(_accepting().ask(kbi_msg=""))


async def ask_to_accept_now() -> bool:
    """Ask the same in the middle of a run."""
    return bool(await _accepting().ask_async(kbi_msg=""))


def _accepting() -> questionary.Question:
    """A question that what was typed before does not answer."""
    termios.tcflush(sys.stdin, termios.TCIFLUSH)
    return questionary.confirm(
        "Run the batch with the changed configuration?", default=False, auto_enter=False
    )


async def ask_to_continue(show_diff: Callable[[], None]) -> bool:
    """At a pause: go on, look at the diff, or stop. True: go on."""
    while True:
        question = questionary.select("Checkpoint reached:", [_CONTINUE, _DIFF, _STOP])
        answer: str | None = await question.ask_async(kbi_msg="")
        if answer != _DIFF:
            return answer == _CONTINUE
        await asyncio.to_thread(show_diff)
