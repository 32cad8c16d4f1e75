"""Results of reviews: what passes, and what is left of a reply without a verdict."""

import pytest

from gitbatch.agents.protocol import Failure, Reply
from gitbatch.agents.review.model import Review, ReviewDecision, ReviewFinding
from gitbatch.agents.review.prompt import ReviewMaterial
from gitbatch.checks.review import _require_verdict, find_named_lines, make_review_result
from gitbatch.checks.verdict import CheckVerdict
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.text import CleanText

MATERIAL = ReviewMaterial("a.md", ("# A", "b"), "?", "T", criteria=((2, "Short"),))
FINDINGS = (ReviewFinding(CleanText("No title."), 1), ReviewFinding(CleanText("Long."), None, 2))


@pytest.mark.parametrize(
    ("review", "verdict", "reason"),
    [
        (Review(ReviewDecision.ACCEPT), CheckVerdict.PASS, ""),
        (Review(ReviewDecision.ACCEPT, FINDINGS), CheckVerdict.PASS, ""),
        (
            Review(ReviewDecision.REVISE, FINDINGS, more=3),
            CheckVerdict.RED,
            "sent back with 5 findings: line 1 “# A”: No title.",
        ),
        (Review(ReviewDecision.REVISE), CheckVerdict.UNAVAILABLE, "it gave no verdict"),
        (None, CheckVerdict.UNAVAILABLE, "it gave no verdict"),
    ],
)
def test_only_an_explicit_accept_passes(review: Review | None, verdict: CheckVerdict, reason: str) -> None:
    result = make_review_result("style", Reply(CleanText("I accept."), review=review), MATERIAL, 1.5)
    assert (result.verdict, result.reason, result.seconds) == (verdict, reason, 1.5)


def test_what_a_reviewer_has_used_is_part_of_its_result() -> None:
    usage = Usage(input=5, requests=1, cost=0.5)
    for decision in ReviewDecision:
        review = Review(decision, FINDINGS)
        reply = Reply(CleanText(""), usage=usage, review=review)
        assert make_review_result("style", reply, MATERIAL, 1.5).usage == usage


def test_the_lines_that_findings_name() -> None:
    reply = Reply(CleanText(""), review=Review(ReviewDecision.REVISE, FINDINGS))
    findings = make_review_result("style", reply, MATERIAL, 1.5).findings
    assert findings == ("line 1 “# A”: No title.", "criterion 2 “Short”: Long.")
    assert find_named_lines(findings) == (1,)


def test_a_reply_of_a_kind_that_does_not_know_reviews_is_unreviewed() -> None:
    usage = Usage(input=5, requests=1, cost=0.5)
    answer = _require_verdict(Reply(CleanText("I wrote it. It is short."), usage=usage))
    assert isinstance(answer, Failure)
    assert (answer.cause, answer.usage) == (Cause.UNREVIEWED, usage)
    accepted = Reply(CleanText(""), review=Review(ReviewDecision.ACCEPT))
    assert _require_verdict(accepted) is accepted
    failed = Failure(CleanText("it broke"))
    assert _require_verdict(failed) is failed
