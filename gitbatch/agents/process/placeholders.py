"""The placeholders in the settings of an agent that is a process: `{output}` and others, filled for each attempt."""

import re

from gitbatch.agents.process.files import ExchangeFiles
from gitbatch.agents.protocol import Assignment, LocalPlace

_PLACEHOLDER = re.compile(r"\{(?:output|item|prompt_file|worktree|scratch)\}")


def fill_placeholders(text: str, assignment: Assignment, place: LocalPlace, files: ExchangeFiles) -> str:
    """Returns an argument, or the value of a variable, with the values of an attempt in it; other braces stay.

    Args:
        text: as it is configured.
        assignment: has the output and the item.
        place: has the folders.
        files: have the path of the prompt.
    """
    values = {
        "{output}": assignment.output,
        "{item}": assignment.item,
        "{prompt_file}": str(files.prompt),
        "{worktree}": str(place.worktree),
        "{scratch}": str(place.scratch),
    }
    return _PLACEHOLDER.sub(lambda match: values[match[0]], text)
