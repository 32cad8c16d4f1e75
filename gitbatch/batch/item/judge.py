"""Judging an attempt whose agent has ended: its reply, the paths that it changed, its output.

Runs on the git thread, over a repository and values.
"""

from msgspec.structs import replace

from gitbatch.agents.protocol import Failure, Reply
from gitbatch.batch.item.commit import take_output
from gitbatch.batch.item.contributions import describe_lost_contributions
from gitbatch.batch.item.rescue import keep_output
from gitbatch.batch.item.scheduled import CommitContext, FinishedWork
from gitbatch.batch.item.strays import find_strays
from gitbatch.batch.model import FailedAttempt, ItemStatus, Outcome
from gitbatch.batch.workplace.protocol import Collected
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Spent
from gitbatch.repo.repository import Repository
from gitbatch.text import CleanText, clean_text


def judge_work(
    repo: Repository, commits: CommitContext, finished: FinishedWork, collected: Collected | None
) -> Outcome | FailedAttempt:
    """Takes the output of an attempt as the item's commit, or returns why it failed and keeps what it had written.

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
) -> Outcome | FailedAttempt:
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
    outcome = _succeed(finished, tried, answer)
    taken = take_output(repo, commits, scheduled, outcome, finished.start, collected.output)
    if isinstance(taken, Failure):
        return fail_with(tried, replace(taken, details=taken.details or _last_words(answer)))
    return taken


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
