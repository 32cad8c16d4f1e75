"""Text that looks like work and is not: reported, never silently skipped.

Only where work or criteria are expected: a lookalike elsewhere in the file is prose.
"""

from gitbatch.plan import help_texts
from gitbatch.plan.blocks import MAX_DEPTH, Blocks, RejectionReason, Stray
from gitbatch.plan.findings import Findings
from gitbatch.plan.help_texts import Advice
from gitbatch.plan.sections import Layout
from gitbatch.plan.source import Span

_SAID = {
    RejectionReason.LOOKALIKE: ("GB201", "this looks like a check box and is not one", help_texts.WRITE_BOX),
    RejectionReason.LOOSE: (
        "GB201",
        "a check box that opens no list item",
        help_texts.WRITE_BOX_IN_LIST,
    ),
    RejectionReason.QUOTED: (
        "GB202",
        "a check box in a quote is not an item",
        help_texts.UNQUOTE_BOX,
    ),
    RejectionReason.INDENTED: (
        "GB202",
        "a check box in indented code is not an item",
        help_texts.INDENT_LESS,
    ),
    RejectionReason.HTML: (
        "GB202",
        "a check box in an HTML block is not an item",
        help_texts.BLANK_ABOVE_LIST,
    ),
    RejectionReason.UNDERLINED: (
        "GB201",
        "a check box in a heading is not an item",
        help_texts.BLANK_ABOVE_UNDERLINE,
    ),
    RejectionReason.DEEP: ("GB202", f"a check box in more than {MAX_DEPTH} lists", help_texts.NEST_LESS),
}
_OTHER_BOXES = {"-": help_texts.IN_PROGRESS_BOX, "~": help_texts.DROPPED_BOX}
_BALLOTS = frozenset("☐☑")
_MEANT = {"": " ", "x": "x", "X": "x", "✓": "x", "✔": "x", "✅": "x", "☑": "x", "☐": " "}
"""The content of the box that a character means. Others (`-`, `~`, `?`, `✗`) mean one thing here and another there."""
_HARMLESS = frozenset({RejectionReason.QUOTED, RejectionReason.INDENTED, RejectionReason.HTML})


def report_lookalikes(blocks: Blocks, layout: Layout, findings: Findings) -> None:
    """Everything in the work section and the Definition of Done that looks like a box and is not one."""
    for stray in blocks.strays:
        if layout.is_work(stray.span.start) or layout.is_among_criteria(stray.span.start):
            _report(stray, findings)
    for box in blocks.boxes:
        if box.depth > MAX_DEPTH and layout.is_work(box.inner):
            _report(Stray(Span(box.inner, box.inner + 1), RejectionReason.DEEP, None), findings)


def _report(stray: Stray, findings: Findings) -> None:
    code, message, advice = _SAID[stray.reason]
    if stray.reason is RejectionReason.LOOKALIKE:
        advice = _advice(stray.span, findings) or advice
    is_substep = stray.box is not None and stray.reason is RejectionReason.LOOKALIKE
    say = findings.warning if is_substep or stray.reason in _HARMLESS else findings.error
    span = _bracketed(stray.span, findings)
    fixed = _fixed_box(stray, span, findings)
    say(code, span, message, advice, (span, fixed) if fixed else None)


def _fixed_box(stray: Stray, span: Span, findings: Findings) -> str | None:
    """Returns the box that was certainly meant: without a character an open one, with a tick a done one."""
    text = findings.source.text
    shown, inside, behind = text[slice(*span)], text[slice(*stray.span)], text[span.end : span.end + 1]
    content = inside.strip()
    is_box = shown[0] == "[" or shown in _BALLOTS
    if stray.reason is not RejectionReason.LOOKALIKE or not is_box or content not in _MEANT:
        return None
    if not behind.isspace() and not behind.isalnum():
        return None
    fixed = f"[{_MEANT[content]}]{'' if behind.isspace() else ' '}"
    return None if fixed == shown else fixed


def _advice(span: Span, findings: Findings) -> Advice | None:
    """What to write instead of a character that another tool has."""
    text = findings.source.text
    inside, behind = text[slice(*span)], text[span.end : span.end + 2]
    if behind == "]*" and inside in {" ", "x", "X"}:
        return help_texts.OPTIONAL_BOX
    return _OTHER_BOXES.get(inside)


def _bracketed(span: Span, findings: Findings) -> Span:
    """The span with its brackets; a ballot character has none."""
    has_brackets = findings.source.text[span.start - 1 : span.start] == "["
    return Span(span.start - 1, span.end + 1) if has_brackets else span
