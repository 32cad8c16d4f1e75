"""Every behaviour rule is proved by a test that names it, or is said to be open."""

import ast
from pathlib import Path

TESTS = Path(__file__).parent

RULES = (
    *(f"O{number}" for number in range(1, 8)),
    *(f"S{number}" for number in range(1, 4)),
    *(f"T{number}" for number in range(1, 4)),
    *(f"P{number}" for number in range(1, 6)),
    *(f"C{number}" for number in range(1, 5)),
    *(f"K{number}" for number in range(1, 5)),
    *(f"E{number}" for number in range(1, 4)),
    *(f"F{number}" for number in range(1, 9)),
)

OPEN: dict[str, str] = {}
"""Rules that no test proves yet, and what is missing."""


def proofs() -> dict[str, list[str]]:
    """Rule → the tests that are marked with it."""
    found: dict[str, list[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "mark.rule(" in text else ():
            if not isinstance(node, ast.FunctionDef):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.rule":
                    for argument in mark.args:
                        found.setdefault(ast.literal_eval(argument), []).append(f"{path.name}::{node.name}")
    return found


def test_every_rule_is_proved_or_said_to_be_open() -> None:
    proved = proofs()
    assert proved.keys() <= set(RULES), "a test names a rule that does not exist"
    assert set(RULES) - proved.keys() == OPEN.keys()


def test_the_readme_has_every_rule() -> None:
    readme = (TESTS.parent / "docs" / "rules.md").read_text(encoding="utf-8")
    rows = [line for line in readme.splitlines() if line.startswith("| ")]
    for rule in RULES:
        assert any(line.startswith(f"| {rule} |") for line in rows), rule
