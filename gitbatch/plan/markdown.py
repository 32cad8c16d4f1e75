"""mistune's block parser, made to keep what it knows of positions. The only module that imports mistune.

Two things are added to its tokens, both by overriding public methods: `at` and `last` on a heading (offsets of
its first and its last line, true at the top level, where text is parsed in place), and an `end` token that
closes each container and counts its lines. Two deviations of mistune 3.4 from CommonMark are corrected.
"""

from re import Match, Pattern
from typing import Required, TypedDict, cast

from mistune import BlockParser, BlockState

_ENDS_A_QUOTE = ["blank_line", "thematic_break", "fenced_code", "list", "block_html"]


class Token(TypedDict, total=False):
    """A block as mistune describes it: what is there depends on `type`."""

    type: Required[str]
    text: str
    raw: str
    style: str
    children: list["Token"]
    attrs: dict[str, int]
    """A heading's `level`; an ordered list's `start`, if it is not 1, and `ordered`."""
    at: int
    last: int
    lines: int


def tokens(text: str) -> list[Token]:
    r"""The block structure of a text that has only `\n` as line breaks and ends with one."""
    state = BlockState()
    state.process(text)
    _Parser().parse(state)
    return cast("list[Token]", state.tokens)


class _Parser(BlockParser):
    def parse(self, state: BlockState, rules: list[str] | None = None) -> None:
        super().parse(state, rules)
        if state.parent is not None:
            state.append_token({"type": "end", "lines": state.src.count("\n")})

    def compile_sc(self, rules: list[str] | None = None) -> Pattern[str]:
        # mistune takes a heading below a quote for a lazy line of the quote: a work section would vanish.
        return super().compile_sc([*rules, "atx_heading"] if rules == _ENDS_A_QUOTE else rules)

    def parse_atx_heading(self, m: Match[str], state: BlockState) -> int:
        # mistune's own trims the text in quadratic time; the text is read from the source anyway.
        level = len(m["atx_1"])
        state.append_token({"type": "heading", "attrs": {"level": level}, "at": m.start(), "last": m.start()})
        return m.end() + 1

    def parse_setex_heading(self, m: Match[str], state: BlockState) -> int | None:
        if len(set(m[0].strip())) > 1:  # mistune takes `=-=` for an underline
            return None
        end = super().parse_setex_heading(m, state)
        heading = state.last_token()
        if heading and heading["type"] == "heading" and "at" not in heading:
            heading["at"] = m.start() - len(heading["text"])
            heading["last"] = m.start()
        return end
