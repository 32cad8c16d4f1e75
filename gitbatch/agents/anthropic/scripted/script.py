r"""The script of the server's answers: it is in the text of the item, with one step for each answer.

    `script: say Reading + read rules.md; write # A page; finish`

Steps stand between semicolons; which one is meant is the number of answers that the request has already, so the
server needs no memory of a conversation. Parts of a step stand between `+`:

    say TEXT   read PATH   list FOLDER   search TEXT   write TEXT   append TEXT   edit OLD => NEW   finish [TEXT]
    TOOL JSON        a call of any tool
    raw TOOL TEXT    the same with arguments that need not be JSON
    big N            writes a file of about N bytes
    stop REASON      the stop reason, where it is not the usual one
    nap SECONDS      waits before it answers
    fail STATUS [after=SECONDS] [xN]    the first N (1) times that it is asked this, an error
    cut eof|reset|error|hang [xN]       the first N (1) times, the answer breaks off in its middle, or hangs there
    overflow N       an error while the request has more than N bytes
    leak             an error that quotes the key

In first_message_text, \n is a line end, \k the server's key and \c the code of a review. Without a script, it writes a page about
what it was given and says that it is scripted.
"""

import json
import re
from typing import Any

from msgspec import Struct

from gitbatch.patterns import compile_later

_SCRIPT = compile_later(r"`script: ([^`\n]*)`")
_FILE = compile_later(r'^<file-[0-9a-f]+ path="([^"\n]*)"[^>\n]*>\n(.*)$', re.MULTILINE)
_OUTPUT = compile_later(r"^(?:Your file: |# Review of )(.+)$", re.MULTILINE)
_CODE = compile_later(r'"review": "([0-9a-f]+)"')
_FAULTS = ("fail", "cut", "overflow", "leak")
SUMMARY = "Wrote the page from what was given. It was written by the scripted server, not by a model."


class Fault(Struct, frozen=True):
    """A fault before a step succeeds."""

    kind: str
    what: str = ""
    times: int = 1
    after: str = ""
    """The retry-after header."""


class Step(Struct, frozen=True):
    """One answer."""

    blocks: tuple[dict[str, Any], ...]
    stop: str
    nap: float = 0.0
    faults: tuple[Fault, ...] = ()
    number: int = 0
    """The number of answers before it: clients join answers with the same message id."""


def next_step(request: dict[str, Any]) -> Step:
    """Returns the answer that the script of a request has for it."""
    said = first_message_text(request)
    number = sum(message["role"] == "assistant" for message in request["messages"])
    found = _SCRIPT.findall(said)
    steps = found[0].split(";") if found else _default_steps("\n".join((_system_text(request), said)))
    step = steps[min(number, len(steps) - 1)]
    return _parse_step(step.replace("\\c", _review_code(said)), number)


def output_of(request: dict[str, Any]) -> str:
    """Returns the output path of the item that a request belongs to."""
    found = _OUTPUT.findall(first_message_text(request))
    return found[-1].strip() if found else ""


def _review_code(said: str) -> str:
    """Returns the code that a verdict in a text must have; empty if a request is not for a review."""
    found = _CODE.findall(said)
    return found[-1] if found else ""


def first_message_text(request: dict[str, Any]) -> str:
    """Returns the text of the first message."""
    content = request["messages"][0]["content"]
    return content if isinstance(content, str) else "\n".join(block.get("text", "") for block in content)


def _system_text(request: dict[str, Any]) -> str:
    """Returns the text before the messages."""
    system = request.get("system") or ""
    return system if isinstance(system, str) else "\n".join(block["text"] for block in system)


def _default_steps(said: str) -> list[str]:
    """Returns steps that write a page about the context: real tool calls, no pretended thoughts."""
    files = _FILE.findall(said)
    lines = [f"- {path}: {first.strip().strip('#').strip()[:80] or 'empty'}" for path, first in files]
    page = [
        "# Scripted page",
        "",
        "The scripted server of gitbatch wrote this, not a model. It was given:",
        "",
    ]
    text = "\\n".join([*page, *(lines or ["- nothing"])]).replace(";", ",").replace("+", "and")
    look = f"read {files[0][0]}" if files else "list"
    return [f"say I am the scripted server: no model is used + {look}", f"write {text}\\n", "finish"]


def _parse_step(text: str, number: int) -> Step:
    blocks: list[dict[str, Any]] = []
    faults: list[Fault] = []
    stop, nap = "", 0.0
    for part in text.split(" + "):
        verb, _, rest = part.strip().partition(" ")
        rest = rest.replace("\\n", "\n")
        if verb == "stop":
            stop = rest
        elif verb == "nap":
            nap = float(rest)
        elif verb in _FAULTS:
            faults.append(_parse_fault(verb, rest))
        elif verb == "say":
            blocks.append({"type": "text", "text": rest})
        elif verb:
            name, arguments = _parse_call(verb, rest)
            call = f"toolu_{number}_{len(blocks)}"
            blocks.append({"type": "tool_use", "id": call, "name": name, "input": arguments})
    usual = "tool_use" if any(block["type"] == "tool_use" for block in blocks) else "end_turn"
    return Step(tuple(blocks), stop or usual, nap, tuple(faults), number)


def _parse_fault(verb: str, rest: str) -> Fault:
    words = rest.split()
    times = next((int(word[1:]) for word in words if re.fullmatch(r"x[0-9]+", word)), 1)
    after = next((word.removeprefix("after=") for word in words if word.startswith("after=")), "")
    return Fault(verb, words[0] if words else "", times, after)


def _parse_call(verb: str, rest: str) -> tuple[str, dict[str, Any] | str]:
    """Returns the tool call of a verb; any other verb is the name of a tool, with its arguments as JSON."""
    old, _, new = rest.partition(" => ")
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "read": ("read_file", {"path": rest}),
        "list": ("list_files", {"folder": rest}),
        "search": ("search", {"text": rest}),
        "write": ("write_output", {"content": rest}),
        "append": ("write_output", {"content": rest, "append": True}),
        "edit": ("edit_output", {"old": old, "new": new}),
        "finish": ("finish", {"summary": rest or SUMMARY}),
    }
    if verb == "raw":
        name, _, arguments = rest.partition(" ")
        return name, arguments
    if verb == "big":
        return "write_output", {"content": "A line of a large file.\n" * (int(rest) // 24)}
    return calls.get(verb) or (verb, json.loads(rest or "{}"))
