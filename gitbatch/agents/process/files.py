"""The files that gitbatch and a program exchange, in the scratch folder."""

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.process.watch import OutputWatch
from gitbatch.agents.protocol import AgentFolders, Assignment, Failure, Reply
from gitbatch.agents.reply import (
    REPLY_BYTES,
    PartialReply,
    last_paragraph,
    make_reply,
    parse_partial_reply,
    parse_reply,
    parse_review,
    reply_with_review,
)
from gitbatch.agents.review.model import InvalidReview, ReviewRequest
from gitbatch.agents.secrets import Secrets
from gitbatch.fs.disk import is_of_disk
from gitbatch.fs.nofollow import describe_open_error, read_small
from gitbatch.fs.removal import remove_tree
from gitbatch.project.manifest import list_paths
from gitbatch.text import clean_text


class ExchangeFiles(Struct, frozen=True):
    """The paths of the files."""

    prompt: Path
    context: Path
    progress: Path
    reply: Path

    @classmethod
    def prepare(cls, assignment: Assignment, folders: AgentFolders) -> "ExchangeFiles":
        """Writes the files that the program reads, in an empty scratch folder."""
        scratch = folders.scratch
        # A file of an earlier attempt could be a link, or be taken for the reply of this one.
        remove_tree(scratch)
        scratch.mkdir(parents=True)
        files = cls(scratch / "prompt.md", scratch / "context", scratch / "progress", scratch / "reply.json")
        files.prompt.write_text(assignment.prompt, encoding="utf-8")
        files.context.write_text(list_paths(assignment.context), encoding="utf-8")
        files.progress.write_text("", encoding="utf-8")
        return files

    def read_partial_reply(self, secrets: Secrets) -> PartialReply:
        """Returns the usage and the time to wait in the reply file of a program that failed, as far as it is valid."""
        try:
            written = read_small(self.reply.parent, self.reply.name, REPLY_BYTES)
            return parse_partial_reply(secrets.mask_bytes(written))
        except OSError:
            return PartialReply()

    def read_reply(
        self, watch: OutputWatch, secrets: Secrets, review: ReviewRequest | None = None
    ) -> Reply | Failure:
        """Returns the reply of a program that succeeded; without a reply file, its last paragraph is the summary.

        What it prints is never a verdict.
        """
        written = self.read_written_reply(watch, secrets, review)
        if written is None and review:
            return reply_with_review(InvalidReview(clean_text("it wrote none to the file GITBATCH_REPLY")))
        return make_reply(last_paragraph(watch.last_output())) if written is None else written

    def read_written_reply(
        self, watch: OutputWatch, secrets: Secrets, review: ReviewRequest | None = None
    ) -> Reply | Failure | None:
        """Returns the reply in the reply file; None if that does not exist."""
        try:
            written = read_small(self.reply.parent, self.reply.name, REPLY_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            if is_of_disk(error):
                raise
            return Failure(clean_text(f"cannot read the reply: {describe_open_error(error)}"))
        if len(written) > REPLY_BYTES:
            return Failure(clean_text(f"the reply is larger than {REPLY_BYTES} bytes"))
        masked = secrets.mask_bytes(written)
        answer = parse_review(masked, review) if review else parse_reply(masked)
        return replace(answer, details=watch.last_lines()) if isinstance(answer, Failure) else answer
