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
        (PYTEST, "pytest.toml", True),
        (("lychee", "docs"), "docs/.gitignore", True),
        (("cargo", "test"), ".cargo/config.toml", True),
        (("npx", "ava"), "ava.config.mjs", True),
        (PYTEST, "json.py", True),
        (PYTEST, "json/__init__.py", True),
        (PYTEST, "lib/json/decoder.py", True),
        (PYTEST, "tests/json.py", True),
        (PYTEST, "src/shapes/types.py", False),
        (("python", "tools/check.py"), "tools/json.py", True),
        (("python", "tools/check.py"), "tools/rules/json.py", False),
        (PYTEST, "pytest/__main__.py", True),
        (PYTEST, "tests/test_a.py", False),
        (PYTEST, "docs/a.md", False),
        (("lychee", "{output}"), "json.py", False),
        (("lychee", "{output}"), "docs/.lychee.toml", True),
        (("sh", "tools/check.sh", "{output}"), "tools/check.sh", True),
        (("{worktree}/tools/check", "{output}"), "tools/check", True),
        (("./tools/check", "{output}"), "tools/check", True),
        (("vale", "--config=styles/vale.ini"), "styles/vale.ini", True),
        (("vale", "--styles", "styles", "{output}"), "styles/rules.yml", True),
        (("vale", "--styles", "/usr/share/styles", "{output}"), "usr/share/styles/rules.yml", False),
        (("vale", "--styles=styles", "docs"), "styles/rules.yml", True),
        (("vale", "--styles=styles", "docs"), "docs/a.md", False),
        (("lychee", "--root-dir", "docs", "{output}"), "docs/a.md", False),
        (("vale", "{output}"), "rules.ini/a.yml", True),
        (("bash", "-c", "true; python -m tools.judge {output}"), "tools/judge.py", True),
        (("mypy", "--strict", "src"), "src/shapes/area.py", False),
        ((*PYTEST, "tests"), "tests/test_a.py", False),
        (("sh", "-c", "python tools/check.py {output}"), "tools/check.py", True),
        (
            ("sh", "-c", "cd docs && ! MODE=1 sh -e '../tools/x' && ./tools/check.py {output}"),
            "tools/check.py",
            True,
        ),
        (("sh", "-c", "python {worktree}/tools/check.py $0", "{output}"), "tools/check.py", True),
        (("sh", "-c", 'sh "$PWD/tools/check.sh" {output}'), "tools/check.sh", True),
        (("sh", "-c", "grep -q good docs/a.md", "{output}"), "docs/a.md", False),
        (("sh", "tools//old/../check.sh", "{output}"), "tools/check.sh", True),
        (("python", "-m", "tools.check"), "tools/check.py", True),
        (("vale", "docs-{output}"), "docs-a", False),
        (("vale",), "rules.ini", True),
    ],
)
def test_outputs_that_a_check_loads(command: tuple[str, ...], output: str, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    table = CheckTable(command=command, env={"RULES": "rules.ini"})
    assert is_self_read(table, output) is expected


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("python/shapes/area.py", False),
        ("python/shapes/types.py", False),
        ("more/area.py", False),
        ("python/json.py", True),
        ("more/json/decoder.py", True),
    ],
)
def test_a_module_that_a_check_imports_may_be_what_it_judges(output: str, expected: bool) -> None:  # noqa: FBT001 - a column of the table
    table = CheckTable(command=PYTEST, env={"PYTHONPATH": "{worktree}/python:more"})
    assert is_self_read(table, output) is expected
