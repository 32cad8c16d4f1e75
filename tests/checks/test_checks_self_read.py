"""The outputs that a check would load itself."""

import pytest

from gitbatch.checks.self_read import is_self_read
from gitbatch.project.check_tables import CheckTable

PYTEST = ("python", "-m", "pytest", "-q")


@pytest.mark.parametrize(
    ("command", "output", "expected"),
    [
        (PYTEST, "tests/conftest.py", True),
        (PYTEST, "pytest.ini", True),
        (PYTEST, "pyproject.toml", True),
        (PYTEST, "setup.cfg", True),
        (PYTEST, "tox.ini", True),
        (PYTEST, "a/b/x.pth", True),
        (PYTEST, "json.py", True),
        (PYTEST, "pytest/__main__.py", True),
        (PYTEST, "tests/test_a.py", False),
        (PYTEST, "docs/a.md", False),
        (("lychee", "{output}"), "json.py", False),
        (("lychee", "{output}"), "docs/.lychee.toml", True),
        (("sh", "tools/check.sh", "{output}"), "tools/check.sh", True),
        (("{worktree}/tools/check", "{output}"), "tools/check", True),
        (("./tools/check", "{output}"), "tools/check", True),
        (("vale", "--config=styles/vale.ini"), "styles/vale.ini", True),
        (("vale", "--styles", "styles"), "styles/rules.yml", True),
        (("vale", "--styles", "/usr/share/styles"), "usr/share/styles/rules.yml", False),
        (("python", "-m", "tools.check"), "tools/check.py", True),
        (("vale", "docs-{output}"), "docs-a", False),
        (("vale",), "rules.ini", True),
    ],
)
def test_outputs_that_a_check_loads(command: tuple[str, ...], output: str, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    table = CheckTable(command=command, env={"RULES": "rules.ini"})
    assert is_self_read(table, output) is expected
