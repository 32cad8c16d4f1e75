"""Replies and failures as tests expect them, in plain strings; and a base commit for tools to read."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from conftest import IDENTITY

from gitbatch.agents.protocol import Contribution, Failure, Reply, ReplyFlag
from gitbatch.concurrency import GitThread
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.repo.base import Base
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.process import Git
from gitbatch.repo.snapshot import TreeSnapshot
from gitbatch.text import CleanText


def a_reply(
    summary: str,
    decisions: tuple[str, ...] = (),
    contributions: tuple[tuple[str, str], ...] = (),
    usage: Usage = Usage(),
    flags: tuple[ReplyFlag, ...] | None = None,
) -> Reply:
    """A reply; without flags given, a summary of one sentence is flagged."""
    if flags is None:
        flags = (ReplyFlag.SUMMARY_SHORT,) if summary and ". " not in summary else ()
    given = tuple(Contribution(CleanText(artifact), CleanText(text)) for artifact, text in contributions)
    return Reply(CleanText(summary), tuple(map(CleanText, decisions)), given, usage, flags)


def a_failure(reason: str, details: tuple[str, ...] = (), cause: Cause = Cause.FAILED) -> Failure:
    return Failure(CleanText(reason), tuple(map(CleanText, details)), cause)


@contextmanager
def committed(root: Path, files: Mapping[str, bytes]) -> Iterator[Base]:
    """A base commit with these files, and with whatever is in the folder already."""
    git = Git(root, {name: value for name, value in IDENTITY.items() if "DATE" not in name})
    git.run("init", "--quiet", "--initial-branch=main")
    for path, content in files.items():
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(content)
    git.run("add", "--all")
    git.run("commit", "--quiet", "--message", "files")
    thread, objects = GitThread(), Objects(git, root / ".git/objects")
    commit = git.read_output("rev-parse", "HEAD")
    try:
        yield Base(commit, TreeSnapshot(objects, objects.read_commit(commit).tree), thread, git)
    finally:
        thread.close()
        objects.close()
