"""What is where: boxes with their extent, lookalikes with a reason, comments with their owner."""

import pytest
from plan.plan_samples import in_group

from gitbatch.plan.blocks import Blocks, RejectionReason, locate
from gitbatch.plan.findings import Findings
from gitbatch.plan.source import Source, read


def located(text: str) -> tuple[Source, Blocks]:
    source, problems = read(text.encode())
    assert problems == ()
    return source, locate(source, Findings(source))


def extents(text: str) -> list[str]:
    """Every box with all the lines that are a part of it."""
    source, blocks = located(text)
    return ["\n".join(source.raw_line(n) for n in range(box.line, box.end_line)) for box in blocks.boxes]


@pytest.mark.parametrize(
    ("text", "boxes"),
    [
        ("- [ ] a\n\n  b\n\n\nc", ["- [ ] a\n\n  b"]),
        ("- [ ] a\nlazy\n\nb", ["- [ ] a\nlazy"]),
        ("- [ ] a\n  ```\n  x\n\n  y\n  ```\n- [ ] b", ["- [ ] a\n  ```\n  x\n\n  y\n  ```", "- [ ] b"]),
        ("- [ ] a\n  - [ ] b\n    c\n\n  d", ["- [ ] a\n  - [ ] b\n    c\n\n  d", "  - [ ] b\n    c"]),
        ("- [ ] a\n\n- [ ] b\n", ["- [ ] a", "- [ ] b"]),
        ("-\n  [ ] a\n  b\n- c", ["  [ ] a\n  b"]),
        ("- - [ ] a\n    b\n  - [ ] c", ["- - [ ] a\n    b", "  - [ ] c"]),
        ("1. - [ ] a\n2. [ ] b", ["1. - [ ] a", "2. [ ] b"]),
        ("-\t[ ] a\n\n\tb", ["-\t[ ] a\n\n\tb"]),
        ("- [ ] a\n  > [ ] b\n  > c", ["- [ ] a\n  > [ ] b\n  > c"]),
        ("- [ ] a\n# H", ["- [ ] a"]),
        ("- [ ] a\n---", ["- [ ] a"]),
        ("- [ ]\u00a0a", ["- [ ]\u00a0a"]),
        ("- [ ]\n  a", ["- [ ]\n  a"]),
        ("- [ ]", ["- [ ]"]),
    ],
)
def test_boxes_with_all_that_belongs_to_them(text: str, boxes: list[str]) -> None:
    assert extents(text) == boxes
    assert extents(text.replace("\n", "\r\n")) == boxes


def test_boxes_know_their_place_in_the_tree() -> None:
    _, blocks = located("- a\n  - [ ] b\n    - [ ] c\n\nText\n\n3. [ ] d\n4. e\n5. [x] f\n")
    tree = [(box.root, box.depth, box.number, box.top_list) for box in blocks.boxes]
    top = [blocks.boxes[0].top_list, blocks.boxes[2].top_list]
    assert top[0] != top[1]
    assert tree == [(0, 2, None, top[0]), (0, 3, None, top[0]), (2, 1, 3, top[1]), (3, 1, 5, top[1])]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("- [] a", RejectionReason.LOOKALIKE),
        ("- [  ] a", RejectionReason.LOOKALIKE),
        ("- [x ] a", RejectionReason.LOOKALIKE),
        ("- [\u00a0] a", RejectionReason.LOOKALIKE),
        ("- [x]a", RejectionReason.LOOKALIKE),
        ("- [ ]a", RejectionReason.LOOKALIKE),
        ("- [-] a", RejectionReason.LOOKALIKE),
        ("* [/] a", RejectionReason.LOOKALIKE),
        ("+ [>] a", RejectionReason.LOOKALIKE),
        ("1. [✓] a", RejectionReason.LOOKALIKE),
        ("2) [!] a", RejectionReason.LOOKALIKE),
        ("- ☑ a", RejectionReason.LOOKALIKE),
        ("- **[ ]** a", RejectionReason.LOOKALIKE),
        ("- **[ ] a** b", RejectionReason.LOOKALIKE),
        ("- _[x] a_", RejectionReason.LOOKALIKE),
        ("*[ ] a", RejectionReason.LOOSE),
        ("- [ ](optional) a", RejectionReason.LOOKALIKE),
        ("- [ ]: a", RejectionReason.LOOKALIKE),
        ("- \uff3b \uff3d a", RejectionReason.LOOKALIKE),
        ("• [ ] a", RejectionReason.LOOSE),
        ("\u2013 [x] a", RejectionReason.LOOSE),
        ("- []", RejectionReason.LOOKALIKE),
        ("[ ] a", RejectionReason.LOOSE),
        ("[x] a", RejectionReason.LOOSE),
        ("-[ ] a", RejectionReason.LOOSE),
        ("1.[ ] a", RejectionReason.LOOSE),
        ("-     [ ] a", RejectionReason.INDENTED),
        ("> [ ] a", RejectionReason.QUOTED),
        ("- > - [ ] a", RejectionReason.QUOTED),
        ("[ ] a\n===", RejectionReason.UNDERLINED),
        ("<div>\n- [ ] a", RejectionReason.HTML),
    ],
)
def test_what_looks_like_a_box_and_is_none(line: str, reason: RejectionReason) -> None:
    source, blocks = located(f"{line}\n")
    (stray,) = blocks.strays
    assert blocks.boxes == ()
    assert stray.reason is reason
    around = source.text[stray.span.start - 1 : stray.span.end + 1]
    assert (around[0], around[-1]) == ("[", "]") or around == "\uff3b \uff3d" or around.strip() in set("☐☑☒")


@pytest.mark.parametrize(
    "line",
    [
        *("- [x](a.md) link", "- [x][ref] link", "- [-]: x", "- [a] b", "- [1] note", "- [...] b", "- [link] b"),
        *("- [](a.md)", "text [ ] a", "- a [ ] b", "# [ ] a", "| [ ] |", "[] a", "[-] a", "- \\[ ] a"),
        *("- `[ ]` a", "☐ a"),
    ],
)  # fmt: skip
def test_what_is_no_box_and_looks_like_none(line: str) -> None:
    _, blocks = located(f"{line}\n")
    assert (blocks.boxes, blocks.strays) == ((), ())


@pytest.mark.parametrize("depth", range(1, 25))
def test_deep_boxes_are_never_lost(depth: int) -> None:
    """mistune itself stops nesting at 20 and takes the rest for text."""
    _, blocks = located("".join(f"{'  ' * level}- [ ] x\n" for level in range(depth)))
    deep = [stray for stray in blocks.strays if stray.reason is RejectionReason.DEEP]
    assert len(blocks.boxes) + len(deep) == depth
    assert [box.depth for box in blocks.boxes] == list(range(1, len(blocks.boxes) + 1))


def test_comments_with_their_owner() -> None:
    text = (
        "# H <!-- 1 -->\n<!-- 2 --> <!-- 3 -->\n\n- a <!-- 4 -->\n- [ ] b <!-- 5 -->\n\n  <!-- 6\n-->\n\n"
        "> <!-- 7 -->\n\n`<!-- no -->` <!-- 8 -->\n\n```\n<!-- no -->\n```\n<div><!-- 9 --></div>\n\n<!-- 10\n"
    )
    source, blocks = located(text)
    assert [comment.content.strip() for comment in blocks.comments] == [str(n) for n in range(1, 11)]
    assert [n for n, comment in enumerate(blocks.comments, 1) if comment.box is not None] == [5, 6]
    assert [n for n, comment in enumerate(blocks.comments, 1) if comment.is_quoted] == [7]
    assert [n for n, comment in enumerate(blocks.comments, 1) if not comment.is_closed] == [10]
    for comment in blocks.comments:
        assert source.text.startswith("<!--", comment.span.start)
        assert source.text[: comment.span.end].endswith("-->") == comment.is_closed


def test_an_empty_comment_is_a_comment() -> None:
    _, blocks = located("<!---->\n\na <!----> <!-- b -->\n")
    assert [comment.content for comment in blocks.comments] == ["", "", " b "]


def test_the_text_of_an_item_is_raw_but_for_its_indentation() -> None:
    plan = in_group(
        "- Backend\r\n\r\n   - [ ] T1 a → DoD: #1\r\n     b\r\n\r\n     ```\r\n       x\r\n     ```\r\n- [ ] c"
    )
    assert [item.text for item in plan.items] == [
        "- [ ] T1 a → DoD: #1\n  b\n\n  ```\n    x\n  ```",
        "- [ ] c",
    ]
