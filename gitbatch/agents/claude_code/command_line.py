"""The command line and the environment of Claude Code (2.1): what it may do is decided here, by its own permissions.

`dontAsk` denies whatever no rule allows. The rule for files is `Edit(PATTERN)`, for every tool that writes. A pattern has
the syntax of gitignore: without the slash at its beginning, `Edit(a.md)` would allow `docs/a.md` too.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from gitbatch.agents.claude_code.table import ClaudeCodeAgent
from gitbatch.patterns import compile_later

_GLOB = compile_later(r"[\\*?\[\]!#]")
_OF_RULE = compile_later(r"[\\()]")
"""The rule itself has escapes too, which are read first."""
_LIST_END = ")"
"""The list of `--allowedTools` is split at spaces and commas outside of parentheses, and knows no escapes: it takes the
first `)` for the end of a rule. Of `a) Edit b.md` would be left `Edit`, which allows every file."""
_WRITING = frozenset({"Edit", "Write"})
_OF_REVIEW = ("Read", "Glob", "Grep")
"""The tools of a reviewer, which changes nothing: a shell could."""
FIXED = {
    "CLAUDE_CODE_MAX_RETRIES": "1",  # a busy server makes all items wait, which is gitbatch's part
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_UPDATES": "1",  # the other one was not always obeyed
    "DISABLE_TELEMETRY": "1",
}
"""Variables of Claude Code that are the same for every item."""


def edit_rule(output: str, root: str = "/") -> str:
    """Returns the rule that allows this path, relative to the worktree, and no other.

    Args:
        output: the path.
        root: the worktree, as the rule names it.
    """
    pattern = _OF_RULE.sub(_escape_match, _GLOB.sub(_escape_match, output))
    return f"Edit({root}{pattern})"


def _escape_match(found: re.Match[str]) -> str:
    return f"\\{found[0]}"


def build_arguments(
    table: ClaudeCodeAgent, output: str | None, cost_left: float | None, instruction: str = ""
) -> list[str]:
    """Returns the command line for one attempt.

    Args:
        table: the settings.
        output: the path that it may write, relative to the worktree; None: it reviews, and may write nothing.
        cost_left: the US dollars that it may spend; None: no limit.
        instruction: is added to its system prompt.
    """
    return [
        table.program,
        *("-p", "--output-format", "stream-json", "--verbose"),
        *("--permission-mode", "dontAsk"),
        *("--tools", ",".join(_find_tools(table, output))),
        *("--allowedTools", *_allowed_tools(table, output)),
        *_rule_settings(output),
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


def _find_tools(table: ClaudeCodeAgent, output: str | None) -> tuple[str, ...]:
    """Returns the tools that it has: for a review, those that only read."""
    tools = tuple(dict.fromkeys(table.tools))
    return tools if output is not None else tuple(tool for tool in tools if tool in _OF_REVIEW) or _OF_REVIEW


def _allowed_tools(table: ClaudeCodeAgent, output: str | None) -> Iterator[str]:
    yield from (tool for tool in _find_tools(table, output) if tool not in _WRITING)
    if output is not None and _LIST_END not in output:
        yield edit_rule(output)


def _rule_settings(output: str | None) -> tuple[str, ...]:
    """Returns the rule for an output as a setting, if it cannot be in the list of tools.

    In a setting, `/` is the folder of the settings; `.//` is the worktree, and `./` would be any folder in it, too.
    """
    if output is None or _LIST_END not in output:
        return ()
    return ("--settings", json.dumps({"permissions": {"allow": [edit_rule(output, ".//")]}}))


def _model_options(table: ClaudeCodeAgent) -> Iterator[str]:
    if table.model is not None:
        yield from ("--model", table.model)
    if table.fallback_model is not None:
        yield from ("--fallback-model", table.fallback_model)
