"""How long an attempt may continue without progress, so that a model that is stuck does not use up all its turns.

A turn makes progress if one of its calls succeeds that has not succeeded before with the same arguments. That a file
does not exist is an answer: a model that explores asks for such files.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from gitbatch.agents.anthropic.blocks import NOT_AN_OBJECT, NOT_FINISHED, NOT_RUN
from gitbatch.agents.anthropic.tools import ToolResult

IDLE_TURNS = 10
"""Turns in a row without progress after which an attempt ends."""
SAME_FAILURES = 3
"""How often the same call may fail in an attempt, the last time included."""
_NOT_MADE = {NOT_RUN, NOT_AN_OBJECT, NOT_FINISHED}
"""The results of calls that were not made."""


@dataclass(slots=True)
class ProgressCheck:
    """The progress of a conversation so far."""

    idle: int = 0
    """Turns in a row without progress."""
    _too_large: int = 0
    _succeeded: set[bytes] = field(default_factory=set)
    _failures: Counter[bytes] = field(default_factory=Counter)

    def note_turn(self, calls: Iterable[tuple[dict[str, Any], ToolResult]], why: str) -> str:
        """Notes a turn. Returns why the attempt ends with it; empty: it continues.

        Args:
            calls: the tool calls of the turn, with their results.
            why: why the turn makes no progress if none of its calls failed.
        """
        is_progress, repeated = False, ""
        errors: list[str] = []
        for call, result in calls:
            key = _digest_call(call)
            if not result.is_error:
                is_progress |= key not in self._succeeded
                self._succeeded.add(key)
                continue
            if result.text != NOT_FINISHED:  # another call of the turn is the cause
                errors.append(f"{call['name']}: {_first_line(result)}")
            if result.text in _NOT_MADE:
                continue
            self._failures[key] += 1
            if self._failures[key] >= SAME_FAILURES:
                repeated = errors[-1]
        self.idle = 0 if is_progress else self.idle + 1
        if repeated:
            return f"the same call failed {SAME_FAILURES} times: {repeated}"
        if self.idle < IDLE_TURNS:
            return ""
        last = errors[0] if errors else why
        return f"{IDLE_TURNS} answers in a row without progress: {last}"

    def note_too_large(self) -> str:
        """Notes an answer that was refused for its size: as expensive as an answer can be. Returns as `note_turn`."""
        self._too_large += 1
        why = "its answers are far larger than max-output-tokens allows"
        return why if self._too_large >= SAME_FAILURES else self.note_turn((), why)


def _digest_call(call: dict[str, Any]) -> bytes:
    """Returns what identifies a call: its tool and its arguments, which may be megabytes."""
    return sha256(json.dumps([call["name"], call["input"]], sort_keys=True).encode()).digest()


def _first_line(result: ToolResult) -> str:
    return result.text.partition("\n")[0]
