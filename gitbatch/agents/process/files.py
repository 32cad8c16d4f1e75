"""The files that gitbatch and a program hand each other, in the scratch folder."""

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.process.watch import Watch
from gitbatch.agents.protocol import Assignment, Failure, LocalPlace, Reply
from gitbatch.agents.reply import (
    REPLY_BYTES,
    LastWords,
    last_paragraph,
    make_reply,
    parse_last_words,
    parse_reply,
)
from gitbatch.agents.secrets import Secrets
from gitbatch.fs.disk import is_of_disk
from gitbatch.fs.nofollow import read_small
from gitbatch.fs.removal import remove_tree
from gitbatch.paths import quote_path
from gitbatch.text import clean_text


class _Files(Struct, frozen=True):
    """The files that the agent and we hand each other, in the scratch folder."""

    prompt: Path
    context: Path
    progress: Path
    reply: Path

    @classmethod
    def prepare(cls, assignment: Assignment, place: LocalPlace) -> "_Files":
        scratch = place.scratch
        # What an earlier attempt has left there could be a link, or be taken for the reply of this one.
        remove_tree(scratch)
        scratch.mkdir(parents=True)
        files = cls(scratch / "prompt.md", scratch / "context", scratch / "progress", scratch / "reply.json")
        files.prompt.write_text(assignment.prompt, encoding="utf-8")
        listed = "".join(f"{quote_path(file.path)}\n" for file in assignment.context)
        files.context.write_text(listed, encoding="utf-8")
        files.progress.write_text("", encoding="utf-8")
        return files


def _last_words(files: _Files, secrets: Secrets) -> LastWords:
    """What a program that failed says of itself in its reply file, if it can be read."""
    try:
        written = read_small(files.reply.parent, files.reply.name, REPLY_BYTES)
        return parse_last_words(secrets.mask_bytes(written))
    except OSError:
        return LastWords()


def _reply(files: _Files, watch: Watch, secrets: Secrets) -> Reply | Failure:
    try:
        written = read_small(files.reply.parent, files.reply.name, REPLY_BYTES + 1)
    except FileNotFoundError:
        return make_reply(last_paragraph(watch.last_output()))
    except OSError as error:
        if is_of_disk(error):
            raise
        return Failure(clean_text(f"the reply can't be read: {error}"))
    if len(written) > REPLY_BYTES:
        return Failure(clean_text(f"the reply is larger than {REPLY_BYTES} bytes"))
    answer = parse_reply(secrets.mask_bytes(written))
    return replace(answer, details=watch.last_lines()) if isinstance(answer, Failure) else answer
