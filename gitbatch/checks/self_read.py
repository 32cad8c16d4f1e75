"""Outputs that a check would load: its own program, and files that tools read by themselves, such as `conftest.py`.

An item with such an output would be judged by what its agent wrote. So its checks run with the base's version of that
file, and `{output}` is a copy outside of the worktree. The same for files that an agent that reviews would obey. What a tool imports under another name is not known here.
"""

import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import PurePosixPath

from gitbatch.project.check_tables import CheckTable, ProgramTable

READ_BY_TOOLS = (
    *("conftest.py", "pytest.ini", ".pytest.ini", "pyproject.toml", "setup.cfg", "setup.py", "tox.ini"),
    *("noxfile.py", ".coveragerc", "ruff.toml", ".ruff.toml", "mypy.ini", ".mypy.ini", ".flake8", "pylintrc"),
    *(".pylintrc", "sitecustomize.py", "usercustomize.py", "*.pth", "*.egg-link", "bandit.yaml", ".bandit"),
    *(
        "lychee.toml",
        ".lychee.toml",
        ".lycheeignore",
        ".markdownlint*",
        ".remarkrc*",
        ".vale.ini",
        ".yamllint*",
    ),
    *(".codespellrc", ".typos.toml", "_typos.toml", "typos.toml", "cspell.*", ".cspell.*", ".textlintrc*"),
    *(
        "package.json",
        ".npmrc",
        "tsconfig*.json",
        ".eslintrc*",
        "eslint.config.*",
        ".eslintignore",
        ".babelrc*",
    ),
    *(
        ".prettierrc*",
        "prettier.config.*",
        "jest.config.*",
        "vitest.config.*",
        "vite.config.*",
        "babel.config.*",
    ),
    *("Makefile", "makefile", "GNUmakefile", "justfile", "Justfile", "Taskfile.y*ml", "CMakeLists.txt"),
    *(".pre-commit-config.yaml", ".editorconfig", ".env", ".envrc", ".tool-versions", "mise.toml"),
    *("Cargo.toml", "clippy.toml", "rustfmt.toml", "build.rs", "go.mod", "go.work", ".golangci.*"),
    *(
        "Gemfile",
        "Rakefile",
        ".rubocop*",
        ".rspec",
        "phpunit.xml*",
        "composer.json",
        "build.gradle*",
        "pom.xml",
    ),
    *("mkdocs.yml", "conf.py", "_config.yml"),
)
"""Names that tools look for by themselves, in any folder; `*` stands for any characters."""

READ_BY_AGENTS = (
    *("AGENTS.md", "AGENTS.override.md", "CLAUDE.md", "CLAUDE.local.md", "GEMINI.md", "QWEN.md", "CODEX.md"),
    *(
        "CONTEXT.md",
        ".cursorrules",
        ".windsurfrules",
        ".clinerules",
        ".goosehints",
        "copilot-instructions.md",
    ),
    *(".mcp.json", "opencode.json", "opencode.jsonc", ".aider.conf.yml", "CONVENTIONS.md"),
)
"""Names of files that agents take for instructions or settings, in any folder."""
_AGENT_FOLDERS = frozenset(
    {".claude", ".codex", ".gemini", ".qwen", ".opencode", ".cursor", ".agents", ".aider", ".goose"}
)
_PYTHON = re.compile(r"python[0-9.]*|py\.test|pytest|tox|nox|mypy|pylint|sphinx-build")
_PARTS = re.compile(r"[=:,]")


def is_self_read(table: ProgramTable, output: str) -> bool:
    """Returns whether a check loads an output as its program, its module, its configuration or its instructions."""
    if isinstance(table, CheckTable) and table.agent is not None:
        return _is_read_by_agents(output)
    name = PurePosixPath(output).name
    if any(fnmatchcase(name, pattern) for pattern in READ_BY_TOOLS):
        return True
    if any(output == path or output.startswith(f"{path}/") for path in _named_paths(table)):
        return True
    return name.endswith(".py") and _shadows_library(table, output)


def _is_read_by_agents(output: str) -> bool:
    *folders, name = output.lower().split("/")
    names = (each.lower() for each in READ_BY_AGENTS)
    return not _AGENT_FOLDERS.isdisjoint(folders) or name in names


def _named_paths(table: ProgramTable) -> Iterator[str]:
    """Yields the paths that the command and the variables of a check may name, `{output}` excepted."""
    arguments = list(table.command)
    for argument in (*arguments, *table.env.values()):
        for part in (argument, *_PARTS.split(argument)):
            path = part.removeprefix("{worktree}").strip("/").removeprefix("./")
            if path and not part.startswith("/") and "{output}" not in path:
                yield path
    for flag, module in pairwise(arguments):
        if flag == "-m":
            place = module.replace(".", "/")
            yield from (f"{place}.py", f"{place}/__main__.py", f"{place}/__init__.py")


def _shadows_library(table: ProgramTable, output: str) -> bool:
    """Whether Python would import an output of the top folder in the place of a module of its own."""
    is_python = bool(table.command) and _PYTHON.fullmatch(PurePosixPath(table.command[0]).name) is not None
    return is_python and PurePosixPath(output).stem in sys.stdlib_module_names
