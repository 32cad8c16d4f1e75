"""The descriptions of the tools for the model; `tools.py` implements them."""

from typing import TYPE_CHECKING, Any

from gitbatch.agents.review.model import ReviewDecision

if TYPE_CHECKING:
    from anthropic.types import ToolParam

FINISH, GIVE_VERDICT = "finish", "give_verdict"
"""The tools that end a conversation."""
PAGE_LINES, LISTED, FOUND = 2_000, 500, 200
"""The most lines of a file, paths, and lines that are found, in one answer."""


def _object_schema(required: tuple[str, ...], **properties: dict[str, Any]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _string_field(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _integer_field(description: str) -> dict[str, Any]:
    return {"type": "integer", "description": description}


def _boolean_field(description: str) -> dict[str, Any]:
    return {"type": "boolean", "description": description}


TOOLS: tuple["ToolParam", ...] = (
    {
        "name": "read_file",
        "description": "Read a text file of the repository, as it was when the work began. "
        f"At most {PAGE_LINES} lines at a time.",
        "input_schema": _object_schema(
            ("path",),
            path=_string_field("from the top of the repository"),
            from_line=_integer_field("the first line, from 1"),
            lines=_integer_field("how many"),
        ),
    },
    {
        "name": "list_files",
        "description": f"List the paths of all files below a folder, {LISTED} at a time.",
        "input_schema": _object_schema(
            (),
            folder=_string_field("from the top of the repository; empty: everything"),
            skip=_integer_field("how many paths to skip, to continue a list"),
        ),
    },
    {
        "name": "search",
        "description": f"Find the lines of text files that have a text, at most {FOUND}.",
        "input_schema": _object_schema(
            ("text",),
            text=_string_field("one line; taken word for word, unless regex is true"),
            folder=_string_field("a folder or file to look in; empty: everything"),
            regex=_boolean_field("the text is a POSIX extended regular expression"),
            ignore_case=_boolean_field("capitals and small letters are the same"),
        ),
    },
    {
        "name": "write_output",
        "description": "Write your file, whole. A long one: first a part, then the others with append=true.",
        "input_schema": _object_schema(
            ("content",),
            content=_string_field("the text of the file"),
            append=_boolean_field("add it to what you have written"),
        ),
    },
    {
        "name": "edit_output",
        "description": "Replace a text in your file.",
        "input_schema": _object_schema(
            ("old", "new"),
            old=_string_field("the text to replace, word for word; it must occur exactly once"),
            new=_string_field("the new text"),
            everywhere=_boolean_field("replace every occurrence"),
        ),
    },
    {
        "name": FINISH,
        "description": "End your work, when your file is complete. Always the last thing that you do.",
        "input_schema": _object_schema(
            ("summary",),
            summary=_string_field("2 or 3 sentences: what you did and what a reviewer should know"),
            decisions={
                "type": "array",
                "items": {"type": "string"},
                "description": "decisions that others should know, one sentence each; usually none",
            },
            contributions={
                "type": "array",
                "items": _object_schema(
                    ("artifact", "text"),
                    artifact=_string_field(
                        "the name of a shared file that the rules tell you to contribute to"
                    ),
                    text=_string_field("one line for it"),
                ),
                "description": "lines for shared files; only where the rules ask for them",
            },
        ),
    },
)
"""The same for every item, so that they are part of the cached start of a prompt."""

REVIEW_TOOLS: tuple["ToolParam", ...] = (
    *TOOLS[:3],
    {
        "name": GIVE_VERDICT,
        "description": "Give your verdict on the file, once. Always the last thing that you do.",
        "input_schema": _object_schema(
            ("verdict", "findings"),
            verdict={"type": "string", "enum": [decision.value for decision in ReviewDecision]},
            findings={
                "type": "array",
                "items": _object_schema(
                    ("text",),
                    line=_integer_field("the number of the line that it is about"),
                    criterion=_integer_field("the number of the criterion that is not met"),
                    text=_string_field("what is wrong and what would be right, in a sentence or two"),
                ),
                "description": "what has to be changed, each with a line or a criterion; none if you accept",
            },
        ),
    },
)
"""The tools of a review: none of them writes."""
