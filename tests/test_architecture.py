"""The file list is the architecture: a module imports only from its own folder and from folders above it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "gitbatch"

ORDER = (
    "errors",
    "text",
    "paths",
    "resources",
    "crash",
    "plan",
    "project",
    "repo",
    "sandbox",
    "agents",
    "guard",
    "batch",
    "view",
    "cli",
)
"""What may be imported by what stands behind it."""

HOME_OF = {"git": "repo", "typer": "cli", "questionary": "cli", "anthropic": "agents", "rich": "view"}
"""Libraries that are imported in one folder (and below it in the order, where it is `view`)."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_above(path: Path) -> None:
    here = part_of(path)
    if here in {"__init__", "__main__"}:
        return
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "gitbatch" or parts[1] == "__version__":
            continue
        assert ORDER.index(parts[1]) <= ORDER.index(here), f"{here} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_library_has_one_home(path: Path) -> None:
    for name in imports(path):
        home = HOME_OF.get(name.split(".")[0])
        if home == "view":
            assert part_of(path) in {"view", "cli"}, name
        elif home:
            assert part_of(path) == home, name


def test_no_module_is_called_git_and_none_is_long() -> None:
    for path in MODULES:
        assert path.name != "git.py"
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path


def test_version_imports_nothing_heavy() -> None:
    heavy = ("git", "mistune", "anthropic", "msgspec", "questionary", "filelock", "asyncio", "rich")
    code = f"import sys; sys.argv = ['gitbatch', '--version']\nfrom gitbatch.cli.main import app\ntry: app()\nexcept SystemExit: print([m for m in {heavy!r} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"


def test_the_sandbox_needs_python_alone() -> None:
    """What has to be trusted most has no dependency, so it can be tried as any user with any Python."""
    names = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for path in sorted((PACKAGE / "sandbox").glob("*.py"))
    ]
    code = f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\nimport " + ", ".join(names)
    said = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False)
    assert said.stderr == ""


def test_to_look_at_a_batch_imports_nothing_that_runs_one() -> None:
    heavy = (
        "asyncio",
        "anthropic",
        "pydantic",
        "questionary",
        "gitbatch.agents.process.agent",
        "gitbatch.sandbox.find",
        "git",
        "rich",
    )
    code = f"import sys; sys.argv = ['gitbatch', 'status', '-C', '/']\nfrom gitbatch.cli.main import main\ntry: main()\nexcept SystemExit: print([m for m in {heavy!r} if m in sys.modules])"
    code += "\nimport gitbatch.view.overview\n" + f"print([m for m in {heavy!r} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-2:] == ["[]", "[]"]


def test_to_run_a_batch_for_a_pipe_imports_nothing_that_it_does_not_need() -> None:
    heavy = ("git", "rich", "anthropic", "pydantic", "questionary", "gitbatch.agents.anthropic.agent")
    code = f"import sys, gitbatch.cli.batch; print([m for m in {heavy!r} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"
