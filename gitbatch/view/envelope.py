"""What `--json` prints for every verb: an object with the version, whether the command succeeded, and the error.

`ok` is true if the exit code is 0, and `error` is null then. The other fields are the verb's own (`outputs/`, the plan in
`overview.py`, the batch in `batch_state.py`); a command that failed before it had any of them prints the envelope alone. `run`
and `demo` print events, one a line, and the envelope last: it is the line that has no `event`.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gitbatch.batch.events import SCHEMA
from gitbatch.errors import ErrorKind, FilePlace, GitbatchError
from gitbatch.text import clean_text

_LONGEST = 2000
"""Characters of a message: names in it may come from a repository."""


class ErrorPlace(Struct, frozen=True):
    """The place of an error in a file."""

    path: str
    line: int | None = None
    """From 1; null: the error concerns the whole file."""
    column: int | None = None
    """From 1, in characters; null: the error concerns the whole line."""


class ErrorReport(Struct, frozen=True):
    """Why a command did not succeed."""

    code: ErrorKind
    message: str
    """One line."""
    advice: str = ""
    """What to do next; may have several lines."""
    place: ErrorPlace | None = None


class Envelope(Struct, frozen=True, kw_only=True):
    """The fields that the output of every verb has."""

    schema: int = SCHEMA
    """The version of the format. It is raised when a reader of the old format would misread the new one."""
    ok: bool = True
    """Whether the command succeeded: its exit code is 0."""
    error: ErrorReport | None = None
    """Why it did not; null if it did."""


class ErrorOutput(Struct, frozen=True, kw_only=True):
    """The output of a command that failed before it had anything of its own to print."""

    schema: int = SCHEMA
    ok: Annotated[bool, Meta(extra_json_schema={"const": False})] = False
    error: ErrorReport


def make_report(
    code: ErrorKind, message: str, advice: str = "", place: FilePlace | None = None
) -> ErrorReport:
    """Returns an error for programs; its message is one clean line."""
    shown = ErrorPlace(place.path, place.line or None, place.column or None) if place else None
    return ErrorReport(code, clean_text(message, _LONGEST), advice, shown)


def describe_error(error: GitbatchError) -> ErrorOutput:
    """Returns the output of a command that ended with an error."""
    return ErrorOutput(error=make_report(error.kind, error.message, error.advice, error.place))


def encode_output(output: Envelope | ErrorOutput) -> str:
    """Returns an output as one line of JSON, with an item's commit as its id."""
    return msgspec.json.encode(output, enc_hook=str).decode()
