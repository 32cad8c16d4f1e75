"""Asking programs for their version: all at the same time, in a folder of their own, with a time limit.

Each gets an environment that has PATH and little else, so that none finds a key, a login or a setting of the user.
"""

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from gitbatch.agents.survey.known_programs import KnownProgram
from gitbatch.patterns import compile_later
from gitbatch.text import clean_text

TIME_LIMIT = 8.0
"""Seconds: a program of Node takes up to three to start."""
_MOST_BYTES = 16 * 1024
_VERSION = compile_later(r"\d+\.\d+[\w.+-]*")


class VersionReport(Struct, frozen=True):
    """What a program says of its version."""

    version: str
    """Empty: it did not say."""
    problem: str = ""
    """Why it is not the expected program, or does not work."""


def ask_versions(
    programs: Mapping[Path, KnownProgram], path: str, seconds: float = TIME_LIMIT
) -> dict[Path, VersionReport]:
    """Starts each program with `--version`; returns what each says.

    Args:
        programs: the programs by the paths of their files.
        path: the PATH that they get.
        seconds: after which one that has not ended is killed.
    """
    with TemporaryDirectory(prefix="gitbatch-", ignore_cleanup_errors=True) as scratch:
        environment = {
            **dict.fromkeys(("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), scratch),
            "PATH": path,
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "NO_COLOR": "1",
            "DISABLE_AUTOUPDATER": "1",
        }

        async def ask_all() -> list[VersionReport]:
            asked = (_ask_program(file, known, environment, seconds) for file, known in programs.items())
            return await asyncio.gather(*asked)

        return dict(zip(programs, asyncio.run(ask_all()), strict=True))


async def _ask_program(
    file: Path, known: KnownProgram, environment: Mapping[str, str], seconds: float
) -> VersionReport:
    try:
        process = await asyncio.create_subprocess_exec(
            file,
            "--version",
            cwd=environment["HOME"],
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return VersionReport("", f"it cannot be started: {error.strerror}")
    output = bytearray()
    try:
        async with asyncio.timeout(seconds):
            while process.stdout and len(output) < _MOST_BYTES and (chunk := await process.stdout.read(4096)):
                output += chunk
            status = await process.wait() if len(output) < _MOST_BYTES else 0
    except TimeoutError:
        return VersionReport("", f"it did not say its version within {seconds:g} seconds")
    finally:
        with suppress(ProcessLookupError):  # its children too, and also if it has ended
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return read_version(output.decode(errors="replace"), status, known)


def read_version(said: str, status: int, known: KnownProgram) -> VersionReport:
    """Returns the version that the output of `--version` has."""
    lines = [clean_text(line) for line in said.splitlines() if line.strip()]
    with_number = next((found[0] for line in lines if (found := _VERSION.search(line))), "")
    last = lines[-1] if lines else "it printed nothing"
    if status:
        return VersionReport("", clean_text(f"it does not work (exit code {status}): {last}"))
    if known.version_mark and known.version_mark not in said:
        return VersionReport(with_number, clean_text(f"it is not {known.title}: its version is {last!r}"))
    return VersionReport(
        with_number, "" if with_number else clean_text(f"no version in what it says: {last}")
    )
