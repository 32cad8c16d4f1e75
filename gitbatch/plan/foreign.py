"""Words of other planning tools that have no effect here: reported (GB304), with the clause that does what they mean.

They are known by their form alone: a keyword with a colon where a line, a sub-step or a bracket begins, or behind text with a
capital letter or a value that no sentence has there, `[P]`, and `(depends on …)`. Text in backticks is text.
"""

import re

from gitbatch.patterns import compile_later
from gitbatch.plan import help_texts
from gitbatch.plan.findings import Findings, quoted
from gitbatch.plan.help_texts import Advice
from gitbatch.plan.inline import scan
from gitbatch.plan.source import Span

_WORDS = {
    "depends": help_texts.WRITE_AFTER,
    "depends on": help_texts.WRITE_AFTER,
    "dependencies": help_texts.WRITE_AFTER,
    "blocked by": help_texts.WRITE_AFTER,
    "requires": help_texts.WRITE_AFTER,
    "abhängig von": help_texts.WRITE_AFTER,
    "needs": help_texts.WRITE_AFTER,
    "prerequisite": help_texts.WRITE_AFTER,
    "prerequisites": help_texts.WRITE_AFTER,
    "voraussetzung": help_texts.WRITE_AFTER,
    "voraussetzungen": help_texts.WRITE_AFTER,
    "file": help_texts.WRITE_OUTPUT,
    "files": help_texts.WRITE_OUTPUT,
    "datei": help_texts.WRITE_OUTPUT,
    "dateien": help_texts.WRITE_OUTPUT,
    "reads": help_texts.WRITE_CONTEXT,
    "input": help_texts.WRITE_CONTEXT,
    "inputs": help_texts.WRITE_CONTEXT,
    "liest": help_texts.WRITE_CONTEXT,
    "retry": help_texts.WRITE_RETRIES,
    "parallel": help_texts.DROP_PARALLEL,
}
_NAMES = "|".join(sorted(_WORDS, key=len, reverse=True))
_EMPHASIS = r"(?:\*\*|__|\*|_)?"
_LINE_START = r"^[ \t>]*(?:[*+-][ \t]+)?(?:\[[ xX]\][ \t]+)?"
_PART_START = r"(?:[.;,|\u2013\u2014]|[ \t]-)[ \t]+|(?<=[ \t])(?=\*|__)"
"""Behind a character that ends a part of a sentence, or emphasised."""
_KEYWORD = compile_later(
    rf"(?:{_LINE_START}|{_PART_START}|[(→⇒]\s*|[-=]>\s*){_EMPHASIS}(?P<word>{_NAMES}){_EMPHASIS}\s*:{_EMPHASIS}(?=\s*\S)",
    re.IGNORECASE | re.MULTILINE,
)
_INSIDE = compile_later(
    r"(?<=[ \t])(?P<word>Depends(?: [Oo]n)?|Dependencies|Blocked [Bb]y|Requires|Needs|Prerequisites?|Files?|Reads|Retry"
    r"|(?:depends(?: on)?|blocked by|requires|needs)(?=\s*:\s*[A-Z]{1,8}-?\d)|retry(?=\s*:\s*\d))\s*:(?=\s*\S)"
)
"""Behind text, where a German noun and most words in lower case are text."""
_DEPENDS = compile_later(r"\((?P<word>depends on|blocked by|abhängig von)\s+[^()]{1,200}\)", re.IGNORECASE)
_PARALLEL_MARK = compile_later(r"(?<![\w\]])(?P<word>\[P\])(?![\w(\[:])")
_CLUES = (
    *("[p]", "depend", "blocked", "requires", "abhängig", "file", "datei", "reads", "input", "liest"),
    *("retry", "parallel", "needs", "prerequisite", "voraussetzung"),
)
"""Every word and mark has one of these, in lower case. Most items have none, and to search for a text is fast."""


def report_foreign_words(text: str, start: int, findings: Findings) -> None:
    """Says of each word of another tool in a part of an item (a text and its place) that it has no effect."""
    folded = text.casefold()
    if not any(clue in folded for clue in _CLUES):
        return
    mask = scan(text).mask
    words: dict[tuple[int, int], str] = {}
    for pattern in (_KEYWORD, _INSIDE, _DEPENDS, _PARALLEL_MARK):
        for found in pattern.finditer(mask):
            words[found.span("word")] = found["word"]
    for (first, last), word in sorted(words.items()):
        advice = advice_for(word) or help_texts.DROP_PARALLEL
        findings.warning(
            "GB304", Span(start + first, start + last), f"{quoted(word)} has no effect here", advice
        )


def advice_for(word: str) -> Advice | None:
    """Returns what to write instead of a word of another tool; None if the word is not known as one."""
    return _WORDS.get(" ".join(word.split()).casefold())
