"""The lines of one section of a user's document, and the paths that they name.

Comments and fenced examples in such a section are skipped.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote

from gitbatch.errors import FilePlace, PlanError
from gitbatch.patterns import compile_later
from gitbatch.plan.inline import Inline, Piece, scan
from gitbatch.plan.outline import Heading
from gitbatch.plan.source import read

_ASIDE = compile_later(
    r"<!--.*?(?:-->|\Z)|^ {0,3}(?P<fence>`{3,}|~{3,})(?:[^`\n]*)$.*?(?:^ {0,3}(?P=fence)[`~]*[ \t\r]*$|\Z)",
    re.DOTALL | re.MULTILINE,
)


def require_text(path: str, source: bytes) -> None:
    """Refuses a document that is not readable text: its sections would otherwise be missing silently.

    Raises:
        PlanError: it is not UTF-8, or too large; the message names the line.
    """
    _, problems = read(source)
    if problems:
        raise PlanError(
            f"{path}:{problems[0].line}: {problems[0].message}",
            problems[0].help,
            place=FilePlace(path, problems[0].line),
        )


def read_section(source: bytes, heading: Heading) -> Iterator[Inline]:
    """Returns the lines below a heading, each with its code spans and links."""
    text = source[heading.body : heading.end].decode(errors="replace")
    return map(scan, _ASIDE.sub("", text).splitlines())


def decode_link(link: Piece) -> str:
    """Returns the path that a link points to: decoded, without its fragment."""
    return unquote(link.content.partition("#")[0])
