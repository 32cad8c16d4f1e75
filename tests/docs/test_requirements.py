"""Each requirement names a module that does it and a test that proves it; what it names exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "requirements.md"
OPEN = "not there yet"
ROWS = tuple(
    tuple(cell.strip() for cell in line.strip("|").split(" | "))
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| sentence")
)


@cache
def find_functions(path: Path) -> set[str]:
    """The names of the test functions of a module, also of those in classes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_a_row_names_what_exists(row: tuple[str, ...]) -> None:
    _, where, shown_by = row
    if where == OPEN:
        return
    modules = re.findall(r"`([\w/]+\.py)`", where)
    assert modules
    assert [module for module in modules if not (ROOT / "gitbatch" / module).is_file()] == []
    proofs = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", shown_by)
    assert proofs
    assert [f"{path}::{name}" for path, name in proofs if name not in find_functions(ROOT / path)] == []


def test_nothing_is_open() -> None:
    assert [row for row in ROWS if row[1] == OPEN] == []


def test_no_sentence_is_left_out() -> None:
    """Both texts have 32 and 14 sentences that ask for something or give a reason."""
    sections = re.findall(r"(?m)^## (.*)$", PAGE.read_text(encoding="utf-8"))
    assert len(sections) == 12
    assert len(ROWS) == 46
