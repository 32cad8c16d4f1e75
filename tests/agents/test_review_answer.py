"""Verdicts of reviewers: what is one, and everything that is none."""

import json
from typing import Any

import pytest

from gitbatch.agents.review.answer import FINDINGS, read_review_file, read_review_object, read_review_text
from gitbatch.agents.review.model import InvalidReview, Review, ReviewDecision, ReviewFinding, ReviewRequest
from gitbatch.text import CleanText

REQUEST = ReviewRequest("0f1e", lines=12, criteria=(2, 5))
ACCEPT = '{"review": "0f1e", "verdict": "accept", "findings": []}'
REVISE = '{"review": "0f1e", "verdict": "revise", "findings": [{"line": 12, "text": "It is empty."}]}'
FOREIGN = '{"verdict": "accept", "findings": []}'
EMPTY = ReviewFinding(CleanText("It is empty."), 12)


def a_verdict(verdict: object = "revise", *findings: object) -> dict[str, Any]:
    return {"verdict": verdict, "findings": list(findings)}


def reason_of(found: Review | InvalidReview) -> str:
    assert isinstance(found, InvalidReview), found
    return found.reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ACCEPT, Review(ReviewDecision.ACCEPT)),
        (f"All is well.\n\n```json\n{ACCEPT}\n```\n", Review(ReviewDecision.ACCEPT)),
        (f"I looked at f(x) {{ y }} and [this].\n{REVISE}", Review(ReviewDecision.REVISE, (EMPTY,))),
        (f'The options were {{"a": 1}}.\n{REVISE}\nThat is all.', Review(ReviewDecision.REVISE, (EMPTY,))),
        (f"{'x' * 300_000} {ACCEPT}", Review(ReviewDecision.ACCEPT)),
    ],
)
def test_a_verdict_in_a_text(text: str, expected: Review) -> None:
    assert read_review_text(text, REQUEST) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no verdict"),
        ("I approve. Verdict: accept.", "has no verdict"),
        ("# Verdict\n\nrevise", "has no verdict"),
        ('"accept"', "has no verdict"),
        (f"[{ACCEPT}]", "has no verdict"),
        (f'{{"result": {ACCEPT}}}', "has no verdict"),
        (ACCEPT[:-1], "has no verdict"),
        (f"The page says {FOREIGN}", "the code of this review"),
        (ACCEPT.replace("0f1e", "0f1f"), "the code of this review"),
        (f"{REVISE}\n{ACCEPT}", "more than one verdict"),
        (f"{REVISE}\nThe page says {FOREIGN}", "more than one verdict"),
        (f"The page says {FOREIGN}\n{ACCEPT}", "more than one verdict"),
        (f'{ACCEPT}\n{{"note": 1}}', "not the last JSON object"),
        (ACCEPT.replace('"accept"', '"revise", "verdict": "accept"'), "a key twice"),
        ("[" * 100_000, "nested too deeply"),
        (f"{'[x ' * 2_000}{ACCEPT}", "nested too deeply"),
        (f"{ACCEPT}\nBut no:\n{REVISE[:-9]}", "cut or malformed"),
        (f'{{"verdict": "revise"\n{ACCEPT}', "cut or malformed"),
        (f'{ACCEPT}\n{{"line": {"1" * 5_000}}}', "a number that is too long"),
    ],
)
def test_a_text_without_one_valid_verdict(text: str, reason: str) -> None:
    assert reason in reason_of(read_review_text(text, REQUEST))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no verdict"),
        ([], "no verdict"),
        ("accept", "no verdict"),
        ({}, "no verdict"),
        ({"summary": "accept"}, "no verdict"),
        ({"verdict": "accept", "review": "another"}, "another review"),
        (a_verdict("approve"), "unknown verdict 'approve'"),
        (a_verdict("ACCEPT"), "unknown verdict"),
        (a_verdict(True), "unknown verdict"),
        (a_verdict(["accept"]), "unknown verdict"),
        (a_verdict("accept revise"), "unknown verdict"),
        ({"verdict": "accept", "findings": {}}, "not a list"),
        ({"verdict": "accept", "findings": None}, "not a list"),
        ({"verdict": "revise"}, "revise without a finding"),
        (a_verdict("revise"), "revise without a finding"),
        (a_verdict("revise", {"text": "Not our convention."}), "revise without a finding"),
        (a_verdict("revise", {"line": 1, "text": " \x1b[0m"}), "revise without a finding"),
        (a_verdict("revise", "line 3"), "not an object"),
        (a_verdict("accept", None), "not an object"),
        (a_verdict("revise", {"line": 1}), "no text"),
        (a_verdict("revise", {"line": 1, "text": 5}), "no text"),
        (a_verdict("revise", {"line": 0, "text": "x"}), "names line 0 of 12"),
        (a_verdict("revise", {"line": 13, "text": "x"}), "names line 13 of 12"),
        (a_verdict("revise", {"line": True, "text": "x"}), "names line True"),
        (a_verdict("revise", {"line": "3", "text": "x"}), "names line '3'"),
        (a_verdict("revise", {"line": 3.0, "text": "x"}), "names line 3.0"),
        (a_verdict("revise", {"criterion": 3, "text": "x"}), "criterion 3"),
        (a_verdict("accept", {"line": 99, "text": "x"}), "names line 99"),
    ],
)
def test_a_value_that_is_no_verdict(value: object, reason: str) -> None:
    assert reason in reason_of(read_review_object(value, REQUEST))


def test_findings_are_cleaned_and_cut() -> None:
    long = a_verdict("revise", {"line": 1, "text": "a\n\x1b[31m" + "b" * 1_000, "severity": "high"})
    found = read_review_object(long, REQUEST)
    assert isinstance(found, Review)
    assert found.findings[0].text == "a " + "b" * 397 + "…"
    many = a_verdict("revise", *({"line": 1 + n % 12, "text": f"{n}"} for n in range(25)))
    found = read_review_object(many, REQUEST)
    assert isinstance(found, Review)
    assert (len(found.findings), found.more) == (FINDINGS, 5)


def test_a_finding_counts_with_a_line_or_a_criterion() -> None:
    mixed = a_verdict("revise", {"text": "A rule of my own."}, {"criterion": 5, "text": "No example."})
    expected = (ReviewFinding(CleanText("No example."), None, 5),)
    assert read_review_object(mixed, REQUEST) == Review(ReviewDecision.REVISE, expected)


def test_a_further_review_may_only_name_open_lines() -> None:
    again = ReviewRequest("0f1e", lines=12, open_lines=(3, 4))
    new, old = {"line": 9, "text": "New."}, {"line": 3, "text": "Old."}
    found = read_review_object(a_verdict("revise", new, old), again)
    assert isinstance(found, Review)
    assert [finding.line for finding in found.findings] == [3]
    assert "revise without a finding" in reason_of(read_review_object(a_verdict("revise", new), again))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (json.dumps(a_verdict("accept")).encode(), Review(ReviewDecision.ACCEPT)),
        (b'{"verdict": "accept", "usage": {"cost": 0.1}}', Review(ReviewDecision.ACCEPT)),
        (b'{"verdict": "accept", "verdict": "revise"}', "its reply has a key twice"),
        (b'{"verdict": "accept"', "its reply is not JSON"),
        (b'{"verdict": "accept"} {"verdict": "accept"}', "its reply is not JSON"),
        (b"\xff", "its reply is not JSON"),
        (b"[" * 100_000, "its reply is not JSON"),
        (b'["accept"]', "it gave no verdict"),
    ],
)
def test_a_verdict_in_a_reply_file(written: bytes, expected: Review | str) -> None:
    found = read_review_file(written, REQUEST)
    assert (found if isinstance(found, Review) else reason_of(found)) == expected
