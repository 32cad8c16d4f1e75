"""What a session reports while it works: its text, its calls of tools, its mode, its cost. Pure: no pipe, no clock."""

import asyncio
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec import Raw, Struct

from gitbatch.agents.acp.message import ConfigOption, SessionUpdate, ToolCall, decode_update
from gitbatch.agents.acp.permission import keep_paths, merge_calls
from gitbatch.agents.json_lines.shown import ShownPaths, describe_failure
from gitbatch.agents.process.watch import ShownLine
from gitbatch.agents.protocol import OutputStream
from gitbatch.patterns import compile_later

_SAID_CHARACTERS = 64 * 1024
"""Characters of the last text that are kept: a summary is much shorter."""
_CALLS = 10_000
"""Calls that are remembered. Their limit stops an agent before, unless it is a high one."""
_OFFLINE = "waiting for network"
_ERROR_TEXT = compile_later(r"(?:API )?Error\b[:. ]|Failed to authenticate|Internal error\b", re.IGNORECASE)
"""The beginning of an error that an agent repeats as if the model had said it."""
_IGNORED = frozenset(
    {
        *("agent_thought_chunk", "user_message_chunk", "available_commands_update"),
        *("plan_update", "plan_removed"),
    }
)


class Counts(Struct):
    """What was counted of the lines of an agent."""

    calls: int = 0
    """Different calls of tools."""
    unknown: int = 0
    """Notifications that are not known, or have another form."""
    not_json: int = 0
    """Lines that are not a message."""


class _DescribedCall(NamedTuple):
    """The line for a call."""

    text: str
    is_telling: bool
    """It names a file, or what it is called with."""


class SessionEvents:
    """The events of one attempt, as they come."""

    def __init__(self, worktree: Path, notify_cost: Callable[[float], None]) -> None:
        self.counts = Counts()
        self.mode = ""
        """The mode that was reported last."""
        self.mode_reported = asyncio.Event()
        self.cost: float | None = None
        """US dollars for the session so far; None: not reported."""
        self._takers: Mapping[str, Callable[[SessionUpdate], ShownLine | None]] = {
            "agent_message_chunk": self._take_text,
            "tool_call": self._take_call,
            "tool_call_update": self._take_call,
            "plan": self._show_plan,
            "usage_update": self._take_cost,
            "current_mode_update": self._take_mode,
            "config_option_update": self._take_options,
            "session_info_update": self._take_retry,
        }
        self.offline_reports = 0
        """How often in a row the agent has reported that it waits for a network."""
        self._notify_cost = notify_cost
        self._paths = ShownPaths(worktree)
        self._calls: dict[str, ToolCall] = {}
        self._shown: dict[str, str] = {}
        self._said = ""
        self._rest = ""
        """The beginning of a line of text that has no end yet."""

    @property
    def summary(self) -> str:
        """The text after the last call of a tool; empty if it is an error."""
        said = self._said.strip()
        return "" if _ERROR_TEXT.match(said) else said

    def take_params(self, params: Raw) -> ShownLine | None:
        """Returns how a notification `session/update` is shown, and keeps what it says; None: it is not shown."""
        update = decode_update(params)
        kind = update.session_update if update else ""
        take = self._takers.get(kind)
        if update is None or take is None:
            self.counts.unknown += kind not in _IGNORED
            return None
        return take(update)

    def report_mode(self, mode: str | None) -> None:
        """Notes the mode that is in force."""
        self.mode = mode or self.mode
        self.mode_reported.set()

    def take_options(self, options: tuple[ConfigOption, ...]) -> None:
        """Keeps the mode that is in force by the options of the session."""
        for option in options:
            if is_of_category(option, "mode") and isinstance(option.current_value, str):
                self.report_mode(option.current_value)

    def find_call(self, call: ToolCall) -> tuple[ToolCall, ...]:
        """Returns a call together with what was reported of it before: a request may leave that out."""
        self._remember_call(call)
        known = self._calls.get(call.tool_call_id)
        return (call,) if known is None else (known, call)

    def describe_denial(self, call: ToolCall) -> str:
        """Returns the line for a call that was not allowed."""
        return f"not allowed: {self._describe_call(call).text}"

    def flush_text(self) -> str:
        """Returns the text that is not shown yet, since its line has no end."""
        rest, self._rest = self._rest, ""
        return rest

    def _take_text(self, update: SessionUpdate) -> ShownLine | None:
        text = update.content.get("text") if isinstance(update.content, dict) else None
        if not isinstance(text, str):
            return None
        self._said = (self._said + text)[-_SAID_CHARACTERS:]
        lines, end, rest = (self._rest + text).rpartition("\n")
        self._rest = rest[-_SAID_CHARACTERS:]
        return ShownLine(OutputStream.OUTPUT, lines) if end and lines.strip() else None

    def _take_mode(self, update: SessionUpdate) -> None:
        self.report_mode(update.current_mode_id)

    def _take_options(self, update: SessionUpdate) -> None:
        self.take_options(update.config_options)

    def _take_retry(self, update: SessionUpdate) -> ShownLine | None:
        """Shows why Codex sends a request again: without a network, it does so for ever."""
        codex = update.meta.codex if update.meta else None
        if codex is None or codex.error is None:
            return None
        said = codex.error.message
        self.offline_reports = self.offline_reports + 1 if _OFFLINE in said else 0
        details = codex.error.additional_details
        return self._show_line(f"{said}: {details}" if details else said)

    def _take_call(self, update: SessionUpdate) -> ShownLine | None:
        call = update.call
        if self._remember_call(call) or update.session_update == "tool_call":
            self._said = ""
        shown = self._describe_call(call)
        if call.status == "failed":
            return self._show_line(describe_failure(shown.text, _find_text(call.content)))
        if call.status == "pending" and not shown.is_telling:  # what it is about comes with the next update
            return None
        if self._shown.get(call.tool_call_id) == shown.text or len(self._shown) > _CALLS:
            return None
        self._shown[call.tool_call_id] = shown.text
        return self._show_line(shown.text)

    def _remember_call(self, call: ToolCall) -> bool:
        """Keeps the paths of a call, and returns whether it is the first that is heard of it."""
        known = self._calls.get(call.tool_call_id)
        self.counts.calls += known is None
        if known is not None or len(self._calls) < _CALLS:
            self._calls[call.tool_call_id] = merge_calls(known, keep_paths(call))
        return known is None

    def _describe_call(self, call: ToolCall) -> "_DescribedCall":
        """Returns `edit: docs/page.md`, `execute: make`, or the title of a call that names nothing."""
        known = merge_calls(self._calls.get(call.tool_call_id), call)
        kind = known.kind or "tool"
        path = next((location.path for location in known.locations or () if location.path), "")
        given = known.raw_input if isinstance(known.raw_input, dict) else {}
        if path and "command" not in given:
            return _DescribedCall(f"{kind}: {self._paths.shorten_path(path)}", is_telling=True)
        described = self._paths.describe_call(kind, given)
        if described != kind or not known.title:
            return _DescribedCall(described, is_telling=described != kind)
        return _DescribedCall(f"{kind}: {known.title}", is_telling=False)

    def _show_plan(self, update: SessionUpdate) -> ShownLine | None:
        done = sum(entry.status == "completed" for entry in update.entries)
        now = next((entry.content for entry in update.entries if entry.status != "completed"), "")
        return self._show_line(f"plan {done}/{len(update.entries)}: {now}") if now else None

    def _show_line(self, text: str) -> ShownLine:
        return ShownLine(OutputStream.PROGRESS, text, said_before=self.flush_text())

    def _take_cost(self, update: SessionUpdate) -> None:
        cost = update.cost
        if cost is None or cost.currency.upper() != "USD" or not math.isfinite(cost.amount):
            return
        if cost.amount > (self.cost or 0.0):  # it is the sum so far; 0 is said of a model without a price
            self.cost = cost.amount
            self._notify_cost(cost.amount)


def is_of_category(option: ConfigOption, category: str) -> bool:
    """Whether an option of a session is its mode, or its model: by its category, else by its id."""
    return option.category == category or (option.category is None and option.id == category)


def _find_text(content: object) -> str:
    """Returns the text that a call returned."""
    blocks = content if isinstance(content, list) else []
    inner = (block.get("content") for block in blocks if isinstance(block, dict))
    texts = (block.get("text") for block in inner if isinstance(block, dict))
    return next((text for text in texts if isinstance(text, str)), "no reason given")
