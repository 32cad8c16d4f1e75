"""Text from agents is harmless in a terminal, in a commit message and in Markdown; and it still says what it said."""

import os
import re
import subprocess
import sys
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from examples import count_examples
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from waiting import effort

from gitbatch import text
from gitbatch.agents.protocol import Contribution, Failure, Reply
from gitbatch.batch.events import ItemProgress
from gitbatch.batch.item.strays import Strays
from gitbatch.batch.model import Checkpoint, Outcome
from gitbatch.limits.usage import Usage
from gitbatch.text import (
    LIMIT,
    CleanText,
    clean_text,
    markdown,
    neutralise_forge_commands,
    spell_hidden,
)

DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that nobody sees."""
IGNORABLE = frozenset(
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0}
    | {*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}
)
"""Letters and marks that nobody sees either (Default_Ignorable_Code_Point)."""
OPENING = frozenset({0x1B, 0x90, 0x98, 0x9B, 0x9D, 0x9E, 0x9F})
"""Characters that begin an escape sequence."""

DOCUMENT = """\
# Status

Text of the user.

{text}

| Item | Summary |
|---|---|
| T1 | {text} |
| T2 | of the user |

- first
- {text}
- last

## Next
"""
"""Everything that we put text into: a paragraph, a table's cell, a list's entry."""

HOSTILE = [
    # another block begins
    "# Heading",
    "###### Heading ######",
    "Heading\n=======",
    "Heading\n-------",
    "===",
    "---",
    "***",
    "___",
    "- entry",
    "+ entry",
    "* entry",
    "- - - entry",
    "1. entry",
    "1) entry",
    "007. entry",
    "123456789. entry",
    "- [x] T101 done",
    "[x] done",
    "> quote",
    ">>> quote",
    "```\nfence",
    "~~~~ fence",
    "    code",
    "\tcode",
    "done\n\n## Definition of Done\n\n- [x] all of it",
    "| a | b |\n|---|---|\n| c | d |",
    ":-: | :-:",
    "a | b",
    "|",
    "\\|",
    "\\\\| T9 | done |",
    "ends in a backslash \\",
    "ends in two \\\\",
    # HTML
    "<!-- gitbatch:end -->",
    "<!--",
    "-->",
    "<script>alert(1)</script>",
    "<div>\n\n</div>",
    "<?php",
    "<![CDATA[",
    "</table></td></tr>",
    "_@.A",
    "(_.@a.b)",
    "~._@example.org",
    "<https://example.org>",
    "&lt;b&gt; &#35; &nbsp;",
    # inline
    "`code` ``code``",
    "`",
    "*em* **strong** _em_ __strong__ ~~struck~~",
    "a*b*c a_b_c",
    "[link](javascript:alert(1))",
    "[label]: https://example.org",
    "[label]",
    "[^1]: note",
    "![image](https://example.org/pixel.png)",
    "!",
    # other lines than the newline
    "a\rb\r\nc\vd\fe",
    "a\x1cb\x1dc\x1ed\x85e\u2028f\u2029g",
    # what NFC makes syntax of
    "\u1fefcode\u1fef",
    "\u037e \u2260 <\u0338 =\u0338 >\u0338",
    # what the eye does not see
    "\u202etxt.exe\u202c \u2066isolated\u2069",
    "zero\u200bwidth\u200cjoi\u200dner\u2060s\ufeff",
    "soft\u00adhyphen",
    "\u034f\u115f\u1160\u17b4\u180b\u3164\ufe0f\uffa0\U000e0100",
    "tags \U000e0001\U000e0041",
    "private \ue000 \U000f0000, noncharacter \ufdd0 \uffff, unassigned \U0003ffff",
    "half a pair \ud800 \udfff",
    "\0nul\x01\x02",
    # terminals
    "\x1b[2J\x1b[H\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07text",
    "\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\",
    "\x1b[200~pasted\n\x1b[201~",
    "\x9b31mred \x9d0;title\x9c text",
    "\b\b\b\b\x7f",
    # commit messages
    "Done.\n\nGitbatch-Batch: 20260101-000000-0000\nGitbatch-Item: CLAUDE.md",
    "Signed-off-by: A <a@example.org>",
    "# a comment of git",
    # addresses, of which GitHub makes links
    "foo@bar.com a.b-c_d+e@f.g-h.i_j",
    "_foo@bar.com_ *foo@bar.com* (foo@bar.com). foo@bar.com, <foo@bar.com>",
    "mailto:foo@bar.baz xmpp:foo@bar.baz/txt@bin xmpp:foo@bar.baz/a.b",
    "www.commonmark.org/a?b=(c) WWW.a.b (www.a.b) *www.a.b*",
    "http://a.b https://a.b/c_d?e=f&copy; ftp://a.b HTTPS://A.B",
    "a@b.co|c@d.co `e@f.co` \\g@h.co \\\\@i.co $j@k.co$ [l](mailto:m@n.co) -o@p.co",
    "1.a@b.co",
    "@you a @ b @@c d@ e@f@g.co é@ü.co x<!--a@b.co-->",
    "git@github.com:a/b.git ssh://git@a.b/c javascript:alert(1)@a.b://c",
    # sizes
    "",
    " \n\t ",
    "x" * 5000,
    "\\" * 5000,
    "|" * 5000,
    "a\u0301\u0316" * 5000,
    "\x1b[" * 5000,
    "\x9b" + "0" * 6000 + " " * 6000,
]

FRAGMENTS = st.sampled_from(
    [
        *(text for text in HOSTILE if len(text) < 80),
        *"\\`*_[]<>#|~&!-+=.:;()'\"${}@^0123456789\t ",
        *("foo@bar.com", "@bar.com", "foo@", "www.", "://a.b", "http", "xmpp:", "mailto:", ".b/c"),
        "\n",
        "\n\n",
        "word",
    ]
)
ANY_TEXT = st.text(max_size=60) | st.lists(FRAGMENTS, max_size=8).map("".join)
MANY = settings(
    max_examples=count_examples(150),
)

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def read(document: str) -> tuple[list[tuple[str, str, int]], list[str]]:
    """A document's blocks (type, tag, depth), and what a reader sees of its paragraphs, headings and cells.

    What is more than text or code in a paragraph is shown by its kind.
    """
    tokens = PARSER.parse(document)
    shown = [
        "".join(
            part.content if part.type in {"text", "code_inline"} else f"{{{part.type}}}"
            for part in token.children or []
        )
        for token in tokens
        if token.type == "inline"
    ]
    return [(token.type, token.tag, token.level) for token in tokens], shown


BLOCKS, PARAGRAPHS = read(DOCUMENT)


def assert_harmless(said: str) -> None:
    """One line of visible characters."""
    assert said.isprintable()
    assert {unicodedata.category(c) for c in said}.isdisjoint(DROPPED)
    assert said.split() == said.split(" ") or not said
    assert len(said) <= LIMIT


def assert_only_text(text: str) -> None:
    """In every place of the document, the text is what it says and nothing else."""
    said = clean_text(text)
    if not said:  # nobody writes an entry of nothing
        return
    paragraphs = [paragraph.replace("{text}", said) for paragraph in PARAGRAPHS]
    assert read(DOCUMENT.replace("{text}", markdown(text))) == (BLOCKS, paragraphs)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:30]))
def test_a_hostile_text_is_one_harmless_line(text: str) -> None:
    assert_harmless(clean_text(text))
    assert clean_text(clean_text(text)) == clean_text(text)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:30]))
def test_a_hostile_text_is_only_text_in_markdown(text: str) -> None:
    assert_only_text(text)


@MANY
@given(ANY_TEXT)
def test_any_text_is_one_harmless_line(text: str) -> None:
    assert_harmless(clean_text(text))


@MANY
@given(ANY_TEXT)
def test_any_text_is_only_text_in_markdown(text: str) -> None:
    assert_only_text(text)


@MANY
@given(ANY_TEXT, st.integers(min_value=1, max_value=50))
def test_cleaning_twice_is_cleaning_once(text: str, limit: int) -> None:
    once = clean_text(text, limit)
    assert clean_text(once, limit) == once
    assert len(once) <= limit


class Page(HTMLParser):
    """The elements of a page, and its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements += [tag, *(f"{name}={value}" for name, value in attrs)]

    def handle_data(self, data: str) -> None:
        self.words += data


def assert_only_text_on_github(text: str) -> None:
    """The same, by GitHub's own implementation: what it makes links of is no syntax that a backslash ends."""
    said = clean_text(text)
    if not said:
        return
    cmarkgfm = pytest.importorskip("cmarkgfm")
    page, empty = (
        Page(cmarkgfm.github_flavored_markdown_to_html(DOCUMENT.replace("{text}", shown)))
        for shown in (markdown(text), "-text-")
    )
    assert [element for element in page.elements if element != "code"] == empty.elements
    assert page.words == empty.words.replace("-text-", said)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:30]))
def test_github_makes_nothing_of_a_hostile_text(text: str) -> None:
    assert_only_text_on_github(text)


@MANY
@given(ANY_TEXT)
def test_github_makes_nothing_of_any_text(text: str) -> None:
    assert_only_text_on_github(text)


def test_of_all_characters_exactly_the_visible_ones_stay() -> None:
    """Full stops between them keep them from composing and from being collapsed."""
    for start in range(0, sys.maxunicode + 1, 0x400):
        characters = [chr(point) for point in range(start, start + 0x400) if point not in OPENING]
        expected = ".".join(map(seen, characters))
        assert clean_text(f".{'.'.join(characters)}.", 0x1000) == f".{expected}.", hex(start)


def seen(character: str) -> str:
    """What a reader sees of a character."""
    if character.isspace():
        return " "
    if unicodedata.category(character) in DROPPED or ord(character) in IGNORABLE:
        return ""
    return unicodedata.normalize("NFC", character)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[1;31mbold\x1b[0m", "bold"),
        ("\x1b[38:2::255:0:0mcolon\x1b[m", "colon"),
        ("\x1b[?25lhidden cursor\x1b[?25h", "hidden cursor"),
        ("\x1b[4 qcursor shape", "cursor shape"),
        ("\x9b31meight bits\x9b0m", "eight bits"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9d0;title\x9ctext", "text"),
        ("\x1b]52;c;cGFzdGU=\x07clipboard", "clipboard"),
        ("\x1bPq#0;2;0;0;0\x1b\\sixel", "sixel"),
        ("\x90q\x9cDCS", "DCS"),
        ("\x1bXstart of string\x1b\\SOS", "SOS"),
        ("\x1b^privacy\nmessage\x1b\\PM", "PM"),
        ("\x1b_application\x1b\\APC", "APC"),
        ("\x1b]0;never ended", ""),
        ("\x1b(0\x1b)Bcharset", "charset"),
        ("\x1b7save\x1b8restore\x1bcreset", "saverestorereset"),
        ("\x1b#8align", "align"),
        ("cut off \x1b[31", "cut off 31"),
        ("alone \x1b", "alone"),
        ("a \x1b\x1b[31mb", "a b"),
        ("hidden in itself \x1b[3\x1b[31m1m", "hidden in itself 31m"),
        ("\x1b\u200b[31mno escape", "[31mno escape"),
    ],
)
def test_escape_sequences_go_and_the_words_stay(text: str, expected: str) -> None:
    assert clean_text(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\ntwo\r\nthree\rfour\vfive\fsix", "one two three four five six"),
        ("a\x1cb\x1dc\x1ed\x85e\u2028f\u2029g", "a b c d e f g"),
        ("  many \t\t spaces\u00a0\u2003\u3000of \n\n all kinds ", "many spaces of all kinds"),
        ("e\u0301", "é"),
        ("e\u200d\u0301", "é"),
        ("e\u034f\u0301", "é"),
        ("a\u200bb\u00adc\ufeffd", "abcd"),
        ("\u202eevil\u202c", "evil"),
        ("🏳\ufe0f\u200d🌈 ⚠\ufe0f", "🏳🌈 ⚠"),
        ("Größe, naïve, 日本語, עברית, ไทย", "Größe, naïve, 日本語, עברית, ไทย"),
        ("\ud83d\ude00", ""),
        ("\u3164", ""),
        ("a\0b\x08c\x7fd", "abcd"),
    ],
)
def test_what_is_seen_stays(text: str, expected: str) -> None:
    assert clean_text(text) == expected


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("x" * 600, LIMIT, "x" * 600),
        ("x" * 601, LIMIT, "x" * 599 + "…"),
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abcde…"),
        ("abcd efg", 6, "abcd…"),
        ("abc", 1, "…"),
        ("\x1b[0m" * 20 + "abc", 3, ""),
        ("e\u0301" * 6, 6, "é" * 6),
        ("e\u0301" * 7, 6, "é" * 5 + "…"),
        ("\u03b1\u0313\u0300\u0345" * 7, 6, "\u1f82" * 5 + "…"),
        ("a" + " " * 30 + "b" * 9, 6, "a bbb…"),
    ],
)
def test_a_text_is_cut_to_what_can_be_shown(text: str, limit: int, expected: str) -> None:
    assert clean_text(text, limit) == expected


@pytest.mark.parametrize(
    "text",
    [
        "x" * 5_000_000,
        "a" + "\u0301\u0316" * 500_000,
        "\x1b]" * 500_000,
        "\x9b" + "0" * 1_000_000,
        "\u200b" * 1_000_000,
    ],
    ids=["long", "accents", "strings", "sequence", "nothing"],
)
def test_no_text_keeps_us_busy(text: str) -> None:
    assert effort(lambda: clean_text(text, 2000)) < 30


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain words, nothing else.", "plain words, nothing else."),
        ("\\ ` * _ [ ] < > # | ~ & !", "\\\\ \\` \\* \\_ \\[ \\] \\< \\> \\# \\| \\~ \\& \\!"),
        ("- a - b", "\\- a - b"),
        ("+ a + b", "\\+ a + b"),
        ("= a = b", "\\= a = b"),
        ("12. a 12. b", "12\\. a 12. b"),
        ("12) a", "12\\) a"),
        ("12 a", "12 a"),
        ("1.5 hours", "1\\.5 hours"),
        ("(a) {b} 'd' \"e\"", "(a) {b} 'd' \"e\""),
        ("$x$ @you https://a.b www.c.d 10:30", "\\$x\\$ \\@you `https://a.b` `www.c.d` 10:30"),
        ("write to (a_b@c.de), or:x@y.z|", "write to (`a_b@c.de`), `or:x@y.z`\\|"),
        ("1.a@b.c is no list", "`1.a@b.c` is no list"),
        ("\u1fefcode\u1fef", "\\`code\\`"),
        ("  \u200b- a", "\\- a"),
    ],
)
def test_markdown_escapes_what_could_be_syntax(text: str, expected: str) -> None:
    assert markdown(text) == expected


def test_the_limit_is_of_what_is_read() -> None:
    assert markdown("*" * 700) == "\\*" * 599 + "…"
    assert markdown("**bold**", 4) == "\\*\\*b…"


SPOOFS = [text for text in HOSTILE if ":" in text or "#" in text] + [
    "Gitbatch-Batch: 1",
    "\nGitbatch-Batch: 1\n",
    "Done.\r\rGitbatch-Batch: 1",
    "Done.\u2029\u2029Gitbatch-Batch: 1",
    "Done.\x85\x85Gitbatch-Batch: 1",
    "Done.\n\n\x1b[8mGitbatch-Batch: 1\x1b[0m",
    "Done.\n\nCo-authored-by: A <a@example.org>\n\n---\ndiff --git a/x b/x",
]


@pytest.mark.parametrize("text", SPOOFS, ids=lambda text: ascii(text[:30]))
def test_git_reads_no_trailer_that_an_agent_wrote(text: str) -> None:
    message = f"Subject\n\n{clean_text(text)}\n\nGitbatch-Batch: ours\n"
    done = subprocess.run(
        ["git", "interpret-trailers", "--parse", "--no-divider"],
        input=message.encode(),
        env={"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"Gitbatch-Batch: ours\n"


TRUSTED = {
    "Reply": set(),
    "Contribution": set(),
    "Failure": set(),
    "Usage": set(),
    "Outcome": {"rescued"},
    "ItemProgress": {"batch", "item"},
    "Strays": set(),
    "Checkpoint": {"batch", "before", "commit", "kept"},
}
"""The values that carry text of agents, and their fields that hold plain strings of our own (ids, keys)."""


@pytest.mark.rule("S3")
@pytest.mark.parametrize(
    "value", [Reply, Contribution, Failure, Usage, Outcome, ItemProgress, Strays, Checkpoint]
)
def test_where_a_text_from_an_agent_may_be_only_a_harmless_one_fits(value: type) -> None:
    """So the type checker, which every change must pass, finds each call site that leaves the cleaning out."""
    hints = get_type_hints(value)
    raw = {name for name, hint in hints.items() if hint in {str, str | None, tuple[str, ...]}}
    assert raw - {"schema"} == TRUSTED[value.__name__]
    assert (
        CleanText in {part for hint in hints.values() for part in (hint, *get_args(hint))}
        or value is Checkpoint
    )


def test_nothing_but_the_cleaning_makes_a_text_clean() -> None:
    """Only the module of the cleaning says of a text that it is clean, but for constants of plain words."""
    name = text.CleanText.__name__
    making = re.compile(rf"\b{name}\((?!\"[a-z ]*\"\))|\bcast\([^()]*\b{name}\b")
    package = Path(text.__file__).parent
    found = {path.name for path in package.rglob("*.py") if making.search(path.read_text(encoding="utf-8"))}
    assert found == {"text.py"}


def test_the_type_checker_finds_a_text_that_was_not_cleaned(tmp_path: Path) -> None:
    careless = tmp_path / "careless.py"
    careless.write_text(
        "from gitbatch.agents.protocol import Failure, OutputStream, Progress, Reply\n"
        "from gitbatch.text import clean_text\n"
        "def said(raw: str, progress: Progress) -> None:\n"
        "    progress(OutputStream.OUTPUT, Reply(clean_text(raw)).summary)\n"
        "    Reply(raw)\n"
        "    Failure(raw)\n"
        "    Failure(clean_text(raw), (raw,))\n"
        "    Reply(clean_text(raw).strip())\n"
        "    progress(OutputStream.OUTPUT, raw)\n"
    )
    pytest.importorskip("mypy")
    command = ["-m", "mypy", "--strict", "--no-incremental", "--cache-dir", str(tmp_path / "cache")]
    said = subprocess.run(
        [sys.executable, *command, str(careless)], capture_output=True, text=True, check=False
    ).stdout
    assert [
        line.split(":")[1] for line in said.splitlines() if "error" in line and "careless.py" in line
    ] == list("56789")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("[skip ci] Done.", "(skip ci) Done."),
        ("Done [CI-Skip].", "Done (CI-Skip)."),
        ("[no ci][actions skip]", "(no ci)(actions skip)"),
        ("***NO_CI***", "(NO_CI)"),
        ("Closes #1, fixed: org/repo#22", "Closes №1, fixed: org/repo№22"),
        ("resolves\n#3", "resolves\n№3"),
        ("See #1 [here] and [x]; fix it #later", "See #1 [here] and [x]; fix it #later"),
    ],
)
def test_a_message_gives_no_orders_to_a_forge(said: str, expected: str) -> None:
    assert neutralise_forge_commands(said) == expected
    assert neutralise_forge_commands(expected) == expected


@pytest.mark.parametrize(
    ("line", "spelled"),
    [
        ("plain", "plain"),
        ("\x00\x1b\x7f\x85", "^@^[^?<U+0085>"),
        ("a\u202eb\u2069\u200b\ufeff", "a<U+202E>b<U+2069><U+200B><U+FEFF>"),
        ("\U000e0041\u3164\u2028", "<U+E0041><U+3164><U+2028>"),
        ("\udcff\udc80\ud800", "<FF><80><U+D800>"),
        ("a\ufe0f ⚠\ufe0f 👩\u200d💻", "a<U+FE0F> ⚠ 👩<U+200D>💻"),
        ("e\u0301", "\u00e9"),
    ],
)
def test_hidden_characters_are_spelled(line: str, spelled: str) -> None:
    assert "".join(part for part, _ in spell_hidden(line)) == spelled


@given(st.text())
def test_nothing_is_hidden_where_it_is_spelled(line: str) -> None:
    for part, _ in spell_hidden(line):
        assert not any(unicodedata.category(c) in DROPPED or ord(c) in IGNORABLE for c in part)
