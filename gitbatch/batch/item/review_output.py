"""The check of an output by an agent: what it is asked, with what it said before, and when it has said it too often."""

from msgspec.structs import replace

from gitbatch.agents.protocol import Failure, Progress
from gitbatch.batch.item.agent_check import ReviewRun, fail_check, run_agent_check
from gitbatch.batch.item.check_folder import CheckedItem, find_content
from gitbatch.batch.item.review_subject import ReviewedOutput, SentBack, find_review_subject
from gitbatch.batch.item.run import Run
from gitbatch.batch.item.scheduled import CommitContext, FinishedWork
from gitbatch.batch.model import FailedAttempt
from gitbatch.checks.review import ReviewSubject
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.limits.causes import Cause
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text, format_count


async def review_output(
    run: Run, finished: FinishedWork, checked: CheckedItem, name: str, progress: Progress
) -> CheckResult:
    """Returns the result of a check whose judge is an agent.

    Args:
        run: the tools.
        finished: the attempt whose output is checked.
        checked: the output.
        name: of the check.
        progress: gets the lines of the reviewer.
    """
    table = finished.scheduled.project_state.project.config.checks[name]
    reviewer = replace(finished.scheduled, agent=table.agent or "")
    subject = await run.git(_find_subject, run.repo, run.commit_context(), finished, checked, name)
    if isinstance(subject, Failure):
        return fail_check(name, subject, 0.0)
    result = await run_agent_check(ReviewRun(run, reviewer, name, finished.tried, subject, progress))
    sent_back = sum(_find_red(tried, finished, name) is not None for tried in finished.past) + 1
    if result.verdict is not CheckVerdict.RED or sent_back < table.rounds:
        return result
    times, last = format_count(sent_back, "time"), result.findings[0]
    said = f"check {name} has sent it back {times}, as often as it may (rounds): {last}"
    details = tuple(clean_text(f"{name}: {finding}") for finding in result.findings)
    return replace(result, failure=Failure(clean_text(said), details, Cause.LIMIT))


def _find_subject(
    repo: Repository, commits: CommitContext, finished: FinishedWork, checked: CheckedItem, name: str
) -> ReviewSubject | Failure:
    """Returns what the reviewer is asked. Used on the git thread."""
    table = finished.scheduled.project_state.project.config.checks[name]
    content, is_own = find_content(repo, commits, checked, table)
    before = _find_sent_back(finished, name)
    reviewed = ReviewedOutput(content, checked.context, finished.tried.number, is_own, before)
    return find_review_subject(repo, finished.scheduled, table, reviewed)


def _find_sent_back(finished: FinishedWork, name: str) -> SentBack | None:
    """Returns the review before, if it was of the last attempt and that attempt's output is known.

    With any other attempt in between, no review has seen what that has changed: then the whole output is reviewed.
    """
    counted = tuple(tried for tried in finished.past if tried.is_counted)
    red, earlier = _find_red(counted[-1], finished, name) if counted else None, finished.start.earlier
    if red is None or earlier is None or earlier.attempt != counted[-1].number:
        return None
    return SentBack(earlier.commit.blob, red.findings)


def _find_red(tried: FailedAttempt, finished: FinishedWork, name: str) -> CheckResult | None:
    """Returns the result with which a reviewer sent an attempt from the same base back; None if it did not."""
    if tried.base != finished.scheduled.base_name or not tried.is_counted:
        return None
    red = (each for each in tried.checks if each.name == name and each.verdict is CheckVerdict.RED)
    return next((each for each in red if each.findings), None)
