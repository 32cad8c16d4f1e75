"""Reviews by an agent that speaks ACP: every edit is rejected, and the verdict is the end of its last message."""

import asyncio
import json
from pathlib import Path

import pytest
from agents.claude_code_values import FILES, an_assignment

from gitbatch.agents.acp.agent import make_program
from gitbatch.agents.acp.message import Location, PromptResult, ToolCall
from gitbatch.agents.acp.permission import PermissionDecision, PermissionRule
from gitbatch.agents.acp.program import AcpProgram
from gitbatch.agents.acp.table import AcpAgent
from gitbatch.agents.process.program import ProgramExit
from gitbatch.agents.process.watch import OutputWatch
from gitbatch.agents.protocol import AgentFolders, Failure, OutputStream, Reply
from gitbatch.agents.review.model import Review, ReviewDecision, ReviewRequest
from gitbatch.agents.secrets import Secrets
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause
from gitbatch.sandbox.model import SandboxKind

REQUEST = ReviewRequest("0f1e", lines=12)
PLACE = AgentFolders(Path("/worktree"), Path("/scratch"))
ACCEPT = '{"review": "0f1e", "verdict": "accept", "findings": []}'


def a_review(table: AcpAgent, *, is_review: bool = True) -> AcpProgram:
    assignment = an_assignment(review=REQUEST if is_review else None, artifacts=("a.md",))
    made = make_program(table, Budget(), SandboxKind.BUBBLEWRAP, assignment, PLACE, FILES)
    assert isinstance(made, AcpProgram)
    return made


def answer_of(program: AcpProgram, *texts: str) -> Reply | Failure:
    """The answer of a program whose model says this, in pieces."""
    for text in texts:
        update = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}
        message = {
            "jsonrpc": "2.0",
            "method": "session/update",
            "params": {"sessionId": "s", "update": update},
        }
        program.turn.inbox.take_line(OutputStream.OUTPUT, json.dumps(message))
    program.turn.known.result = PromptResult("end_turn")

    async def read() -> Reply | Failure:
        watch = OutputWatch(lambda _, __: None, Path("/nowhere"), Secrets(), program.show_line, 1_000)
        return program.read_reply(ProgramExit(0, watch, FILES, Secrets()))

    return asyncio.run(read())


@pytest.mark.parametrize("path", ["docs/p1.md", "/worktree/docs/p1.md", "/worktree", "None", "", "."])
def test_a_review_may_write_nothing(path: str) -> None:
    edit = ToolCall("1", "edit", locations=(Location(path),))
    rule = PermissionRule((Path("/worktree"),), (Path("/scratch"),), None)
    assert rule.judge_calls([edit]) is PermissionDecision.REJECT
    author = PermissionRule((Path("/worktree"),), (Path("/scratch"),), "docs/p1.md")
    expected = PermissionDecision.ALLOW if path.endswith("p1.md") else PermissionDecision.REJECT
    assert author.judge_calls([edit]) is expected


def test_the_start_of_a_review() -> None:
    table = AcpAgent(preset="opencode", allow=("execute",))
    review, author = a_review(table), a_review(table, is_review=False)
    run = ToolCall("1", "execute", raw_input={"command": "rm -rf ."})
    edit = ToolCall("2", "edit", locations=(Location("docs/p1.md"),))
    for program, decision in ((review, PermissionDecision.REJECT), (author, PermissionDecision.ALLOW)):
        rule = program.turn.rule
        assert [rule.judge_calls([call]) for call in (run, edit)] == [decision, decision]
    allowed = [json.loads(each.environment()["OPENCODE_PERMISSION"]) for each in (author, review)]
    assert [each["edit"]["docs/p1.md"] for each in allowed] == ["allow", "deny"]
    assert review._prompt_text() == review.assignment.prompt


def test_the_verdict_is_at_the_end_of_the_last_message() -> None:
    table = AcpAgent(command=("agent",))
    answer = answer_of(a_review(table), "I have read it.\n", ACCEPT[:20], ACCEPT[20:])
    assert isinstance(answer, Reply)
    assert answer.review == Review(ReviewDecision.ACCEPT)
    refused = answer_of(a_review(table), "I accept it.")
    assert isinstance(refused, Failure)
    assert refused.cause is Cause.UNREVIEWED
