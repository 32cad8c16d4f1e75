"""Assignments, agents and recorded streams of Claude Code, for tests without a process."""

from pathlib import Path
from typing import Any

from agents.stream_player import judge_printed

from gitbatch.agents.claude_code.agent import ClaudeCodeProgram, SharedState, make_program
from gitbatch.agents.claude_code.key import KeyVariable
from gitbatch.agents.claude_code.table import ClaudeCodeAgent
from gitbatch.agents.process.files import ExchangeFiles
from gitbatch.agents.process.starter import Starter
from gitbatch.agents.protocol import AgentFolders, Assignment, Failure, Reply
from gitbatch.agents.services import AgentServices
from gitbatch.limits.budget import Budget
from gitbatch.plan.model import ItemKey

STREAMS = Path(__file__).parent / "streams" / "claude-code"
WORKTREE = Path("/worktree")
KEY = KeyVariable("ANTHROPIC_API_KEY", "key-of-a-test")
FILES = ExchangeFiles(
    *(Path("/scratch") / name for name in ("prompt.md", "context", "progress", "reply.json"))
)


def an_assignment(**more: Any) -> Assignment:  # noqa: ANN401 - fields of an assignment
    usual: dict[str, Any] = {"item": ItemKey("1-t1"), "output": "docs/p1.md", "prompt": "", "context": ()}
    return Assignment(**{**usual, "timeout": 60.0, "attempt": 1, **more})


def a_state(environment: dict[str, str] | None = None, max_cost: float | None = None) -> SharedState:
    return SharedState(AgentServices(environment or {}, None, Starter(), budget=Budget(max_cost)))


def a_program(
    table: ClaudeCodeAgent | None = None,
    state: SharedState | None = None,
    assignment: Assignment | None = None,
    worktree: Path = WORKTREE,
) -> ClaudeCodeProgram:
    """A start of Claude Code that is made."""
    place = AgentFolders(worktree, Path("/scratch"))
    made = make_program(
        table or ClaudeCodeAgent(), KEY, state or a_state(), assignment or an_assignment(), place, FILES
    )
    assert isinstance(made, ClaudeCodeProgram)
    return made


def play_stream(
    program: ClaudeCodeProgram, printed: bytes, status: int, errors: bytes = b""
) -> tuple[Reply | Failure, list[tuple[str, str]]]:
    """Returns the answer of a program that prints this and exits, and what was shown."""
    return judge_printed(program, FILES, printed, status=status, errors=errors)


def read_stream(name: str) -> bytes:
    return (STREAMS / f"{name}.jsonl").read_bytes()
