"""Outputs that a check would load: its own program, and files that tools read by themselves, such as `conftest.py`.

An item with such an output would be judged by what its agent wrote. So its checks run with the base's version of that
file, and `{output}` is a copy outside of the worktree. The same for files that an agent that reviews would obey. What a tool imports under another name is not known here.
"""

import sys
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from gitbatch.checks.named_paths import IMPORT_PATH, find_named_paths, find_rules, read_paths
from gitbatch.patterns import compile_later
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
    *("mkdocs.yml", "conf.py", "_config.yml", "_quarto.yml", "book.toml"),
    *(".gitignore", ".gitattributes", ".ignore", ".rgignore", ".fdignore", ".*lintignore", ".prettierignore"),
    *("pytest.toml", ".pytest.toml", "uv.toml", "hatch.toml", "pyrightconfig.json", ".python-version"),
    *("biome.json*", "deno.json*", "jsconfig*.json", "tslint.json", ".swcrc", "bunfig.toml", ".nvmrc"),
    *(".mocharc*", ".nycrc*", "*.config.[cm]js", "*.config.[jt]s", "*.config.mts", ".stylelintrc*", ".mdl*"),
    *(".clang-tidy", ".clang-format", "meson.build", ".shellcheckrc", ".hadolint.y*ml", ".ansible-lint*"),
    *("settings.gradle*", "gradle.properties", "rust-toolchain*", "Gemfile.lock", ".proselintrc*"),
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
_TOOL_FOLDERS = frozenset({".cargo", ".config", ".mvn"})
"""Folders in which tools look for their settings."""
_AGENT_FOLDERS = frozenset(
    {".claude", ".codex", ".gemini", ".qwen", ".opencode", ".cursor", ".agents", ".aider", ".goose"}
)
_PYTHON = compile_later(r"python[0-9.]*|py\.test|pytest|tox|nox|mypy|pylint|sphinx-build")
_USUAL_IMPORT_FOLDERS = frozenset({"", "src", "lib", "test", "tests"})
"""Folders that Python imports from in most projects, also where the command does not say so."""


def is_self_read(table: ProgramTable, output: str) -> bool:
    """Returns whether a check loads an output as its program, its module, its configuration or its instructions."""
    if isinstance(table, CheckTable) and table.agent is not None:
        return _is_read_by_agents(output)
    name = PurePosixPath(output).name
    if any(fnmatchcase(name, pattern) for pattern in READ_BY_TOOLS):
        return True
    if not _TOOL_FOLDERS.isdisjoint(output.split("/")):
        return True
    if output in find_named_paths(table) or _is_below(output, frozenset(find_rules(table))):
        return True
    return name.endswith(".py") and _shadows_library(table, output)


def _is_read_by_agents(output: str) -> bool:
    *folders, name = output.lower().split("/")
    names = (each.lower() for each in READ_BY_AGENTS)
    return not _AGENT_FOLDERS.isdisjoint(folders) or name in names


def _is_below(output: str, folders: frozenset[str]) -> bool:
    """Whether an output is in one of some folders with rules. Any other folder may be what is judged, as in `mypy src`."""
    return not folders.isdisjoint(str(folder) for folder in PurePosixPath(output).parents)


def _shadows_library(table: ProgramTable, output: str) -> bool:
    """Whether Python would import an output instead of a module of its own.

    That is so in the folders that it imports from. A module of a package, such as `src/shapes/types.py`, replaces none.
    """
    if not table.command or _PYTHON.fullmatch(PurePosixPath(table.command[0]).name) is None:
        return False
    scripts = (PurePosixPath(path) for text in table.command for path in read_paths(text))
    folders = {str(part) for path in scripts for part in (path, path.parent)}
    folders |= {*read_paths(table.env.get(IMPORT_PATH, "")), *_USUAL_IMPORT_FOLDERS}
    return any(_imported_name(output, folder) in sys.stdlib_module_names for folder in folders)


def _imported_name(output: str, folder: str) -> str:
    """Returns the name of the module or package that an output is part of, if a folder is imported from."""
    prefix = "" if folder in {"", "."} else f"{folder}/"
    return (
        output.removeprefix(prefix).partition("/")[0].removesuffix(".py") if output.startswith(prefix) else ""
    )
