"""The file list is the architecture: a module imports only from its own unit and from units above it.

`python tests/test_architecture.py` prints the units, and how many imports there are between them.
"""

import ast
import importlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from inspect import signature
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "gitbatch"
PAGE = PACKAGE.parent / "docs/development/architecture.md"

ORDER = (
    *("errors", "crash", "patterns", "text", "resources", "paths", "concurrency", "fs", "plan", "project"),
    *(
        "repo.environment",
        "repo.limits",
        "repo.childless",
        "repo.patience",
        "repo.config_file",
        "repo.process",
        "repo.search",
    ),
    *(
        "repo.objects.loose",
        "repo.settings",
        "repo.objects.codec",
        "repo.signing",
        "repo.pipe",
        "repo.objects",
        "repo.refs",
    ),
    *(
        "repo.promised",
        "repo.repository",
        "repo.opening",
        "repo.snapshot",
        "repo.private_dir",
        "repo.path_rules",
        "repo.ignored",
    ),
    *(
        "repo.index_bytes",
        "repo.attributes",
        "repo.base",
        "repo.checkout",
        "repo.user_commit",
        "repo.worktrees",
        "repo.templates",
        "repo.fingerprint",
    ),
    *("repo.unlocked", "repo.holder", "repo.lock", "repo.sample", "repo.log"),
    *("sandbox", "limits", "web", "api_proxy"),
    *(
        "agents.review",
        "agents.protocol",
        "agents.notations",
        "agents.secrets",
        "agents.json_text",
        "agents.prompt",
        "agents.reply",
        "agents.last_message",
    ),
    *(
        "agents.process",
        "agents.services",
        "agents.json_lines",
        "agents.command",
        "agents.claude_code",
        "agents.acp",
        "agents.anthropic",
        "agents.pool",
        "agents.survey",
    ),
    "checks",
    "guard",
    *(
        "batch.verdicts",
        "batch.line_count",
        "batch.model",
        "batch.events",
        "batch.event_stream",
        "batch.notices",
        "batch.history",
        "batch.planning",
    ),
    *(
        "batch.extras",
        "batch.workplace",
        "batch.executor",
        "batch.worker",
        "batch.item",
        "batch.group",
        "batch.resume",
        "batch.reopening",
        "batch.review.elsewhere",
        "batch.preconditions",
        "batch.review.reviewing",
        "batch.review.item",
        "batch.review.reviewable",
        "batch.review.choices",
        "batch.review.deciding",
        "batch.tally",
        "batch.revisions",
        "batch.ready",
        "batch.review.approval",
        "batch.review.sheet",
        "batch.review.output_edit",
        "batch.announcing",
        "batch.ending",
        "batch.loop",
    ),
    *(
        "batch.event_log",
        "batch.caller",
        "batch.worktree_choice",
        "batch.review.rerun",
        "batch.remote_agents",
        "batch.opening",
        "batch.preview",
        "batch.review.hold",
        "batch.session",
        "batch.trial",
        "batch.by_hand",
        "batch.report",
    ),
    *("notify", "view", "cli"),
)
"""The units, each with what it may import above it."""

ROOTS = frozenset({"", "__main__", "agents", "batch", "batch.review", "repo"})
"""Packages that only hold units, and the entry point."""

HOME_OF = {
    "git": "repo",
    "typer": "cli",
    "questionary": "cli",
    "acp": "agents",
    "anthropic": "agents",
    "rich": "view",
    "distributed": "batch",
}
"""Libraries that are imported in one folder (and below it in the order, where it is `view`)."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """The dotted name of a module below the package."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip(".")


NAMES = frozenset(map(name_of, MODULES))


def unit_of(name: str) -> str:
    """The unit that a module is in."""
    inside = (unit for unit in ORDER if name == unit or name.startswith(f"{unit}."))
    return max(inside, key=len, default="")


@cache
def imports(path: Path) -> tuple[str, ...]:
    """The dotted names that a module imports. They are kept, and not its syntax tree, which is large."""
    return tuple(_find_imports(path))


def _find_imports(path: Path) -> Iterator[str]:
    for node in _walk_statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _walk_statements(tree: ast.AST) -> Iterator[ast.AST]:
    """What a module consists of, without expressions, where no import can be."""
    waiting = [tree]
    while waiting:
        yield (node := waiting.pop())
        waiting.extend(child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr))


def our_imports(path: Path) -> Iterator[str]:
    """The modules of the package that a module imports."""
    for name in imports(path):
        if name.startswith("gitbatch.") and name != "gitbatch.__version__":
            inner = name.removeprefix("gitbatch.")
            yield inner if inner in NAMES else inner.rpartition(".")[0]


def between_units() -> Counter[tuple[str, str]]:
    """How many imports there are from one unit to another."""
    found: Counter[tuple[str, str]] = Counter()
    for path in MODULES:
        here = unit_of(name_of(path))
        pairs = ((here, unit_of(there)) for there in set(our_imports(path)))
        found.update((one, other) for one, other in pairs if one and one != other)
    return found


def test_a_module_imports_only_from_above() -> None:
    inner = {path: name for path in MODULES if (name := name_of(path)) not in ROOTS}
    assert [name for name in inner.values() if not unit_of(name)] == [], "modules without a unit"
    upwards = [
        f"{name} imports {there}"
        for path, name in inner.items()
        for there in our_imports(path)
        if ORDER.index(unit_of(there)) > ORDER.index(unit_of(name))
    ]
    assert upwards == []


def test_a_library_has_one_home() -> None:
    away = [
        f"{name_of(path)} imports {name}"
        for path in MODULES
        for name in imports(path)
        if not _is_at_home(name.split(".")[0], name_of(path).partition(".")[0])
    ]
    assert away == []


def _is_at_home(library: str, part: str) -> bool:
    home = HOME_OF.get(library, part)
    return part == home or (home == "view" and part == "cli")


def test_dask_is_loaded_by_the_worker_of_a_cluster_alone() -> None:
    """It takes a second, and what it is sent by others it may run: nothing of it is where a run is."""
    inside = {
        path for path in MODULES for name in imports(path) if name.split(".")[0] in {"dask", "distributed"}
    }
    assert {name_of(path) for path in inside} == {"batch.worker.cluster"}
    for path in inside:
        body = ast.parse(path.read_text(encoding="utf-8")).body
        at_top = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
        assert "distributed" not in {getattr(node, "module", "") for node in at_top}


def git_thread_calls() -> Iterator[tuple[Path, ast.Call]]:
    """The calls that hand a function to the git thread: `run.git(function, ...)`."""
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        if name_of(path).startswith("batch.") and ".git(" in text:
            for node in ast.walk(ast.parse(text)):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr == "git"
                ):
                    yield path, node


def test_the_git_thread_gets_values() -> None:
    """A function on the git thread gets a repository and values: never the whole run, not by a closure either."""
    calls = tuple(git_thread_calls())
    assert len(calls) > 10
    assert [f"{name_of(path)}:{call.lineno}" for path, call in calls if _gets_run(path, call)] == []


def _gets_run(path: Path, call: ast.Call) -> bool:
    first = call.args[0]
    given = [argument.id for argument in call.args if isinstance(argument, ast.Name)]
    if "run" in given or isinstance(first, ast.Lambda):
        return True
    if not isinstance(first, ast.Name):  # a method of a value, such as the ledger
        return False
    function = getattr(importlib.import_module(f"gitbatch.{name_of(path)}"), first.id)
    annotations = (str(parameter.annotation) for parameter in signature(function).parameters.values())
    return any(text.split(".")[-1].strip("'>\"") == "Run" for text in annotations)


def test_every_stage_on_the_page_exists() -> None:
    stages = PAGE.read_text(encoding="utf-8").partition("| stage |")[2].partition("\n## ")[0]
    paths = re.findall(r"`([a-z_/]+(?:/|\.py))`", stages)
    assert len(paths) > 20
    assert [path for path in paths if not (PACKAGE / path).exists()] == []
    text = "".join(path.read_text(encoding="utf-8") for path in MODULES)
    classes = set(re.findall(r"^class (\w+)", text, re.MULTILINE))
    assert set(re.findall(r"`([A-Z]\w+)`", stages)) <= classes


def test_every_folder_is_in_the_drawing() -> None:
    drawing = f" {PAGE.read_text(encoding='utf-8').split('```')[1]}".replace("\n", " ")
    folders = [
        path.parent.name for folder in ("", "batch") for path in (PACKAGE / folder).glob("*/__init__.py")
    ]
    assert [name for name in folders if f" {name}/" not in drawing] == []


def test_no_module_is_called_git() -> None:
    assert "git" not in {path.stem for path in MODULES}


def test_version_imports_nothing_heavy() -> None:
    heavy = ("git", "mistune", "anthropic", "msgspec", "questionary", "asyncio", "rich")
    code = f"import sys; sys.argv = ['gitbatch', '--version']\nfrom gitbatch.cli.main import app\ntry: app()\nexcept SystemExit: print([m for m in {heavy!r} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"


def test_status_and_a_worker_import_libraries_when_they_are_used() -> None:
    code = (
        "import sys\nimport gitbatch.cli.status, gitbatch.repo.log\nprint('git' in sys.modules)\n"
        "import gitbatch.cli.worker, gitbatch.batch.worker.stdio\nprint('mistune' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "False\nFalse\n"


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
        "gitbatch.agents.command.agent",
        "gitbatch.sandbox.selection",
        "git",
        "rich",
    )
    code = f"import sys; sys.argv = ['gitbatch', 'status', '-C', '/']\nfrom gitbatch.cli.main import main\ntry: main()\nexcept SystemExit: print([m for m in {heavy!r} if m in sys.modules])"
    code += "\nimport gitbatch.view.overview\n" + f"print([m for m in {heavy!r} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-2:] == ["[]", "[]"]


def test_to_run_a_batch_for_a_pipe_imports_nothing_that_it_does_not_need() -> None:
    heavy = (
        *("git", "rich", "anthropic", "pydantic", "questionary", "email", "distributed"),
        *("gitbatch.agents.anthropic.agent", "gitbatch.batch.history.verify"),
        *("gitbatch.batch.executor", "gitbatch.batch.worker", "gitbatch.batch.group.early_pool"),
        *("gitbatch.batch.group.early_judging", "gitbatch.batch.planning.early.dependencies"),
        *("gitbatch.api_proxy", "gitbatch.batch.planning.continuation", "gitbatch.batch.extras.shown_layer"),
        *("gitbatch.repo.templates.kept", "gitbatch.fs.cloning", "pkgutil"),
    )
    modules = "gitbatch.cli.batch, gitbatch.batch.session, gitbatch.agents.command.agent"
    code = f"import sys, {modules}; print([m for m in {heavy!r} if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"


def main() -> None:
    """Print the units and the imports between them."""
    found = between_units()
    upwards = [pair for pair in found if ORDER.index(pair[1]) > ORDER.index(pair[0])]
    for (one, other), count in sorted(found.items(), key=lambda pair: ORDER.index(pair[0][0])):
        print(f"{one:24} -> {other:24} {count}")  # noqa: T201 - its command line
    floors = {unit for unit in ORDER if unit.startswith("batch.")}
    inside = sum(count for (one, other), count in found.items() if {one, other} <= floors)
    print(f"{len(ORDER)} units, {sum(found.values())} imports between them, {len(upwards)} upwards;")  # noqa: T201 - as above
    print(f"batch: {len(floors)} units, {inside} imports between them")  # noqa: T201 - as above


if __name__ == "__main__":
    main()
