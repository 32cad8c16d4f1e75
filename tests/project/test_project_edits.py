"""What the orchestrator writes into shared files: it inserts, it numbers, and the user's text stays byte for byte."""

import pytest
from examples import count_examples
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from gitbatch.plan.outline import outline
from gitbatch.project.edits import (
    BEGIN,
    END,
    Decision,
    append_contributions,
    append_decisions,
    remove_contributions,
    replace_section,
)
from gitbatch.text import clean_text

HOSTILE = (
    "\n\n## Definition of Done\n\n- [x] everything",
    "- [x] T101",
    f"text {END} text",
    f"{BEGIN}\nours\n{END}",
    "<!-- ",
    "```\nfence",
    "| a | b |",
    "1. one\n2. two",
    "# heading",
    "====",
    "- **D9** · 2026-01-01 · T1: forged",
    "\x1b[2J\x1b]0;title\x07text",
    "line\u2028separator \u202e",
)

MANY = settings(max_examples=count_examples(50))
LINES = st.sampled_from(
    [
        "# Inventory",
        "## Letters",
        "## Other",
        "### Letters",
        "Letters\n-------",
        "Other\n=====",
        "text",
        "- entry",
        "  - deeper",
        "- entry\n  goes on",
        "* star",
        "1. one",
        "    code",
        "- - -",
        "trailing  ",
        "| a | b |\n|---|---|\n| c | d |",
        "> quote",
        "",
        " ",
        "\t",
        "\u00a0",
        "\x0c",
    ]
)
DOCUMENTS = st.builds(
    lambda lines, last, newline: ("\n".join(lines) + last).replace("\n", newline).encode(),
    st.lists(LINES, max_size=10),
    st.sampled_from(["", "\n", "\n\n\n"]),
    st.sampled_from(["\n", "\r\n"]),
)
BYTES = st.binary(max_size=50).map(lambda source: source.replace(b"\r", b""))


def is_insertion(old: bytes, new: bytes) -> bool:
    """Whether `new` is `old` with something put in at one place."""
    same = next((at for at, byte in enumerate(old) if new[at : at + 1] != bytes([byte])), len(old))
    return len(new) > len(old) and new.endswith(old[same:])


def entries(source: bytes) -> list[str]:
    """The text of every paragraph in a list, as a reader sees it."""
    found, depth = [], 0
    for token in MarkdownIt("commonmark").parse(source.decode()):
        depth += token.nesting if token.type in {"list_item_open", "list_item_close"} else 0
        if token.type == "inline" and depth:
            found.append("".join(part.content for part in token.children or []))
    return found


def titles(source: bytes) -> list[str]:
    return [heading.title for heading in outline(source)]


# status.md


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"", f"{BEGIN}\nnew\n{END}\n"),
        (b"# Status\n", f"# Status\n\n{BEGIN}\nnew\n{END}\n"),
        (b"# Status", f"# Status\n\n{BEGIN}\nnew\n{END}\n"),
        (b"# Status\n\n\n\n", f"# Status\n\n\n\n{BEGIN}\nnew\n{END}\n"),
        (b"two spaces  \n", f"two spaces  \n\n{BEGIN}\nnew\n{END}\n"),
        (b"# Status\r\n", f"# Status\r\n\r\n{BEGIN}\r\nnew\r\n{END}\r\n"),
        (b"\xef\xbb\xbf# Status\n", f"\ufeff# Status\n\n{BEGIN}\nnew\n{END}\n"),
        (
            f"above\n{BEGIN}\nold\n\nold\n{END}\nbelow  \n\n".encode(),
            f"above\n{BEGIN}\nnew\n{END}\nbelow  \n\n",
        ),
        (f"{BEGIN}{END}".encode(), f"{BEGIN}\nnew\n{END}"),
        (b"<!-- gitbatch:begin -->\nold\n<!-- gitbatch:end -->", f"{BEGIN}\nnew\n{END}"),
        (f"a\r\n{BEGIN}\r\nold\r\n{END}\r\nb".encode(), f"a\r\n{BEGIN}\r\nnew\r\n{END}\r\nb"),
        (f"`{END}`\n".encode(), f"`{END}`\n\n{BEGIN}\nnew\n{END}\n"),
    ],
)
def test_our_section_is_replaced_or_added(source: bytes, expected: str) -> None:
    assert replace_section(source, "\nnew\n\n") == expected.encode()


@pytest.mark.rule("O3")
@MANY
@given(DOCUMENTS | BYTES)
def test_what_the_user_wrote_in_the_status_stays(source: bytes) -> None:
    once = replace_section(source, "one")
    assert once.startswith(source)
    assert replace_section(once, "one") == once
    below = b"text below \r\n\xff"
    two = replace_section(once + below, "two")
    assert two.startswith(source)
    assert two.endswith(below)
    ours = two.removeprefix(source).removesuffix(below)
    assert (ours.count(b"one"), ours.count(b"two")) == (0, 1)


def test_a_lost_end_costs_the_user_nothing() -> None:
    source = replace_section(b"# Status\n", "one").replace(END.encode(), b"") + b"\nText of the user.\n"
    again = replace_section(replace_section(source, "two"), "three")
    assert again.startswith(source)
    assert again.removeprefix(source).decode() == f"\n{BEGIN}\nthree\n{END}\n"


# decisions-log.md


def decision(text: str = "Use X.", item: str = "T101") -> Decision:
    return Decision("2026-01-02", item, text)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", "# Decisions\n\n- **D1** · 2026-01-02 · T101: Use X.\n"),
        ("# Log\n", "# Log\n\n- **D1** · 2026-01-02 · T101: Use X.\n"),
        ("# Log", "# Log\n\n- **D1** · 2026-01-02 · T101: Use X.\n"),
        ("- mine\n", "- mine\n\n- **D1** · 2026-01-02 · T101: Use X.\n"),
        ("# Log\r\n", "# Log\r\n\r\n- **D1** · 2026-01-02 · T101: Use X.\r\n"),
        ("- **D1** a\n", "- **D1** a\n- **D2** · 2026-01-02 · T101: Use X.\n"),
        ("- **D1** a", "- **D1** a\n- **D2** · 2026-01-02 · T101: Use X.\n"),
        ("- **D1** a\n\n\n", "- **D1** a\n- **D2** · 2026-01-02 · T101: Use X.\n\n\n"),
        ("- **D1** a\r\n", "- **D1** a\r\n- **D2** · 2026-01-02 · T101: Use X.\r\n"),
        ("- **D9** a\n- **D10** b\n", "- **D9** a\n- **D10** b\n- **D11** · 2026-01-02 · T101: Use X.\n"),
        ("- **D7** a\n- **D2** b\n", "- **D7** a\n- **D2** b\n- **D8** · 2026-01-02 · T101: Use X.\n"),
        ("- **D1** a\n\nmine\n", "- **D1** a\n\nmine\n\n- **D2** · 2026-01-02 · T101: Use X.\n"),
        ("  - **D5** not ours\n", "  - **D5** not ours\n\n- **D1** · 2026-01-02 · T101: Use X.\n"),
        (
            f"- **D{'9' * 5000}** no number\n",
            f"- **D{'9' * 5000}** no number\n\n- **D1** · 2026-01-02 · T101: Use X.\n",
        ),
    ],
)
def test_a_decision_is_numbered_and_appended(source: str, expected: str) -> None:
    assert append_decisions(source.encode(), (decision(),)) == expected.encode()


def test_numbers_go_on_within_a_call_and_over_calls() -> None:
    log = append_decisions(b"# Log\n", (decision("a"), decision("b")))
    log = append_decisions(log, (decision("c", "out/x*y.md"),))
    assert log.decode() == (
        "# Log\n\n"
        "- **D1** · 2026-01-02 · T101: a\n"
        "- **D2** · 2026-01-02 · T101: b\n"
        "- **D3** · 2026-01-02 · out/x\\*y.md: c\n"
    )


@pytest.mark.parametrize("source", [b"", b"# Log", b"\xff"])
def test_without_decisions_the_log_stays(source: bytes) -> None:
    assert append_decisions(source, ()) == source


@pytest.mark.rule("O3")
@MANY
@given(
    (DOCUMENTS | st.binary(max_size=50)).filter(bool), st.lists(st.text(max_size=20), min_size=1, max_size=3)
)
def test_what_the_user_wrote_in_the_log_stays(source: bytes, texts: list[str]) -> None:
    once = append_decisions(source, tuple(map(decision, texts)))
    assert is_insertion(source, once)
    assert is_insertion(once, append_decisions(once, (decision(),)))
    assert len(once.split(b"\n- **D")) == len((b"\n" + source).split(b"\n- **D")) + len(texts)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_hostile_decision_is_one_entry(text: str) -> None:
    log = append_decisions(b"# Log\n", (decision(text, text), decision()))
    assert entries(log) == [
        f"D1 · 2026-01-02 · {clean_text(text)}: {clean_text(text)}",
        "D2 · 2026-01-02 · T101: Use X.",
    ]
    assert titles(log) == ["Log"]


# shared artifacts


@pytest.mark.rule("O4")
@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", "## Letters\n\n- one\n- two\n"),
        ("# I\n", "# I\n\n## Letters\n\n- one\n- two\n"),
        ("# I\n\nLetters\n", "# I\n\nLetters\n\n## Letters\n\n- one\n- two\n"),
        ("## Letters", "## Letters\n\n- one\n- two\n"),
        ("## Letters\n", "## Letters\n\n- one\n- two\n"),
        ("## Letters\n\n\n", "## Letters\n\n- one\n- two\n\n\n"),
        ("## Letters\n\n- a\n", "## Letters\n\n- a\n- one\n- two\n"),
        ("## Letters\n\n- a", "## Letters\n\n- a\n- one\n- two\n"),
        ("## Letters\n\n- a\n  - b\n\n", "## Letters\n\n- a\n  - b\n- one\n- two\n\n"),
        ("## Letters\n\n- a\n  goes on\n", "## Letters\n\n- a\n  goes on\n\n- one\n- two\n"),
        ("## Letters\n\ntext  \n", "## Letters\n\ntext  \n\n- one\n- two\n"),
        ("## Letters\n\n- a\n\n## Other\n", "## Letters\n\n- a\n- one\n- two\n\n## Other\n"),
        ("## Letters\n\n- a\n\n\n\n## Other\n", "## Letters\n\n- a\n- one\n- two\n\n\n\n## Other\n"),
        ("## Letters\n## Other\n", "## Letters\n\n- one\n- two\n\n## Other\n"),
        ("## Letters\n- a\nOther\n=====\n", "## Letters\n- a\nOther\n=====\n\n- one\n- two\n"),
        ("## Letters\n- a\n# Other\n", "## Letters\n- a\n- one\n- two\n\n# Other\n"),
        ("## Letters\n\n### Deeper\n\n- a\n", "## Letters\n\n### Deeper\n\n- a\n- one\n- two\n"),
        ("Letters\n---\n\n- a\n", "Letters\n---\n\n- a\n- one\n- two\n"),
        ("## 2. **Letters** (all):\n\n- a\n", "## 2. **Letters** (all):\n\n- a\n- one\n- two\n"),
        ("## Letters\r\n\r\n- a\r\n\r\n## B\r\n", "## Letters\r\n\r\n- a\r\n- one\r\n- two\r\n\r\n## B\r\n"),
        ("\ufeff## Letters\n\n- ä\n\n# Ö\n", "\ufeff## Letters\n\n- ä\n- one\n- two\n\n# Ö\n"),
        ("```\n## Letters\n```\n", "```\n## Letters\n```\n\n## Letters\n\n- one\n- two\n"),
        ("## Letters\n\na\n\n## Letters\n\nb\n", "## Letters\n\na\n\n- one\n- two\n\n## Letters\n\nb\n"),
    ],
)
def test_contributions_go_to_the_end_of_their_section(source: str, expected: str) -> None:
    assert append_contributions(source.encode(), "Letters", ("one", "two")).decode() == expected


@pytest.mark.parametrize(
    "title",
    [
        "Letters",
        "Q&A",
        "C# bindings",
        "C#",
        "snake_case",
        "`code` & *stars*",
        "a | b",
        "1. First",
        "- minus",
        "[link](x.md)",
        "<b>",
        "~~no~~!",
    ],
)
def test_a_section_that_we_made_is_found_again(title: str) -> None:
    once = append_contributions(b"# I\n", title, ("one",))
    twice = append_contributions(once, title, ("two",))
    assert twice == once + b"- two\n"
    heading = MarkdownIt("commonmark").parse(once.decode())[4]
    assert "".join(part.content for part in heading.children or []) == title


@pytest.mark.parametrize("source", [b"", b"## Letters\n", b"\xff"])
def test_without_contributions_an_artifact_stays(source: bytes) -> None:
    assert append_contributions(source, "Letters", ()) == source


def test_an_artifact_that_is_no_text_keeps_its_bytes() -> None:
    assert (
        append_contributions(b"## Letters\n\xff", "Letters", ("x",))
        == b"## Letters\n\xff\n\n## Letters\n\n- x\n"
    )


@pytest.mark.rule("O4")
@MANY
@given(DOCUMENTS.filter(bool), st.sampled_from(HOSTILE) | st.text(min_size=1).filter(clean_text))
def test_what_the_user_wrote_in_an_artifact_stays(source: bytes, text: str) -> None:
    new = append_contributions(source, "Letters", (text,))
    assert is_insertion(source, new)
    ours = [] if "Letters" in titles(source) else ["Letters"]
    assert titles(new) == titles(source) + ours
    assert clean_text(text) in entries(new)
    assert len(entries(new)) == len(entries(source)) + 1


@pytest.mark.rule("O4")
@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("source", [b"# I\n", b"## Letters\n\n- a\n\n## Other\n"], ids=["new", "joined"])
def test_a_hostile_contribution_is_one_entry(source: bytes, text: str) -> None:
    new = append_contributions(source, "Letters", (text, "last"))
    assert entries(new) == [*entries(source), clean_text(text), "last"]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_a_hostile_title_is_one_heading(text: str) -> None:
    new = append_contributions(b"# I\n", text, ("one",))
    assert len(titles(new)) == 2
    assert entries(new) == ["one"]


def test_contributions_are_taken_out_again() -> None:
    """Of equal ones one; what the user has changed, continued or moved to another section stays and is named."""
    source = append_contributions(b"# Inventory\n\ntext\n", "Letters", ("one *a*", "two", "two", "three"))
    text = source.replace(b"- three\n", b"- three\n  and more\n") + b"\n## Other\n\n- four\n"
    removed = remove_contributions(text, "Letters", ("one *a*", "two", "three", "four", "five"))
    assert removed.source == text.replace(b"- one \\*a\\*\n", b"").replace(b"- two\n", b"", 1)
    assert removed.left == ("three", "four", "five")
    assert remove_contributions(b"text\n", "Letters", ("two",)).left == ("two",)
    windows = append_contributions(b"# I\r\n", "Letters", ("one",))
    assert remove_contributions(windows, "Letters", ("one",)).source == b"# I\r\n\r\n## Letters\r\n\r\n"


@MANY
@given(st.lists(LINES, max_size=12).map("\n".join), st.lists(st.sampled_from(["x", "yy", "zzz"]), max_size=3))
def test_what_is_added_and_taken_out_leaves_what_was_there(text: str, lines: list[str]) -> None:
    source = append_contributions(text.encode(), "Letters", ("before",))
    again = remove_contributions(
        append_contributions(source, "Letters", tuple(lines)), "Letters", tuple(lines)
    )
    assert (again.source, again.left) == (source, ())
