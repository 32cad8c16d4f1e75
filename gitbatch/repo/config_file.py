"""The text of a git configuration file, for the git directories that gitbatch makes itself."""

import os
from collections.abc import Iterable

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


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
