"""The tools of the model: reading its base commit, writing its one file, finishing or giving a verdict. It has no shell.

A result is text, and may be an error that the model can correct. That a file or folder does not exist is an answer and not
an error. A wrong call never raises.
"""

import posixpath
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from gitbatch.agents.anthropic.api_key import ApiKey
from gitbatch.agents.anthropic.output import LARGEST, OutputFile
from gitbatch.agents.anthropic.schemas import FINISH, FOUND, GIVE_VERDICT, LISTED, PAGE_LINES
from gitbatch.agents.protocol import EarlierOutput, Reply
from gitbatch.agents.reply import SENTENCES, first_sentences, is_short, make_reply
from gitbatch.agents.review.answer import read_review_object
from gitbatch.agents.review.model import InvalidReview, ReviewFinding, ReviewRequest
from gitbatch.errors import GitError
from gitbatch.fs.disk import is_of_disk
from gitbatch.paths import quote_path, unquote_path
from gitbatch.repo.base import Base
from gitbatch.text import LIMIT, clean_text, format_count

_READABLE = 4 * 1024 * 1024
"""The largest file that is read, in bytes."""
_PAGE_CHARACTERS, _LINE = 60_000, 300
_SUMMARIES = 3
"""How often the model is asked for a summary. The last one is used, and flagged: the output is paid for."""
_SEARCHED = 1_000
"""Characters of a text to search for."""


class ToolResult(Struct, frozen=True):
    """The result of a tool call. With a `reply`, the attempt has ended."""

    text: str
    is_error: bool = False
    note: str = ""
    """A line to show; the first line of the text if empty."""
    reply: Reply | None = None


def _error_result(text: str) -> ToolResult:
    return ToolResult(text, is_error=True)


@dataclass(slots=True)
class ToolContext:
    """The state that the tools of one attempt share."""

    base: Base
    output: OutputFile
    key: ApiKey
    earlier: EarlierOutput | None = None
    """The output of an earlier attempt, which is in place at the start."""
    has_written: bool = False
    summaries: int = 0
    """How often the model has given a summary."""
    review: ReviewRequest | None = None
    """The model reviews: it has other tools, and none that writes."""

    @property
    def has_output(self) -> bool:
        """Whether this attempt or an earlier one has written the output."""
        return self.has_written or self.earlier is not None


_Number = Annotated[int, Meta(ge=0, le=1_000_000_000)]


class _Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of one tool."""

    async def run_tool(self, context: ToolContext) -> ToolResult:
        """Runs the tool."""
        raise NotImplementedError  # pragma: no cover


class ReadFile(_Tool, frozen=True):
    """Returns a page of a file; the path of the output gives its present content."""

    path: str
    from_line: _Number = 1
    lines: _Number = PAGE_LINES

    async def run_tool(self, context: ToolContext) -> ToolResult:
        """Runs the tool."""
        path = _commit_path(self.path)
        if path == context.output.path and context.has_output:
            content = context.output.read()
        else:
            file = await context.base.file(path, _READABLE)
            if file and file.content is None:
                return _error_result(
                    f"{path} has {file.size} bytes, more than can be read ({_READABLE}); use search"
                )
            content = file.content if file else None
        if content is None:
            return ToolResult(f"no such file: {path}; list_files shows all paths")
        if b"\0" in content[:8192]:
            return _error_result(f"{path} is a binary file ({len(content)} bytes)")
        return _render_page(
            path, content.decode(errors="replace"), max(1, self.from_line), max(1, self.lines)
        )


def _render_page(path: str, text: str, first: int, most: int) -> ToolResult:
    """Returns some lines of a text, as many as fit."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    shown: list[str] = []
    left = _PAGE_CHARACTERS
    for line in lines[first - 1 : first - 1 + min(most, PAGE_LINES)]:
        if len(line) > left and shown:
            break
        shown.append(line[:left])
        left -= len(shown[-1]) + 1
    if not shown:
        return ToolResult(f"{path} has {len(lines)} lines; from_line={first} is behind the last")
    last = first - 1 + len(shown)
    head = f"{path}: lines {first} to {last} of {len(lines)}"
    more = f"; continue with from_line={last + 1}" if last < len(lines) else ""
    return ToolResult(f"{head}{more}\n" + "\n".join(shown), note=head)


class ListFiles(_Tool, frozen=True):
    """Lists the paths below a folder."""

    folder: str = ""
    skip: _Number = 0

    async def run_tool(self, context: ToolContext) -> ToolResult:
        """Runs the tool."""
        folder, skip = _commit_path(self.folder), self.skip
        found = await context.base.paths(folder, skip, LISTED + 1)
        if not found:
            return ToolResult(f"there are no {'more ' * bool(skip)}files below {folder or 'the top'}")
        more = f"\nthere are more: continue with skip={skip + LISTED}" if len(found) > LISTED else ""
        paths = found[:LISTED]
        return ToolResult(
            "\n".join(map(quote_path, paths)) + more, note=f"{folder or 'the top'}: {len(paths)} paths"
        )


class Search(_Tool, frozen=True):
    """Finds the lines that have a text."""

    text: str
    folder: str = ""
    regex: bool = False
    ignore_case: bool = False

    async def run_tool(self, context: ToolContext) -> ToolResult:
        """Runs the tool."""
        if not self.text or "\n" in self.text or "\0" in self.text:
            return _error_result("give one line of text to search for")
        if len(self.text) > _SEARCHED:
            return _error_result(
                f"the text to search for is too long: give {_SEARCHED} characters at the most"
            )
        folder = _commit_path(self.folder)
        try:
            hits = await context.base.search(
                self.text, folder, regex=self.regex, ignore_case=self.ignore_case
            )
        except (GitError, ValueError):  # ValueError: invalid as an argument of a process
            return _error_result(
                "cannot search: invalid regular expression, unknown folder, or too much memory needed"
            )
        lines = [f"{quote_path(hit.path)}:{hit.line}: {hit.text[:_LINE]}" for hit in hits.found[:FOUND]]
        complete = hits.complete and len(hits.found) <= FOUND
        said = f"{len(lines)} lines" + (
            "" if complete else "; there are more, or it took too long or too much memory: narrow it"
        )
        return ToolResult("\n".join((said, *lines)), note=f"{self.text}: {said}")


class WriteOutput(_Tool, frozen=True):
    """Writes the output, or appends to it."""

    content: str
    append: bool = False

    async def run_tool(self, context: ToolContext) -> ToolResult:
        """Runs the tool."""
        before = (context.output.read() or b"") if self.append and context.has_output else b""
        return _write_output(context, before + _encode_text(self.content))


class EditOutput(_Tool, frozen=True):
    """Changes the output."""

    old: str
    new: str
    everywhere: bool = False

    async def run_tool(self, context: ToolContext) -> ToolResult:
        """Runs the tool."""
        content, old, new = context.output.read(), _encode_text(self.old), _encode_text(self.new)
        if content is None:
            return _error_result(f"{context.output.path} is not there yet: use write_output")
        count = content.count(old) if old else 0
        if count == 0:
            return _error_result("the old text is not in the file: it must be there, word for word")
        if count > 1 and not self.everywhere:
            return _error_result(f"the old text is there {count} times: give more of it, or everywhere=true")
        if len(content) + count * (len(new) - len(old)) > LARGEST:
            return _error_result(f"the file would be larger than {LARGEST} bytes")
        return _write_output(context, content.replace(old, new))


def _write_output(context: ToolContext, content: bytes) -> ToolResult:
    if len(content) > LARGEST:
        return _error_result(f"that is more than {LARGEST} bytes")
    if context.key.is_in(content):
        return _error_result(
            "the text contains the API key of this session, which must not be in a file: leave it out"
        )
    try:
        context.output.write(content)
    except OSError as error:
        if is_of_disk(error):  # the model cannot help it
            raise
        return _error_result(f"cannot write {context.output.path}: {error.strerror}")
    context.has_written = True
    return ToolResult(f"{context.output.path} has {len(content)} bytes now")


class _EditLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    artifact: str
    text: str


class Finish(_Tool, frozen=True):
    """Ends the attempt with a summary (rule S3)."""

    summary: str
    decisions: tuple[str, ...] = ()
    contributions: tuple[_EditLine, ...] = ()

    async def run_tool(self, context: ToolContext) -> ToolResult:
        """Runs the tool."""
        if not context.has_written and not (context.earlier and context.earlier.may_stay):
            how = "as it was: change it" if context.earlier else "not written yet: use write_output"
            return _error_result(f"{context.output.path} is {how}, then finish")
        remove_key = context.key.remove_from
        summary = clean_text(remove_key(self.summary), 10_000)
        context.summaries += 1
        problem = _find_summary_problem(summary)
        if problem and context.summaries < _SUMMARIES:
            return _error_result(problem)
        reply = make_reply(
            summary,
            tuple(map(remove_key, self.decisions)),
            tuple((remove_key(line.artifact), remove_key(line.text)) for line in self.contributions),
        )
        return ToolResult("done", reply=reply)


def _find_summary_problem(summary: str) -> str:
    """Returns why a summary has to be given again; empty if it is right."""
    if first_sentences(summary, SENTENCES) != summary or is_short(summary):
        return "the summary must have 2 or 3 sentences; it does not. Finish again with one that has"
    if len(summary) > LIMIT:
        return f"the summary has more than {LIMIT} characters. Finish again with a shorter one"
    return ""


class GiveVerdict(_Tool, frozen=True):
    """Ends a review with its verdict."""

    verdict: str
    findings: tuple[dict[str, Any], ...] = ()

    async def run_tool(self, context: ToolContext) -> ToolResult:
        """Runs the tool."""
        assert context.review  # noqa: S101 - the tool is known to reviews only
        written = {"verdict": self.verdict, "findings": list(self.findings)}
        review = read_review_object(written, context.review)
        if isinstance(review, InvalidReview):
            return _error_result(f"not accepted: {review.reason}. Give your verdict again")
        findings = tuple(_remove_key(finding, context.key) for finding in review.findings)
        reply = Reply(clean_text(""), review=replace(review, findings=findings))
        return ToolResult(f"{self.verdict}: {format_count(len(findings), 'finding')}", reply=reply)


def _remove_key(finding: ReviewFinding, key: ApiKey) -> ReviewFinding:
    return replace(finding, text=clean_text(key.remove_from(finding.text)))


_READING: dict[str, type[_Tool]] = {"read_file": ReadFile, "list_files": ListFiles, "search": Search}
_WRITING: dict[str, type[_Tool]] = {"write_output": WriteOutput, "edit_output": EditOutput, FINISH: Finish}
_TOOLS: dict[str, type[_Tool]] = {**_READING, **_WRITING}
_REVIEW_TOOLS: dict[str, type[_Tool]] = {**_READING, GIVE_VERDICT: GiveVerdict}


async def use_tool(context: ToolContext, name: str, arguments: object) -> ToolResult:
    """Runs a tool call of the model."""
    tools = _REVIEW_TOOLS if context.review else _TOOLS
    kind = tools.get(name)
    if kind is None:
        return _error_result(f"unknown tool {name}; the tools are: {', '.join(tools)}")
    try:
        return await msgspec.convert(arguments, kind).run_tool(context)
    except msgspec.ValidationError as error:
        return _error_result(f"invalid arguments: {error}")
    except (ValueError, OverflowError) as error:  # valid by the schema, invalid for files or processes
        return _error_result(f"invalid arguments: {error}")
    except GitError as error:
        return _error_result(error.message)
    except OSError as error:
        if is_of_disk(error):
            raise
        return _error_result(f"{context.output.path}: {error.strerror or error}")


def _commit_path(path: str) -> str:
    """Returns a path as it is in a commit; one that leads out of it is not the path of any file."""
    clean = posixpath.normpath(unquote_path(path.strip()).lstrip("/") or ".")
    return "" if clean == "." else clean


def _encode_text(text: str) -> bytes:
    return text.encode(errors="replace")
