"""Paths as bytes and as text: what is written comes back byte for byte, and a forge obeys none of it."""

import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitbatch.paths import (
    ancestors,
    decode_path,
    encode_path,
    first_non_folder,
    path_key,
    quote_for_message,
    quote_path,
    unquote_path,
)

ORDERS = re.compile(
    r"\[[^\]]*\]|\*\*\*|@\w|#\d"
    r"|\b(?:clos(?:e[sd]?|ing)|fix(?:e[sd]|ing)?|resolv(?:e[sd]?|ing)|implement(?:s|ed|ing)?):?\s+\S",
    re.IGNORECASE,
)
"""What GitHub, GitLab, Bitbucket and Azure obey or link in a commit message."""

names = st.lists(
    st.one_of(
        st.characters(exclude_characters="\0", exclude_categories=()),
        st.sampled_from(
            ["[skip ci]", "fix #1", "Closes ", "***NO_CI***", "@me", "\\", '"', "\n", "→", "\udcff"]
        ),
    ),
    min_size=1,
    max_size=12,
).map("".join)


@given(st.binary(min_size=1))
def test_bytes_of_git_come_back(name: bytes) -> None:
    assert encode_path(decode_path(name)) == name


@given(names.filter(lambda name: not re.search("[\ud800-\udc7f\udd00-\udfff]", name)))
def test_a_quoted_path_comes_back_and_is_one_line(path: str) -> None:
    path = decode_path(encode_path(path))
    for written in (quote_path(path), quote_for_message(path)):
        assert unquote_path(written) == path
        assert written.isprintable()
    assert not ORDERS.search(quote_for_message(path))


@pytest.mark.parametrize(
    ("path", "listed", "message"),
    [
        ("out/ü 1.md", "out/ü 1.md", "out/ü 1.md"),
        ("docs/[skip ci] a.md", "docs/[skip ci] a.md", '"docs/\\133skip ci\\135 a.md"'),
        ("docs/fix #1.md", "docs/fix #1.md", '"docs/fix\\040\\0431.md"'),
        ("docs/Fixes ABC-1.md", "docs/Fixes ABC-1.md", '"docs/Fixes\\040ABC-1.md"'),
        ("a → b.md", "a → b.md", "a → b.md"),
        ('say "x".md', 'say "x".md', '"say \\042x\\042.md"'),
        ('"x".md', '"\\042x\\042.md"', '"\\042x\\042.md"'),
        ("a\nb\x1b[2J.md", '"a\\012b\\033[2J.md"', '"a\\012b\\033\\1332J.md"'),
        ("\udcff.md", '"\\377.md"', '"\\377.md"'),
    ],
)
def test_how_paths_are_written(path: str, listed: str, message: str) -> None:
    assert (quote_path(path), quote_for_message(path)) == (listed, message)


@pytest.mark.parametrize("text", ['"', '""', '"a', '"a"b"', '"a\\"', '"\\8"', '"\\400"', '"\\n"'])
def test_quotes_that_hold_no_path(text: str) -> None:
    assert unquote_path(text) == ""


def test_git_reads_the_quoted_form(tmp_path_factory: pytest.TempPathFactory) -> None:
    """`git update-index --index-info` takes a quoted path, as every reader of git's own lists does."""
    root = tmp_path_factory.mktemp("repo")
    path = 'a\nb [skip ci] "ü" \\.md'
    subprocess.run(["git", "init", "--quiet", root], check=True)
    blob = "0" * 39 + "1"
    line = f"100644 {blob}\t{quote_for_message(path)}\n"
    subprocess.run(["git", "update-index", "--index-info"], cwd=root, input=line.encode(), check=True)
    said = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True).stdout
    assert decode_path(said) == f"{path}\0"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Docs/A.md", "docs/a.MD"),
        ("caf\u00e9.md", "cafe\u0301.md"),
        ("STRASSE", "stra\u00dfe"),
        ("\u1fb3", "\u03b1\u03b9"),
    ],
)
def test_equal_keys(one: str, other: str) -> None:
    assert path_key(one) == path_key(other)


def test_different_keys() -> None:
    assert len({path_key(path) for path in ("a", "b", "a/b", "a/b/", "ab")}) == 5


def test_ancestors() -> None:
    assert ancestors("a/b/c.md") == ["a", "a/b"]
    assert ancestors("c.md") == []


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        ({}, None),
        ({"a": True}, None),
        ({"a": True, "a/b": True}, None),
        ({"a": True, "a/b": False}, "a/b"),
        ({"a": False}, "a"),
        ({"a/b": False}, None),
        ({"a": True, "a/b": True, "a/b/c.md": False}, None),
    ],
)
def test_first_non_folder(present: dict[str, bool], expected: str | None) -> None:
    assert first_non_folder("a/b/c.md", present.get) == expected
