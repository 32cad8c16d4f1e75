"""Text for terminals whose encoding lacks characters."""

import subprocess
import sys
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from conftest import Workspace
from rich.console import Console

from gitbatch.view.block import TextTable, make_line
from gitbatch.view.encoding import ASCII_FORMS, fit_encoding, is_limited
from gitbatch.view.page import PlainPage
from gitbatch.view.terminal import Terminal

LIMITED = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C", "LANG": "C"}


def stream(encoding: str) -> TextIOWrapper:
    return TextIOWrapper(BytesIO(), encoding=encoding, errors=ASCII_FORMS, write_through=True)


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        ("a → “b” …", "ascii", 'a -> "b" ...'),
        ("a → “b” …", "utf-8", "a → “b” …"),
        ("für → 漢", "latin-1", "für -> \\u6f22"),
        ("für", "ascii", "f\\xfcr"),
        ("│ ⠋ ━ ≥", "ascii", "| * - >="),
    ],
)
def test_forms(text: str, encoding: str, expected: str) -> None:
    assert fit_encoding(text, stream(encoding)) == expected
    written = stream(encoding)
    written.write(text)
    assert written.buffer.getvalue().decode(encoding) == expected  # type: ignore[attr-defined]


def test_memory_has_no_limit() -> None:
    assert not is_limited(StringIO())
    assert is_limited(stream("latin-1"))


@pytest.mark.parametrize("kind", ["page", "terminal"])
def test_columns_are_of_what_is_written(kind: str) -> None:
    output = stream("ascii")
    terminal = Terminal(Console(file=output, force_terminal=True, color_system=None, width=80))
    page = PlainPage(output) if kind == "page" else terminal
    page.show_block((TextTable(((("→",), ("x",)), (("ab",), ("y",)))), make_line("“end”")))
    lines = output.buffer.getvalue().decode().splitlines()  # type: ignore[attr-defined]
    assert [line.rstrip() for line in lines] == ["  ->  x", "  ab  y", '"end"']


def test_terminal_of_another_locale(three: Workspace) -> None:
    """Paths are UTF-8 all the same: the plan's item writes `out/ä.md`."""
    three.edit("task.md", "out/letters/a.md", "out/ä.md")
    three.commit()
    done = subprocess.run(
        [sys.executable, "-m", "gitbatch", "plan"],
        cwd=three.root,
        env=three.environment | LIMITED,
        capture_output=True,
        check=False,
    )
    said = done.stdout.decode("ascii")
    assert "-> out/\\xe4.md" in said, done.stderr
    done = subprocess.run(
        [sys.executable, "-m", "gitbatch", "plan", "--json"],
        cwd=three.root,
        env=three.environment | LIMITED,
        capture_output=True,
        check=False,
    )
    assert "out/ä.md" in done.stdout.decode("utf-8")
