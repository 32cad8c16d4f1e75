"""Why a program cannot be started, in the same words whatever starts it: a shell, the launcher or bubblewrap."""

import os
import posixpath
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from gitbatch.patterns import compile_later

_OF_SHELL = compile_later(r"(?:line )?[0-9]+: (?:exec: )?(?P<program>.+?): (?P<why>[^:]+)")
"""A message of a shell: it begins with the line of our script."""
_OF_BUBBLEWRAP = compile_later(r"bwrap: execvp (?P<program>.+): (?P<why>[^:]+)")
_MISSING = {"not found", "No such file or directory", "bad interpreter"}
_MAGIC = (b"#!", b"\x7fELF")
_OTHER_FORMATS = Path("/proc/sys/fs/binfmt_misc")


def describe_start_problem(said: str) -> str:
    """Returns why a program cannot be started.

    Args:
        said: the message of what starts it, for a program that was found before.
    """
    by_bubblewrap = _OF_BUBBLEWRAP.fullmatch(said)
    found = by_bubblewrap or _OF_SHELL.fullmatch(said)
    if found is None:
        return f"the sandbox: {said}" if said.startswith("bwrap: ") else said
    program = found["program"].partition(": ")[0]
    if found["why"] not in _MISSING:
        return f"{program}: {found['why']}"
    where = "it or the interpreter" if by_bubblewrap else "the interpreter"
    return f"{program}: {where} in its first line (#!) cannot be found"


def find_format_problem(program: str, environment: Mapping[str, str], layers: tuple[Path, ...]) -> str:
    """Returns why the kernel cannot execute a file; empty if it can, or if that is unknown.

    Bubblewrap (by `execvp`) and a shell run such a file as a script, which then fails in ways of its own.

    Args:
        program: as the command line has it.
        environment: the program's.
        layers: the folders with the files of the worktree, the uppermost first.
    """
    path = environment.get("PATH", os.defpath)
    if "/" in program and not program.startswith("/"):  # a file of the worktree: each item has its own
        found = (str(folder / program) for folder in layers if (folder / program).is_file())
        is_unknown = _has_unknown_format(next(found, program), path)
    else:
        is_unknown = _has_unknown_format_cached(program, path)
    return f"{program}: Exec format error" if is_unknown else ""


def _has_unknown_format(program: str, path: str) -> bool:
    """Returns whether the kernel knows no way to execute a file."""
    found = shutil.which(program, path=path)
    if found is None or _has_other_formats():
        return False
    try:
        with Path(found).open("rb") as file:
            return not file.read(4).startswith(_MAGIC)
    except OSError:
        return False


_has_unknown_format_cached = cache(_has_unknown_format)
"""A batch starts one program many times."""


def can_find_program(program: str, environment: Mapping[str, str], has_file: Callable[[str], bool]) -> bool:
    """Returns whether a program exists where it will be looked for; a name with a placeholder is not judged.

    Args:
        program: as the command line has it; a relative path begins in the worktree.
        environment: the program's.
        has_file: whether the worktree will have a file at a repository path.
    """
    path = environment.get("PATH", os.defpath)
    is_relative = "/" in program and not program.startswith("/")
    if "{" in program or (not is_relative and shutil.which(program, path=path)):
        return True
    if program.startswith("/"):
        return False
    folders = ("",) if "/" in program else (part for part in path.split(":") if not part.startswith("/"))
    inside = (posixpath.normpath(f"{folder}/{program}".lstrip("/")) for folder in folders)
    return any(found.startswith("../") or has_file(found) for found in inside)


@cache
def _has_other_formats() -> bool:
    """Returns whether the kernel may execute more than its own formats."""
    try:
        return any(entry.name not in {"register", "status"} for entry in _OTHER_FORMATS.iterdir())
    except OSError:  # the system has none
        return False
