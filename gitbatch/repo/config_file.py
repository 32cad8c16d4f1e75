"""The text of git configuration files: of those that gitbatch makes itself, and what a file certainly does not have."""

import os
from collections.abc import Iterable
from pathlib import Path

Pair = tuple[str, str | None]
"""A setting: its full name and its value; None where it has none, which means true."""


def render_config(settings: Iterable[Pair]) -> bytes:
    """Returns the text of a git configuration file (git-config(1), "Syntax")."""
    lines = []
    for key, value in settings:
        section, _, rest = key.partition(".")
        subsection, separator, name = rest.rpartition(".")
        head = f'[{section} "{_escape(subsection)}"]' if separator else f"[{section}]"
        lines.append(f"{head}\n\t{name}" + ("" if value is None else f' = "{_escape(value)}"') + "\n")
    return os.fsencode("".join(lines))


def format_settings(id_bytes: int) -> tuple[Pair, ...]:
    """Returns the settings of a repository's object format; `id_bytes`: the length of a raw object id."""
    if id_bytes == 32:
        return (("core.repositoryformatversion", "1"), ("extensions.objectformat", "sha256"))
    return (("core.repositoryformatversion", "0"),)


def may_have(files: Iterable[Path], words: tuple[bytes, ...], usual: bytes = b"") -> bool:
    """Returns false if no file has a setting with one of some words in its name: then git need not be asked.

    A name stands in the file as it is, in any case (git-config(1), "Syntax"). A file that cannot be read may have any.

    Args:
        files: configuration files; one that does not exist has no settings.
        words: in small letters.
        usual: a line that git writes into every new file, and that does not count.
    """
    for file in files:
        try:
            text = file.read_bytes().replace(usual, b"") if usual else file.read_bytes()
        except FileNotFoundError:
            continue
        except OSError:
            return True
        if any(word in text.lower() for word in words):
            return True
    return False


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
