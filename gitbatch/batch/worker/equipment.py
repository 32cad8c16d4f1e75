"""The equipment of a machine for the known agents: their programs, and the variables for their keys. No value leaves it."""

import shutil
from collections.abc import Mapping
from typing import NamedTuple

from gitbatch.agents.survey.known_programs import KNOWN_PROGRAMS


class Equipment(NamedTuple):
    """What a machine has for the known agents."""

    programs: tuple[str, ...]
    """Those that are found on PATH."""
    keys: tuple[str, ...]
    """The names of the variables for keys that are set."""


def list_equipment(environment: Mapping[str, str]) -> Equipment:
    """Returns what there is for the known agents."""
    path = environment.get("PATH", "")
    programs = tuple(name for name in KNOWN_PROGRAMS if shutil.which(name, path=path))
    names = dict.fromkeys(name for known in KNOWN_PROGRAMS.values() for name in known.keys)
    return Equipment(programs, tuple(name for name in names if environment.get(name, "").strip()))
