"""Every key and every element that `tomllib` reads has its place, and the text there is the value."""

import tomllib
from typing import Any

import pytest
from examples import count_examples
from hypothesis import given, settings
from hypothesis import strategies as st

from gitbatch.project.toml_places import MAX_DEPTH, Path, find_places

DOCUMENT = """\
# a comment = 1
top = 1 # behind

[batch]
jobs = "4"   # text
  "odd key" . 'other' = true
'a"b' = 'c#d'
text = \"\"\"
one = "1"\"\"\"\"
raw = '''x
[no]'''
list = [ # here
  1, "two, ]", [3, 4],
  { a = 1, b.c = 'x' },
]
when = 2026-11-27T10:00:00Z
empty = []
none = {}

[agents.writer]
kind = "command"
[[rows]]
a = 1
[[rows]]
a = 2
[rows.inner]
b = 3
"""


def paths_in(value: Any, path: Path = ()) -> dict[Path, Any]:  # noqa: ANN401 - any TOML value
    """Every path in a value, with what is there."""
    found: dict[Path, Any] = {path: value} if path else {}
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= paths_in(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            found |= paths_in(inner, (*path, number))
    return found


def assert_found(text: str) -> None:
    """Each scalar can be read again from the span of its value."""
    places = find_places(text)
    expected = paths_in(tomllib.loads(text))
    assert places.keys() == expected.keys()
    for path, value in expected.items():
        start, end = places[path].value
        if not isinstance(value, dict | list):
            assert tomllib.loads(f"k = {text[start:end]}") == {"k": value}, path
        if isinstance(path[-1], str):
            key = text[slice(*places[path].key)]
            assert tomllib.loads(f"{key} = 0") == {path[-1]: 0}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_each_key_is_found(end: str) -> None:
    assert_found(DOCUMENT.replace("\n", end))


def test_what_is_too_deep_is_passed_over() -> None:
    text = f"a = {'[' * 40}']'{']' * 40}\nb = 1\n"
    places = find_places(text)
    assert places["b",].value == (len(text) - 2, len(text) - 1)
    assert max(map(len, places)) == MAX_DEPTH + 1


SCALARS = st.sampled_from(["1", '"a # b"', "'x, ]'", "true", "1979-05-27", '"""a"""', "'''[b]'''", "-inf"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: f"[{' , '.join(parts)}]"),
        st.lists(inner, max_size=3).map(
            lambda parts: "{" + ", ".join(f"k{i}={part}" for i, part in enumerate(parts)) + "}"
        ),
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(["a", "b-c", '"d e"', "'f.g'", "h . i", 'j."k#"'])


@settings(max_examples=count_examples(80))
@given(st.lists(st.tuples(KEYS, VALUES), max_size=5, unique_by=lambda pair: pair[0]), KEYS)
def test_any_document(pairs: list[tuple[str, str]], table: str) -> None:
    lines = "\n".join(f" {key}={value} # {key} = 0" for key, value in pairs)
    assert_found(f"x = 1\n[t.{table}]\n{lines}")
