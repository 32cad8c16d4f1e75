"""A check whose judge is an agent: it is asked until it gives a verdict, by the table of causes (rule F3).

A reviewer that crashes, takes too long, writes a file or answers nonsense is asked again, as often as the item may be
retried; then the item fails as unreviewed. A busy server makes it wait. A limit, or an agent that cannot work, ends the
attempt with that cause, which halts the batch. Only an explicit `accept` of an agent that ended well lets an output pass.
What it uses is the item's: the same limits and the same ledger.
"""

import asyncio
import secrets
import time
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.protocol import Agent, Failure, OutputStream, Progress, Reply
from gitbatch.agents.reply import NO_VERDICT
from gitbatch.batch.events import ItemWaiting
from gitbatch.batch.item.charge import charge_answer, record_interrupted
from gitbatch.batch.item.run import Run
from gitbatch.batch.item.scheduled import ScheduledItem
from gitbatch.batch.item.unexpected import is_cancelled
from gitbatch.batch.model import FailedAttempt
from gitbatch.checks.review import ReviewSubject, ask_reviewer, make_review_result
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.limits.causes import TREATMENTS, Cause, Remedy
from gitbatch.limits.usage import Usage
from gitbatch.text import clean_text, format_count

_GUESSES = 10
"""How often a reviewer waits for a server that seems busy by its program's output."""
_FINAL = frozenset({Cause.DECLINED, Cause.LIMIT})
"""Causes after which asking again would only cost more."""


class ReviewRun(Struct, frozen=True):
    """One review of an output, with all of its tries."""

    run: Run
    scheduled: ScheduledItem
    """The item, with the reviewer as its agent: what is charged and masked is the reviewer's."""
    name: str
    """The name of the check."""
    tried: FailedAttempt
    """The attempt whose output is reviewed."""
    subject: ReviewSubject
    progress: Progress
    clock: Callable[[], float] = time.monotonic


async def run_agent_check(review: ReviewRun) -> CheckResult:
    """Returns the result of a review: with a `failure` if it has none.

    Raises:
        DiskError: our disk fails.
        AttemptInterruptedError: it was cancelled. What it has used is recorded.
    """
    run, config = review.run, review.scheduled.project_state.project.config
    began, used = review.clock(), Usage()
    tries = waits = 0
    agent = run.agents.get_agent(review.scheduled.agent, config)
    while True:
        answer = await _ask_once(review, agent, used)
        used = answer.usage + used
        answer = replace(answer, usage=used)
        seconds = round(review.clock() - began, 3)
        if isinstance(answer, Reply):
            return make_review_result(review.name, answer, review.subject.material, seconds)
        if _starts_wait(review, answer, waits):
            waits += 1
            continue
        if not _is_tried_again(answer):
            return fail_check(review.name, answer, seconds)
        tries += 1
        if tries > review.scheduled.retries or answer.cause in _FINAL:
            return fail_check(review.name, _give_up(review, answer, tries), seconds)
        said = f"asks again ({tries} of {review.scheduled.retries}): {answer.reason}"
        review.progress(OutputStream.PROGRESS, clean_text(said))


async def _ask_once(review: ReviewRun, agent: Agent, used: Usage) -> Reply | Failure:
    """Returns one answer of the reviewer, charged to the budget; its usage is that of this try."""
    run, scheduled = review.run, review.scheduled
    if problem := await _wait_to_ask(run):
        return problem
    progress = scheduled.secrets.mask_progress(review.progress)
    try:
        answer = await ask_reviewer(run.trees, agent, review.subject, secrets.token_hex(8), used, progress)
    except asyncio.CancelledError as error:
        if is_cancelled():
            await record_interrupted(run, scheduled, review.tried, error, used)
        raise
    if isinstance(answer, Reply):
        run.agents.rate_limit.note_success()
    answer = scheduled.secrets.mask_answer(answer)
    return replace(answer, usage=charge_answer(run, scheduled, answer))


async def _wait_to_ask(run: Run) -> Failure | None:
    """Waits for a busy server. Returns a failure if the batch halts meanwhile, or its budget is reached."""
    limit, stop_switch = run.agents.rate_limit, run.stop_switch
    while limit.seconds_left and stop_switch.halt is None:
        await stop_switch.wait_unless_stopped(limit.wait())
    if limit.seconds_left:
        return Failure(clean_text("the batch halts while its reviewer waits"), cause=Cause.LATER)
    if run.agents.budget.is_reached:
        return Failure(clean_text("the budget of the batch is reached"), cause=Cause.BUDGET)
    return None


def _starts_wait(review: ReviewRun, answer: Failure, waits: int) -> bool:
    """Starts a wait of all items if the reviewer's server is busy. Returns false if it is not, or waits too long."""
    limit, scheduled = review.run.agents.rate_limit, review.scheduled
    busy = TREATMENTS[answer.cause].remedy is Remedy.WAIT or (
        answer.cause is Cause.LATER and limit.is_endless
    )
    if not busy or (answer.is_guess and waits >= _GUESSES):
        return False
    if not limit.start_wait(answer.retry_after, answer.wait_reason):
        return False
    review.run.emit(
        ItemWaiting(
            batch=review.run.batch.id,
            slug=scheduled.key,
            group=scheduled.batch_item.group,
            item=scheduled.item.output,
            name=scheduled.batch_item.name,
            reason=answer.reason,
            usage=answer.usage,
        )
    )
    return True


def _is_tried_again(answer: Failure) -> bool:
    """Whether a failure is the reviewer's own, and not one that concerns every item."""
    remedy = TREATMENTS[answer.cause].remedy
    return remedy in {Remedy.AGAIN, Remedy.FAIL} or (remedy is Remedy.WAIT and answer.is_guess)


def _give_up(review: ReviewRun, answer: Failure, tries: int) -> Failure:
    """Returns the failure of an item whose reviewer gave no verdict."""
    count, reason = format_count(tries, "try", "tries"), answer.reason.removeprefix(NO_VERDICT)
    said = f"unreviewed: {review.scheduled.agent} gave no verdict in {count}: {reason}"
    return replace(answer, reason=clean_text(said), cause=Cause.UNREVIEWED)


def fail_check(name: str, failure: Failure, seconds: float) -> CheckResult:
    """Returns the result of a check whose reviewer gave no verdict."""
    failure = replace(failure, reason=clean_text(f"check {name}: {failure.reason}"))
    return CheckResult(
        name, CheckVerdict.UNAVAILABLE, seconds, failure.reason, usage=failure.usage, failure=failure
    )
