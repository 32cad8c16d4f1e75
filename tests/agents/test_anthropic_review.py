"""Reviews by the Claude agent, with the real library, against the scripted server."""
# ruff: noqa: F811 - fixtures are imported, and are arguments of the same name

from typing import Any

import pytest
from agents.stage import Stage, base, server, stage  # noqa: F401 - fixtures

from gitbatch.agents.anthropic.blocks import CALL_GIVE_VERDICT
from gitbatch.agents.anthropic.prompt import Quoted, build_prompt
from gitbatch.agents.anthropic.scripted.server import KEY
from gitbatch.agents.protocol import Failure, Reply
from gitbatch.agents.review.model import Review, ReviewDecision, ReviewFinding, ReviewRequest
from gitbatch.agents.review.prompt import REVIEW_RULES
from gitbatch.limits.causes import Cause
from gitbatch.project.context import ContextReason
from gitbatch.text import CleanText

REQUEST = ReviewRequest("0f1e", lines=3, criteria=(1,))
ACCEPT = 'give_verdict {"verdict": "accept", "findings": []}'
REVISE = f'give_verdict {{"verdict": "revise", "findings": [{{"line": 3, "text": "It is {KEY}."}}]}}'


def review(stage: Stage, script: str, **more: Any) -> Reply | Failure:  # noqa: ANN401 - fields of an assignment
    return stage.talk(
        script, review=REQUEST, instructions=f"# Review of out/a.md\n\n`script: {script}`", **more
    )


def verdict_of(answer: Reply | Failure) -> Review:
    assert isinstance(answer, Reply), answer
    assert answer.review
    return answer.review


def test_the_prompt_and_the_tools_of_a_review(stage: Stage) -> None:
    rules = Quoted(stage.context("rules.md", ContextReason.RULES), "Short pages.\n", 13)
    prompt = build_prompt(stage.assignment("", review=REQUEST, instructions="# Review"), (rules,), 200_000, 0)
    assert prompt.system[0].startswith(REVIEW_RULES)
    assert "You are one of several workers" not in prompt.system[0]
    assert "Short pages." in prompt.system[0]
    assert prompt.request == "# Review"
    assert [tool["name"] for tool in prompt.tools] == ["read_file", "list_files", "search", "give_verdict"]


def test_a_review_ends_with_its_verdict(stage: Stage) -> None:
    context = (
        stage.context("rules.md", ContextReason.RULES),
        stage.context("src/a.py", ContextReason.DECLARED),
    )
    answer = review(stage, f"say Looking. + read src/a.py + list; {REVISE}", context=context)
    finding = ReviewFinding(CleanText("It is [the API key]."), 3)
    assert verdict_of(answer).decision is ReviewDecision.REVISE
    assert KEY not in str(answer)
    assert verdict_of(answer).findings[0].line == finding.line
    assert answer.usage.requests == 2
    assert answer.usage == stage.budget.known_usage, "it is charged as an attempt is"
    assert "def a()" in stage.asked[0].messages, "the context is quoted"
    assert "give_verdict: revise: 1 finding" in stage.lines()


@pytest.mark.parametrize(
    "call", ["write x", "edit a => b", "finish", 'write_output {"content": "x", "append": true}']
)
def test_a_review_has_no_tool_that_writes(stage: Stage, call: str) -> None:
    answer = review(stage, f"{call}; {ACCEPT}")
    assert verdict_of(answer) == Review(ReviewDecision.ACCEPT)
    assert stage.output() is None
    assert "unknown tool" in stage.lines()


@pytest.mark.parametrize(
    "nonsense",
    [
        'give_verdict {"verdict": "revise", "findings": []}',
        'give_verdict {"verdict": "maybe", "findings": []}',
        'give_verdict {"verdict": "accept", "findings": [{"line": 4, "text": "x"}]}',
        'give_verdict {"verdict": "accept", "findings": "none"}',
        'give_verdict {"verdict": "accept", "findings": ["x"]}',
        'give_verdict {"findings": []}',
        'give_verdict {"verdict": "accept", "findings": [], "sure": true}',
        "raw give_verdict accept",
    ],
)
def test_a_verdict_that_is_nonsense_is_asked_for_again_and_never_taken(stage: Stage, nonsense: str) -> None:
    assert verdict_of(review(stage, f"{nonsense}; {ACCEPT}")) == Review(ReviewDecision.ACCEPT)
    refused = review(stage, nonsense)
    assert isinstance(refused, Failure)
    assert refused.cause is Cause.FAILED


def test_two_verdicts_in_an_answer_are_nonsense(stage: Stage) -> None:
    answer = review(stage, f"{ACCEPT} + {REVISE}")
    assert isinstance(answer, Failure)
    assert (answer.cause, answer.reason) == (Cause.UNREVIEWED, "no verdict: it gave more than one")
    assert answer.usage.requests == 1


def test_words_are_not_a_verdict(stage: Stage) -> None:
    """The model approves in its text, and in the form that other kinds of agents use."""
    said = 'say {"review": "0f1e", "verdict": "accept", "findings": []}'
    assert verdict_of(review(stage, f"{said}; {REVISE}")).decision is ReviewDecision.REVISE
    assert CALL_GIVE_VERDICT in stage.asked[1].messages
    answer = review(stage, said)
    assert isinstance(answer, Failure)
    assert answer.reason == "10 answers in a row without progress: it ended without finishing"


def test_a_verdict_next_to_a_call_that_fails_is_given_again(stage: Stage) -> None:
    assert verdict_of(review(stage, f"search + {ACCEPT}; {REVISE}")).decision is ReviewDecision.REVISE


def test_an_author_cannot_give_a_verdict(stage: Stage) -> None:
    answer = stage.talk(f"{ACCEPT}; write x; finish")
    assert isinstance(answer, Reply)
    assert answer.review is None
    assert "give_verdict: unknown tool give_verdict" in stage.lines()
