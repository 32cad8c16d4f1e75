"""The placeholders in the settings of an agent that is a process: `{output}` and others, filled for each attempt."""

import json

from gitbatch.agents.json_text import parse_json
from gitbatch.agents.process.files import ExchangeFiles
from gitbatch.agents.protocol import AgentFolders, Assignment
from gitbatch.patterns import compile_later

_PLACEHOLDER = compile_later(r"\{(?:output|item|prompt_file|worktree|scratch)\}")


def fill_placeholders(text: str, assignment: Assignment, folders: AgentFolders, files: ExchangeFiles) -> str:
    """Returns an argument, or the value of a variable, with the values of an attempt in it; other braces stay.

    In JSON, values are written as JSON writes them: a quotation mark in the name of an output must not end its string.

    Args:
        text: as it is configured.
        assignment: has the output and the item.
        folders: those of its attempt.
        files: have the path of the prompt.
    """
    values = {
        "{output}": assignment.output,
        "{item}": assignment.item,
        "{prompt_file}": str(files.prompt),
        "{worktree}": str(folders.worktree),
        "{scratch}": str(folders.scratch),
    }
    if parse_json(text) is not None:
        values = {name: json.dumps(value, ensure_ascii=False)[1:-1] for name, value in values.items()}
    return _PLACEHOLDER.sub(lambda match: values[match[0]], text)
