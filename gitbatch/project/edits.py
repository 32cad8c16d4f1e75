"""What the orchestrator writes into shared files: text of a file in, text out. Rules O3 and O4.

Text that comes from agents arrives here as one clean line and is escaped for Markdown on its way in.
"""

import re
from dataclasses import dataclass

from gitbatch.plan.outline import outline
from gitbatch.plan.titles import matches
from gitbatch.text import markdown

BEGIN = "<!-- gitbatch:begin (this section is rewritten at each checkpoint) -->"
END = "<!-- gitbatch:end -->"
_SECTION = re.compile(r"<!-- gitbatch:begin\b[^\n]*?-->.*?<!-- gitbatch:end -->", re.DOTALL)
_NUMBER = re.compile(r"^- \*\*D(\d+)\*\*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision that an agent made, for decisions-log.md."""

    date: str
    """ISO 8601."""
    item: str
    text: str


def replace_section(source: bytes, section: str) -> bytes:
    """The file with our section replaced, or added at the end; the rest, with its line ends, is the user's."""
    text = source.decode(errors="surrogateescape")
    newline = _newline(text)
    ours = f"{BEGIN}\n{section.strip()}\n{END}".replace("\n", newline)
    found = _SECTION.search(text)
    if found:
        text = text[: found.start()] + ours + text[found.end() :]
    else:
        text = _with_blank_line(text, newline) + ours + newline
    return text.encode(errors="surrogateescape")


def append_decisions(source: bytes, decisions: tuple[Decision, ...]) -> bytes:
    """The log with numbered decisions at its end; numbers go on from the highest of ours."""
    if not decisions:
        return source
    text = source.decode(errors="surrogateescape") or "# Decisions\n"
    newline = _newline(text)
    numbers = [int(number) for number in _NUMBER.findall(text)]
    last_is_ours = bool(numbers) and text.rstrip().splitlines()[-1].startswith("- **D")
    text = text.rstrip() + newline if last_is_ours else _with_blank_line(text, newline)
    for number, decision in enumerate(decisions, max(numbers, default=0) + 1):
        line = f"- **D{number}** · {decision.date} · {markdown(decision.item)}: {markdown(decision.text)}"
        text += line + newline
    return text.encode(errors="surrogateescape")


def append_contributions(source: bytes, heading: str, lines: tuple[str, ...]) -> bytes:
    """A shared artifact with contributions as list entries at the end of the section called `heading`."""
    if not lines:
        return source
    newline = _newline(source.decode(errors="surrogateescape"))
    listed = "".join(f"- {markdown(line)}{newline}" for line in lines).encode()
    section = next((h for h in outline(source) if matches(h.title, (heading,))), None)
    if section is None:
        text = source.decode(errors="surrogateescape")
        title = f"## {markdown(heading)}{newline}{newline}"
        return (_with_blank_line(text, newline) + title).encode(errors="surrogateescape") + listed
    before, after = source[: section.end], source[section.end :]
    body = before.rstrip()
    is_list = body.splitlines()[-1].lstrip().startswith(b"- ")
    joint = newline.encode() * (1 if is_list else 2)
    return body + joint + listed + (newline.encode() + after if after else b"")


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _with_blank_line(text: str, newline: str) -> str:
    return text.rstrip() + newline * 2 if text.strip() else ""
