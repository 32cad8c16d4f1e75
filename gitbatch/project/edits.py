"""The edits of shared files: the content of a file in, the new content out. Rules O3 and O4.

An edit only inserts, except in our own section, which it replaces, and where contributions are taken back: the user's
text stays byte for byte.
Text that comes from agents arrives here as one clean line and is escaped for Markdown on its way in.
"""

import re

from msgspec import Struct

from gitbatch.patterns import compile_later
from gitbatch.plan.outline import outline
from gitbatch.plan.titles import matches
from gitbatch.text import markdown

_BLANK = " \t\r\n"
BEGIN = "<!-- gitbatch:begin (this section is rewritten at each checkpoint) -->"
END = "<!-- gitbatch:end -->"
# A begin marker whose end was deleted is not ours: text of the user may stand before the next end marker.
_SECTION = compile_later(
    r"<!-- gitbatch:begin\b[^\n]*?-->(?:(?!<!-- gitbatch:begin\b).)*?<!-- gitbatch:end -->", re.DOTALL
)
_NUMBER = compile_later(r"^- \*\*D([0-9]{1,9})\*\*", re.MULTILINE)


class Decision(Struct, frozen=True):
    """A decision of an agent, for decisions-log.md."""

    date: str
    """ISO 8601."""
    item: str
    text: str


def replace_section(source: bytes, section: str) -> bytes:
    """Returns a file with our section replaced, or added at the end; the user's text and line ends stay."""
    text = source.decode(errors="surrogateescape")
    newline = _line_end(text)
    ours = f"{BEGIN}\n{section.strip()}\n{END}".replace("\n", newline)
    found = _SECTION.search(text)
    if found:
        text = text[: found.start()] + ours + text[found.end() :]
    else:
        text += _missing_breaks(text, newline, 2) + ours + newline
    return text.encode(errors="surrogateescape")


def is_section_replaced(old: bytes, new: bytes) -> bool:
    """Whether a new version of the status is the old one with our section replaced or added, and nothing else."""
    found = _SECTION.search(new.decode(errors="surrogateescape"))
    if not found:
        return False
    body = found[0].replace("\r\n", "\n").removeprefix(BEGIN).removesuffix(END)
    return replace_section(old or b"# Status\n", body) == new


def own_section(source: bytes) -> str:
    """Returns the text of our section of the status; empty if it has none."""
    found = _SECTION.search(source.decode(errors="surrogateescape"))
    return found[0] if found else ""


def added_entries(old: bytes, new: bytes) -> tuple[str, ...] | None:
    """Returns the entries that a new version of the log or an artifact adds; None if it changes more."""
    before, after = (source.decode(errors="surrogateescape").splitlines() for source in (old, new))
    rest = iter(line for line in before if line.strip())
    wanted, entries = next(rest, None), list[str]()
    for line in after:
        if line == wanted:
            wanted = next(rest, None)
        elif line.startswith("- "):
            entries.append(line)
        elif line.strip() and not line.startswith("## ") and (old or line != "# Decisions"):
            return None
    return tuple(entries) if wanted is None else None


def append_decisions(source: bytes, decisions: tuple[Decision, ...]) -> bytes:
    """Returns the log with decisions added at its end, numbered from the highest number of ours."""
    if not decisions:
        return source
    text = source.decode(errors="surrogateescape") or "# Decisions\n"
    newline = _line_end(text)
    numbers = [int(number) for number in _NUMBER.findall(text)]
    last_is_ours = bool(numbers) and text.rstrip(_BLANK).splitlines()[-1].startswith("- **D")
    before, after = _split_blank_end(text) if last_is_ours else (text, "")
    listed = "".join(
        f"- **D{number}** · {decision.date} · {markdown(decision.item)}: {markdown(decision.text)}{newline}"
        for number, decision in enumerate(decisions, max(numbers, default=0) + 1)
    )
    gap = _missing_breaks(before, newline, 1 if last_is_ours else 2)
    return (before + gap + listed + after).encode(errors="surrogateescape")


def append_contributions(source: bytes, heading: str, lines: tuple[str, ...]) -> bytes:
    """Returns a shared artifact with contributions as list entries at the end of the section called `heading`."""
    if not lines:
        return source
    text = source.decode(errors="surrogateescape")
    newline = _line_end(text)
    listed = "".join(f"- {markdown(line)}{newline}" for line in lines)
    title = markdown(heading)
    # A heading that we made has the title as we escaped it.
    section = next((h for h in outline(source) if matches(h.title, (heading, title))), None)
    if section is None:
        text += f"{_missing_breaks(text, newline, 2)}## {title}{newline * 2}{listed}"
        return text.encode(errors="surrogateescape")
    before, after = _split_blank_end(source[: section.end].decode())
    rest = source[section.end :].decode()
    is_list = before.splitlines()[-1].lstrip().startswith("- ")
    before += _missing_breaks(before, newline, 1 if is_list else 2) + listed
    if rest and not after:  # a heading right below would become a part of the last entry
        before += newline
    return (before + after + rest).encode()


class Removed(Struct, frozen=True):
    """A shared artifact from which contributions were removed."""

    source: bytes
    left: tuple[str, ...]
    """The contributions that are not there any more as they were written."""


def remove_contributions(source: bytes, heading: str, lines: tuple[str, ...]) -> Removed:
    """Returns a shared artifact without contributions that the section called `heading` has; its heading stays.

    They are compared by their letters and digits. An entry with a continuation line is text of the user's: it stays.
    """
    section = next((h for h in outline(source) if matches(h.title, (heading, markdown(heading)))), None)
    if section is None:
        return Removed(source, lines)
    text = source[section.body : section.end].decode(errors="surrogateescape").splitlines(keepends=True)
    left = []
    for line in reversed(lines):
        found = [
            at for at, entry in enumerate(text) if _is_entry(entry, line) and not _is_continued(text, at)
        ]
        if found:
            del text[found[-1]]
        else:
            left.append(line)
    kept = "".join(text).encode(errors="surrogateescape")
    return Removed(source[: section.body] + kept + source[section.end :], tuple(reversed(left)))


def _is_entry(line: str, said: str) -> bool:
    """Whether a line is the entry of a contribution."""
    return line.startswith("- ") and bool(_letters_of(said)) and _letters_of(line) == _letters_of(said)


def _is_continued(text: list[str], at: int) -> bool:
    """Whether the entry at a line has more than that line."""
    return at + 1 < len(text) and text[at + 1].strip() != "" and text[at + 1].startswith((" ", "\t"))


def _letters_of(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()


def _line_end(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _split_blank_end(text: str) -> tuple[str, str]:
    """Splits a text after its last line that is not blank."""
    end = text.find("\n", len(text.rstrip(_BLANK))) + 1 or len(text)
    return text[:end], text[end:]


def _missing_breaks(text: str, newline: str, breaks: int) -> str:
    """Returns the line breaks that a text needs to end in `breaks` of them; an empty text needs none."""
    said = text.rstrip(_BLANK)
    lacking = breaks - text.count("\n", len(said)) if said else 0
    return newline * max(lacking, 0 if not text or text.endswith("\n") else 1)
