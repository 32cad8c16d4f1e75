"""Tests of `gitbatch.patterns`."""

import re
from copy import copy

import pytest

from gitbatch.patterns import compile_later


def test_compiled_when_used() -> None:
    """A pattern is compiled by its first use: until then nothing finds out that it is invalid."""
    invalid = compile_later("(")
    assert invalid.pattern == "("
    with pytest.raises(re.error):
        invalid.match("x")


def test_same_answers() -> None:
    """It answers as the compiled one, also when it is used again; of text and of bytes."""
    text, content = compile_later(r"(?P<word>x+)", re.IGNORECASE), compile_later(rb"x+")
    for _ in range(2):
        found = text.search("aXxb")
        assert found is not None
        assert (found["word"], found.re.flags & re.IGNORECASE) == ("Xx", re.IGNORECASE)
        assert text.sub("y", "aXxb") == "ayb"
        assert content.findall(b"xxaxb") == [b"xx", b"x"]
    assert text.groupindex == {"word": 1}


def test_copied_uncompiled() -> None:
    """What Python asks of any object by names with underscores does not compile it."""
    assert copy(compile_later("(")).pattern == "("
