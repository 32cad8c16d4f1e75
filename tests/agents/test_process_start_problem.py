"""Why a program cannot be started: the same words whatever was to start it."""

from pathlib import Path

import pytest

from gitbatch.agents.process.start_problem import (
    can_find_program,
    describe_start_problem,
    find_format_problem,
)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("12: exec: /x/run: not found", "/x/run: the interpreter in its first line (#!) cannot be found"),
        ("12: exec: /x/run: Permission denied", "/x/run: Permission denied"),
        ("12: exec: /x/run: Exec format error", "/x/run: Exec format error"),
        (
            "line 12: /x/run: /no/sh: bad interpreter: No such file or directory",
            "/x/run: the interpreter in its first line (#!) cannot be found",
        ),
        (
            "bwrap: execvp /x/run: No such file or directory",
            "/x/run: it or the interpreter in its first line (#!) cannot be found",
        ),
        ("bwrap: execvp /x/run: Permission denied", "/x/run: Permission denied"),
        ("bwrap: No permissions to create a new namespace", "the sandbox: bwrap: No permissions to create a new namespace"),
        ("/x/run: No such file or directory", "/x/run: No such file or directory"),
    ],
)  # fmt: skip
def test_messages_of_what_starts_programs(said: str, expected: str) -> None:
    assert describe_start_problem(said) == expected


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"#!/bin/sh\n", ""),
        (b"\x7fELF\x02", ""),
        (b"ELFgarbage", "program: Exec format error"),
        (b"", "program: Exec format error"),
    ],
)
def test_what_the_kernel_cannot_execute(tmp_path: Path, content: bytes, problem: str) -> None:
    program = tmp_path / "program"
    program.write_bytes(content)
    program.chmod(0o755)
    assert find_format_problem("program", {"PATH": str(tmp_path)}, ()) == problem
    assert find_format_problem("./program", {}, (tmp_path / "none", tmp_path)) == problem.replace(
        "program", "./program"
    )


def test_a_program_that_is_not_there_has_no_format(tmp_path: Path) -> None:
    assert find_format_problem("program", {"PATH": str(tmp_path)}, (tmp_path,)) == ""


@pytest.mark.parametrize(
    ("program", "path", "found"),
    [
        ("tool", "{bin}", True),
        ("tool", "/nowhere:{bin}", True),
        ("tool", "/nowhere", False),
        ("{bin}/tool", "", True),
        ("{bin}/plain", "", False),
        ("{bin}/none", "", False),
        ("./tools/own.sh", "", True),
        ("tools/../tools/own.sh", "", True),
        ("tools/none.sh", "{bin}", False),
        ("../outside.sh", "", True),
        ("own.sh", "/nowhere:tools", True),
        ("own.sh", "/nowhere:other", False),
        ("{output}", "", True),
    ],
)
def test_program_is_looked_for_where_it_starts(tmp_path: Path, program: str, path: str, found: bool) -> None:  # noqa: FBT001 - what is expected
    for name, mode in (("tool", 0o755), ("plain", 0o644)):
        (tmp_path / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (tmp_path / name).chmod(mode)
    program, path = (text.replace("{bin}", str(tmp_path)) for text in (program, path))
    assert can_find_program(program, {"PATH": path}, {"tools/own.sh"}.__contains__) is found
