"""Judging an attempt whose agent has ended: its reply, the paths that it changed, its output.

Runs on the git thread, over a repository and values.
"""

from msgspec.structs import replace

from gitbatch.agents.protocol import Failure, Reply
from gitbatch.batch.history.unchecked import Unchecked
from gitbatch.batch.item.commit import commit_held, hold_output, take_output
from gitbatch.batch.item.contributions import describe_lost_contributions
from gitbatch.batch.item.rescue import keep_blob, keep_output
from gitbatch.batch.item.scheduled import CommitContext, FinishedWork
from gitbatch.batch.item.strays import find_strays
from gitbatch.batch.model import FailedAttempt, ItemStatus, Outcome
from gitbatch.batch.workplace.protocol import Collected
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Spent, Usage
from gitbatch.repo.repository import Repository
from gitbatch.text import CleanText, clean_text, list_names


def judge_work(
    repo: Repository, commits: CommitContext, finished: FinishedWork, collected: Collected | None
) -> Outcome | FailedAttempt | Unchecked:
    """Takes the output of an attempt as the item's commit, or returns why it failed and keeps what it had written.

    An output that is to be checked is only held.

    Args:
        repo: the repository.
        commits: the values that commits need.
        finished: the attempt.
        collected: the results in its workplace; None: the workplace is gone.
    """
    if collected is None:
        reason = clean_text("its worktree was removed while it ran")
        return replace(finished.tried, reason=reason, details=_last_words(finished.answer))
    judged = _judge_collected(repo, commits, finished, collected)
    if isinstance(judged, FailedAttempt):
        keep_output(repo, commits, finished.scheduled, judged, finished.start, collected.output)
    return judged


def _judge_collected(
    repo: Repository, commits: CommitContext, finished: FinishedWork, collected: Collected
) -> Outcome | FailedAttempt | Unchecked:
    scheduled, answer = finished.scheduled, finished.answer
    strays = find_strays(collected.changes, scheduled.item.output, scheduled.project_state.guarded)
    tried = replace(finished.tried, strays=scheduled.secrets.mask_lines(strays.others))
    if strays.forbidden:
        return replace(
            tried,
            status=ItemStatus.REFUSED,
            reason=clean_text(
                f"the agent modified {', '.join(strays.forbidden)} outside its assigned output"
            ),
            details=_last_words(answer),
            cause=Cause.REFUSED,
        )
    if isinstance(answer, Failure):
        return fail_with(tried, answer)
    taken = _take_or_hold(repo, commits, replace(finished, tried=tried), answer, collected)
    if isinstance(taken, Failure):
        return fail_with(tried, replace(taken, details=taken.details or _last_words(answer)))
    return taken


def _take_or_hold(
    repo: Repository, commits: CommitContext, finished: FinishedWork, reply: Reply, collected: Collected
) -> Outcome | Unchecked | Failure:
    """Commits the output of an item without checks; holds that of an item with checks."""
    scheduled, start, tried = finished.scheduled, finished.start, finished.tried
    if not scheduled.checks:
        outcome = _succeed(finished, tried, reply)
        return take_output(repo, commits, scheduled, outcome, start, collected.output)
    held = Unchecked(
        scheduled.key,
        scheduled.project_state.commit,
        "",
        tried,
        reply,
        start.context,
        scheduled.agent,
        finished.waits.count,
        finished.waits.seconds,
        plan_item=scheduled.plan_item,
    )
    return hold_output(repo, commits, scheduled, held, start, collected.output)


def commit_checked(
    repo: Repository,
    commits: CommitContext,
    finished: FinishedWork,
    held: Unchecked,
    results: tuple[CheckResult, ...],
) -> Outcome | FailedAttempt:
    """Commits an output that every check let through."""
    outcome = replace(_succeed(finished, _add_usage(held.tried, results), held.reply), checks=results)
    taken = commit_held(repo, commits, finished.scheduled, outcome, held)
    if isinstance(taken, Failure):
        return fail_with(held.tried, taken)
    return taken


def fail_checked(
    repo: Repository,
    commits: CommitContext,
    finished: FinishedWork,
    held: Unchecked,
    results: tuple[CheckResult, ...],
) -> FailedAttempt:
    """Returns the attempt whose output a check rejects, and keeps that output for the next one.

    If a reviewer gave no verdict for a reason that halts the batch, the output stays held, and only that usage counts.
    """
    if failure := next((result.failure for result in results if result.failure), None):
        tried = fail_with(_add_usage(held.tried, results), failure)
        if not tried.is_counted:
            lost = (r.usage for r in results if r.verdict is CheckVerdict.UNAVAILABLE)
            return replace(tried, usage=sum(lost, Usage()))
        tried = replace(tried, checks=results)
        keep_blob(repo, commits, finished.scheduled, tried, finished.start, lambda: held.blob)
        return tried
    red = tuple(result for result in results if not result.verdict.lets_through)
    names = f"{'check' if len(red) == 1 else 'checks'} {list_names(tuple(result.name for result in red))}"
    tried = replace(
        _add_usage(held.tried, results),
        cause=Cause.CHECK_FAILED,
        reason=clean_text(f"{names} failed: {red[0].reason}"),
        details=tuple(clean_text(f"{result.name}: {line}") for result in red for line in result.findings),
        checks=results,
    )
    keep_blob(repo, commits, finished.scheduled, tried, finished.start, lambda: held.blob)
    return tried


def _add_usage(tried: FailedAttempt, results: tuple[CheckResult, ...]) -> FailedAttempt:
    """Returns an attempt with the usage of the agents that have reviewed its output; the model is its author's."""
    reviews = sum((result.usage for result in results), Usage())
    return replace(tried, usage=replace(reviews + tried.usage, model=tried.usage.model))


def _succeed(finished: FinishedWork, tried: FailedAttempt, reply: Reply) -> Outcome:
    """Returns the outcome of an attempt that succeeded, still without its commit."""
    past, waits = finished.past, finished.waits
    return Outcome(
        finished.scheduled.batch_item,
        ItemStatus.SUCCEEDED,
        reply=replace(reply, usage=tried.usage),
        strays=tried.strays,
        attempts=tried.number,
        earlier=tuple(before for before in past if before.is_counted),
        seconds=round(sum_seconds(past) + tried.seconds, 3),
        host=tried.host,
        waits=waits.count,
        waited=waits.seconds,
        spent=sum_spent(past) + Spent.of_attempt(tried.usage),
        missing=finished.scheduled.missing,
        notes=describe_lost_contributions(reply.contributions, finished.scheduled.project_state),
    )


def fail_with(tried: FailedAttempt, failure: Failure) -> FailedAttempt:
    """Returns an attempt with the failure of its agent or of its output."""
    return replace(
        tried,
        status=ItemStatus.REFUSED if failure.cause is Cause.LEAK else tried.status,
        reason=failure.reason,
        details=failure.details,
        cause=failure.cause,
        retry_after=failure.retry_after,
        is_guess=failure.is_guess,
        wait_reason=failure.wait_reason,
    )


def sum_seconds(past: tuple[FailedAttempt, ...]) -> float:
    """Returns the time that attempts took together."""
    return round(sum(tried.seconds for tried in past), 3)


def sum_spent(past: tuple[FailedAttempt, ...]) -> Spent:
    """Returns the usage of attempts together."""
    return sum((Spent.of_attempt(tried.usage) for tried in past), Spent())


def _last_words(answer: Reply | Failure) -> tuple[CleanText, ...]:
    """Returns the last lines of an agent that failed; of one that reports success, its summary."""
    if isinstance(answer, Failure):
        return answer.details
    return (answer.summary,) if answer.summary else ()
