"""The tools as the model is told about them; `tools.py` has what they do."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anthropic.types import ToolParam

PAGE_LINES, LISTED, FOUND = 2_000, 500, 200
"""The most lines of a file, paths, and lines that are found, in one answer."""


def _schema(required: tuple[str, ...], **properties: dict[str, Any]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _number(description: str) -> dict[str, Any]:
    return {"type": "integer", "description": description}


def _switch(description: str) -> dict[str, Any]:
    return {"type": "boolean", "description": description}


TOOLS: tuple["ToolParam", ...] = (
    {
        "name": "read_file",
        "description": "Read a text file of the repository, as it was when the work began. "
        f"At most {PAGE_LINES} lines at a time.",
        "input_schema": _schema(
            ("path",),
            path=_text("from the top of the repository"),
            from_line=_number("the first line, from 1"),
            lines=_number("how many"),
        ),
    },
    {
        "name": "list_files",
        "description": f"List the paths of all files below a folder, {LISTED} at a time.",
        "input_schema": _schema(
            (),
            folder=_text("from the top of the repository; empty: everything"),
            skip=_number("how many paths to leave out, to go on"),
        ),
    },
    {
        "name": "search",
        "description": f"Find the lines of text files that have a text, at most {FOUND}.",
        "input_schema": _schema(
            ("text",),
            text=_text("one line; taken word for word, unless regex is true"),
            folder=_text("a folder or file to look in; empty: everything"),
            regex=_switch("the text is a POSIX extended regular expression"),
            ignore_case=_switch("capitals and small letters are the same"),
        ),
    },
    {
        "name": "write_output",
        "description": "Write your file, whole. A long one: first a part, then the others with append=true.",
        "input_schema": _schema(
            ("content",),
            content=_text("the text of the file"),
            append=_switch("add it to what you have written"),
        ),
    },
    {
        "name": "edit_output",
        "description": "Replace a text in your file.",
        "input_schema": _schema(
            ("old", "new"),
            old=_text("what is there now, word for word, and only once"),
            new=_text("what is to be there"),
            everywhere=_switch("replace it wherever it is"),
        ),
    },
    {
        "name": "finish",
        "description": "End your work, when your file is complete. Always the last thing that you do.",
        "input_schema": _schema(
            ("summary",),
            summary=_text("2 or 3 sentences: what you did and what a reviewer should know"),
            decisions={
                "type": "array",
                "items": {"type": "string"},
                "description": "decisions that others should know, one sentence each; usually none",
            },
            contributions={
                "type": "array",
                "items": _schema(
                    ("artifact", "text"),
                    artifact=_text("the name of a shared file that the rules tell you to contribute to"),
                    text=_text("one line for it"),
                ),
                "description": "lines for shared files; only where the rules ask for them",
            },
        ),
    },
)
"""As the model is told about them; the same for every item, so that they are part of what is cached."""
