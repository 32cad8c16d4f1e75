"""What holds for every document: positions, one-byte ticks, an independent parser's opinion, no exception.

`GITBATCH_HYPOTHESIS=long` tries 20,000 documents for each property instead of 80.
"""

import os
import random
import re
from itertools import pairwise

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from plan.plan_samples import DOD

from gitbatch.plan.blocks import locate
from gitbatch.plan.findings import Findings
from gitbatch.plan.inline import scan
from gitbatch.plan.model import Criterion, Plan, PlanOptions, WorkItem
from gitbatch.plan.outline import outline
from gitbatch.plan.parse import parse_plan
from gitbatch.plan.render import render_diagnostic
from gitbatch.plan.source import read
from gitbatch.plan.tick import is_ticked, tick

OPTIONS = PlanOptions()
DOCUMENTS = settings(
    max_examples=20_000 if os.environ.get("GITBATCH_HYPOTHESIS") == "long" else 80,
)

# Lines that can stand next to each other in any order, and mean different things then.
LINES = (
    *("- [ ] a", "* [x] b", "+ [X] c", "1. [ ] d", "2) [ ] e", "- plain", "  - [ ] sub", "    - [ ] deep", "\t- [ ] tab"),
    *("> - [ ] quoted", "> quote", "> > - [x] twice", "para", "lazy [ ] text", "# H1", "## H2 ##", "### H3", "===", "---"),
    *("```", "~~~", "    code", "\tcode", "", " ", "\t", "<!-- c -->", "<!-- open", "-->", "<div>", "</div>", "<b>x</b>"),
    *("[a]: b", "[a]: b 'c", "***", "- ", "-", "- - [ ] x", "1. - [ ] y", "- > [ ] z", "  goes on", "   [ ] c", "- [ ]"),
    *("-\t[ ] t", "-     [ ] code", "10. [ ] ten", "- ```", "  ```", "- # h", "  # h", "- [-] no", "[ ] loose", "|a|b|"),
    *("ä → DoD: #1", "  (context: `x`", "  b) <!-- max: 2 -->", "`", "``", "## Arbeitspakete", "## DoD", "### G", "<?php", "☐"),
)  # fmt: skip
HEAD = f"{DOD}## Arbeitspakete\n\n### G\n\n"


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Any lines in any order, usually in a group of a plan, with any line ends."""
    start = draw(st.sampled_from(["", "\ufeff", "---\ntitle: x\n---\n", "\ufeff---\na: [ ]\n...\n"]))
    lines = draw(st.lists(st.sampled_from(LINES), max_size=14))
    text = start + draw(st.sampled_from([HEAD, ""])) + "\n".join(lines) + draw(st.sampled_from(["", "\n"]))
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n", "\r"]))).encode()


TEXTS = st.sampled_from(["text", "T1 **bold**", "ä `code` → x"])
PARTS = st.sampled_from(["goes on", "para", "```\n- [ ] code\n```", "<!-- c -->", "> [ ] q", "\tcode"])


@st.composite
def lists(draw: st.DrawFn, depth: int = 0) -> list[str]:
    """The lines of one list as people indent it: by the width of the marker; with all that can be nested."""
    bullet = draw(st.sampled_from(["-", "*", "+", "1.", "3)", "-  "]))
    pad = " " * (len(bullet) + 1)
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        lines.append(
            f"{bullet} {draw(st.sampled_from(['[ ] ', '[x] ', '[X] ', '', '[-] ', '`[ ]` ']))}{draw(TEXTS)}"
        )
        inside = [line for part in draw(st.lists(PARTS, max_size=2)) for line in ("", *part.split("\n"))]
        if depth < 3 and draw(st.booleans()):
            inside += draw(lists(depth + 1))
        lines += [pad + line if line else "" for line in inside]
    return lines


BLOCKS = st.sampled_from(
    [
        *(
            "para\ngraph",
            "## H ##",
            "Set\next\n---",
            "> quote\n> - [ ] q",
            "> lazy\n# H",
            "***",
            "| a |\n|---|",
        ),
        *("```\n- [ ] code\n# no\n```", "~~~~\n```\n~~~~", "    - [ ] code", "[a]: b", "### G", "para\n# H"),
        *("<div>\n- [ ] x\n</div>", "<!--\n- [ ] c\n\n# no\n-->", "<b>\n# H"),
    ]
)


@st.composite
def well_formed(draw: st.DrawFn) -> str:
    """Blocks with blank lines between them, where every parser must agree."""
    blocks = draw(st.lists(st.one_of(BLOCKS, lists().map("\n".join)), min_size=1, max_size=6))
    return "\n\n".join(blocks)


class Opinion:
    """What markdown-it-py makes of a text: headings outside containers, task items with only lists around them."""

    def __init__(self, text: str) -> None:
        self.headings: list[tuple[int, int]] = []
        """Line and level."""
        self.boxes: list[tuple[int, int]] = []
        """The first line of the first paragraph, and the line after its last."""
        tokens = MarkdownIt("commonmark").parse(text)
        around: list[str] = []
        for index, token in enumerate(tokens):
            if token.type == "heading_open" and not around:
                self.headings.append(((token.map or [0])[0], int(token.tag[1])))
            if token.type == "paragraph_open" and tokens[index - 1].type == "list_item_open":
                self._paragraph(tokens[index + 1], around)
            if token.nesting == 1:
                around.append(token.type)
            elif token.nesting == -1:
                around.pop()

    def _paragraph(self, inline: Token, around: list[str]) -> None:
        if "blockquote_open" not in around and re.match(r"\[[ xX]\](?=\s|$)", inline.content):
            first, after = inline.map or (0, 0)
            self.boxes.append((first, after))


@DOCUMENTS
@given(well_formed())
def test_an_independent_parser_agrees(text: str) -> None:
    source, problems = read(text.encode())
    assume(not problems and source.front_matter == 0)
    blocks = locate(source, Findings(source))
    theirs = Opinion(text)
    assert [(source.line(h.start), h.level) for h in blocks.headings] == theirs.headings
    assert [(box.line, source.line(box.text.end) + 1) for box in blocks.boxes] == theirs.boxes


@DOCUMENTS
@given(documents())
def test_every_position_is_what_it_says(data: bytes) -> None:
    plan = parse_plan(data, "task.md", OPTIONS)
    lines = re.split(rb"\r\n|\n|\r", data.removeprefix(b"\xef\xbb\xbf"))
    for entry in entries(plan):
        offset = entry.box.offset
        assert data[offset - 1 : offset + 2] in {b"[ ]", b"[x]", b"[X]"}
        assert entry.done == (data[offset : offset + 1] != b" ")
        assert lines[entry.line - 1] == entry.box.line
    for item in plan.items:
        assert item.text.encode().split(b"\n")[0].strip() == item.box.line.strip()
    offsets = [item.box.offset for item in plan.items]
    assert offsets == sorted(set(offsets))


@DOCUMENTS
@given(documents())
def test_every_box_is_an_item_or_accounted_for(data: bytes) -> None:
    """A box at the start of a line is a box, or a stray with a reason, or below something that can hide it."""
    source, problems = read(data)
    assert problems == ()
    blocks = locate(source, Findings(source))
    accounted = {box.line for box in blocks.boxes} | {
        source.line(stray.span.start) for stray in blocks.strays
    }
    for number, line in enumerate(source.lines()):
        if re.match(r"[*+-] \[[ xX]\] ", line) and number not in accounted:
            above = "\n".join(list(source.lines())[:number])
            assert number < source.front_matter or re.search(r"```|~~~|<!--|<\?php|<div>|</div>|<b>", above)


@DOCUMENTS
@given(documents(), st.randoms(use_true_random=False))
def test_a_tick_is_one_byte_and_changes_one_entry(data: bytes, order: random.Random) -> None:
    plan = parse_plan(data, "task.md", OPTIONS)
    assume(entries(plan))
    chosen = order.choice(entries(plan))
    done = tick(data, [chosen.box], plan)
    different = [index for index, (a, b) in enumerate(zip(data, done.source, strict=True)) if a != b]
    assert different == ([] if chosen.done else [chosen.box.offset])
    after = parse_plan(done.source, "task.md", OPTIONS)
    assert states(after) == states(plan) | {chosen.box.offset: True}
    assert {e.box.offset: is_ticked(done.source, e.box) for e in entries(plan)} == states(after)
    assert [d.code for d in after.diagnostics] == [d.code for d in plan.diagnostics]


def entries(plan: Plan) -> list[WorkItem | Criterion]:
    """Every box that can be ticked."""
    return [*plan.items, *plan.criteria]


def states(plan: Plan) -> dict[int, bool]:
    """Every box by its offset: whether it is ticked."""
    return {entry.box.offset: entry.done for entry in entries(plan)}


@DOCUMENTS
@given(documents())
def test_ticking_everything_ticks_everything(data: bytes) -> None:
    plan = parse_plan(data, "task.md", OPTIONS)
    done = tick(data, [entry.box for entry in entries(plan)], plan)
    assert (len(done.refused), len(done.source)) == (0, len(data))
    assert all(states(parse_plan(done.source, "task.md", OPTIONS)).values())


def without_bytes(plan: Plan) -> list[object]:
    """Everything that a plan says, but for byte offsets and raw lines."""
    return [
        *((i.output, i.title, i.text, i.done, i.criteria, i.context, i.hints, i.line) for i in plan.items),
        *((c.number, c.text, c.done, c.line) for c in plan.criteria),
        *((g.title, g.prose, g.hints, g.line) for g in plan.groups),
        *((d.code, d.message, d.line, d.column) for d in plan.diagnostics),
    ]


@DOCUMENTS
@given(documents())
def test_line_ends_and_byte_order_marks_change_nothing_but_offsets(data: bytes) -> None:
    text = data.decode().removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    plain, other = (parse_plan(d, "task.md", OPTIONS) for d in (text.encode(), data))
    assert without_bytes(plain) == without_bytes(other)


@DOCUMENTS
@given(documents())
def test_the_outline_covers_the_document(data: bytes) -> None:
    headings = outline(data)
    for heading in headings:
        assert heading.start < heading.body <= heading.end <= len(data)
        following = [h.start for h in headings if h.start > heading.start and h.level <= heading.level]
        assert heading.end == min(following, default=len(data))
    assert all(before.body <= after.start for before, after in pairwise(headings))


@DOCUMENTS
@given(st.one_of(st.binary(max_size=200), st.text().map(str.encode), documents()), st.binary(max_size=3))
@example(b"\xef\xbb\xbf", b"")
@example(b"---\n", b"")
@example("- [ ] \ufdd00\ufdd1".encode(), b"")
@example(b"## Arbeitspakete\n### G\n- [ ] (((\n", b"")
def test_any_bytes_are_answered(data: bytes, more: bytes) -> None:
    data = data[: len(data) // 2] + more + data[len(data) // 2 :]
    plan = parse_plan(data, "task.md", OPTIONS)
    for diagnostic in plan.diagnostics:
        assert 0 <= diagnostic.start <= diagnostic.end <= len(data)
        assert render_diagnostic(diagnostic, data, plan.path)
    assert all(heading.end <= len(data) for heading in outline(data))
    assert tick(data, [], plan).source == data


WORDS = (
    *(
        "→",
        "->",
        "DoD:",
        "Output:",
        "(context:",
        "(output:",
        "(",
        ")",
        "#1",
        "#1-#2",
        "9",
        ",",
        ";",
        "und",
        "`",
        "``",
    ),
    *(
        "<!--",
        "-->",
        "max: 2",
        "after: T1",
        "[a](b)",
        "[",
        "]",
        "a.md",
        "o/x.md",
        "T1",
        "**",
        "\\",
        "\n  ",
        "Id:",
    ),
    *("Agent:", "Nach:", "ä", "Contxt:", "<!-- retries: 1 -->"),
)


@DOCUMENTS
@given(st.lists(st.sampled_from(WORDS), max_size=14), st.sampled_from(["", " "]))
def test_any_wording_of_an_item_is_answered(words: list[str], space: str) -> None:
    plan = parse_plan(f"{HEAD}- [ ] {space.join(words)}".encode(), "task.md", OPTIONS)
    assert len(plan.items) == 1
    for item in plan.items:
        assert set(item.criteria) <= {1, 2, 3}
        assert " ".join(item.title.split()) == item.title
        assert scan(item.title).comments == ()
