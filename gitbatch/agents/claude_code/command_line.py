"""The command line and the environment of Claude Code (2.1): what it may do is decided here, by its own permissions.

`dontAsk` denies whatever no rule allows. The rule for files is `Edit(PATTERN)`, for every tool that writes. A pattern has
the syntax of gitignore: without the slash at its beginning, `Edit(a.md)` would allow `docs/a.md` too.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from gitbatch.agents.claude_code.table import ClaudeCodeAgent

_GLOB = re.compile(r"[\\*?\[\]!#]")
_OF_RULE = re.compile(r"[\\()]")
"""The rule itself has escapes too, which are read first."""
_WRITING = frozenset({"Edit", "Write"})
FIXED = {
    "CLAUDE_CODE_MAX_RETRIES": "1",  # a busy server makes all items wait, which is gitbatch's part
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_UPDATES": "1",  # the other one was not always obeyed
    "DISABLE_TELEMETRY": "1",
}
"""Variables of Claude Code that are the same for every item."""


def edit_rule(output: str) -> str:
    """Returns the rule that allows this path, relative to the worktree, and no other."""
    pattern = _OF_RULE.sub(_escape_match, _GLOB.sub(_escape_match, output))
    return f"Edit(/{pattern})"


def _escape_match(found: re.Match[str]) -> str:
    return f"\\{found[0]}"


def build_arguments(
    table: ClaudeCodeAgent, output: str, cost_left: float | None, instruction: str = ""
) -> list[str]:
    """Returns the command line for one attempt.

    Args:
        table: the settings.
        output: the path that it may write, relative to the worktree.
        cost_left: the US dollars that it may spend; None: no limit.
        instruction: is added to its system prompt.
    """
    return [
        table.program,
        *("-p", "--output-format", "stream-json", "--verbose"),
        *("--permission-mode", "dontAsk"),
        *("--tools", ",".join(dict.fromkeys(table.tools))),
        *("--allowedTools", *_allowed_tools(table, output)),
        *("--setting-sources", "project" if table.settings == "project" else ""),
        *("--strict-mcp-config", "--no-session-persistence"),
        *_model_options(table),
        *("--max-turns", str(table.max_turns)),
        *(("--append-system-prompt", instruction) if instruction else ()),
        *(() if cost_left is None else ("--max-budget-usd", f"{cost_left:.6f}")),
    ]


def fixed_variables(scratch: Path) -> dict[str, str]:
    """Returns the variables that are no settings. Each attempt has its own folder for the files of Claude Code.

    A folder that several processes share is written without a lock, and one of the user's has a login that a refresh
    in a copy of it would invalidate.
    """
    return {**FIXED, "CLAUDE_CONFIG_DIR": str(scratch / "claude")}


def _allowed_tools(table: ClaudeCodeAgent, output: str) -> Iterator[str]:
    yield from (tool for tool in dict.fromkeys(table.tools) if tool not in _WRITING)
    yield edit_rule(output)


def _model_options(table: ClaudeCodeAgent) -> Iterator[str]:
    if table.model is not None:
        yield from ("--model", table.model)
    if table.fallback_model is not None:
        yield from ("--fallback-model", table.fallback_model)
