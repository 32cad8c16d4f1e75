"""Asks an agent for its verdict on an output, once: in a fresh folder with the base and that output, and nothing else.

The reviewer writes nothing: whatever it changes in the folder is a refusal, and its verdict does not count. What follows
an answer that is not a verdict is decided by the caller; it never passes anything.
"""

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.protocol import Agent, Assignment, Failure, Progress, Reply
from gitbatch.agents.reply import NO_VERDICT
from gitbatch.agents.review.model import ReviewDecision, ReviewRequest
from gitbatch.agents.review.prompt import (
    ReviewMaterial,
    describe_finding,
    render_review_prompt,
    render_review_subject,
)
from gitbatch.checks.tree import FreshTrees, TreeContent, open_tree
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.fs.tree_state import TreeState, find_changed_paths, read_tree_state
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.paths import quote_path
from gitbatch.patterns import compile_later
from gitbatch.plan.model import ItemKey
from gitbatch.repo.base import Base
from gitbatch.repo.snapshot import TreeSnapshot
from gitbatch.repo.worktrees.worktree import wait_for_ctime_tick
from gitbatch.text import CleanText, clean_text, format_count, list_names

_NAMED_LINE = compile_later(r"line ([0-9]+)\b")
LARGEST_OUTPUT = 256 * 1024
"""Bytes of an output that a reviewer is given. A larger one is not cut: it has no verdict."""


class ReviewSubject(Struct, frozen=True):
    """What a reviewer is asked, for all of its tries."""

    item: ItemKey
    material: ReviewMaterial
    content: TreeContent
    tree: str
    """The tree of the commit in `content`."""
    timeout: float
    """Seconds of one try."""
    attempt: int
    open_lines: tuple[int, ...] | None = None
    """The lines that a further review may name; None: all."""


async def ask_reviewer(
    trees: FreshTrees, agent: Agent, subject: ReviewSubject, nonce: str, used: Usage, progress: Progress
) -> Reply | Failure:
    """Returns the answer of a reviewer; a failure if it changed a file. Cancelling the call ends its processes.

    Args:
        trees: the supply of folders.
        agent: the reviewer.
        subject: what it judges.
        nonce: the code of this try, which nothing that it reads can know.
        used: what it has used in the tries before.
        progress: gets its lines.

    Raises:
        DiskError: the folder cannot be made.
        AttemptInterruptedError: it was cancelled.
    """
    assignment = make_review_assignment(subject, nonce, used)
    async with open_tree(trees, f"{subject.item}-review", subject.content) as folder:
        folders = folder.folders.show_to(agent.find_used_in(trees.checkouts))
        snapshot = TreeSnapshot(trees.repo.objects, subject.tree)
        base = Base(subject.content.commit, snapshot, trees.git, trees.repo.git)
        before = await trees.git(_read_first_state, folders.changed)
        answer = await agent.run(assignment, replace(folders, base=base), progress)
        changed = find_changed_paths(before, await trees.git(read_tree_state, folders.changed))
    if not changed:
        return _require_verdict(answer)
    names = list_names(tuple(map(quote_path, changed)))
    reason = clean_text(f"the reviewer changed {names}: a review changes nothing")
    details = answer.details if isinstance(answer, Failure) else ()
    return Failure(reason, details, Cause.REFUSED, usage=answer.usage)


def _require_verdict(answer: Reply | Failure) -> Reply | Failure:
    """Returns an answer; a failure instead of a reply without a verdict: its kind of agent does not know reviews."""
    if isinstance(answer, Failure) or answer.review is not None:
        return answer
    reason = clean_text(f"{NO_VERDICT}this kind of agent does not review")
    return Failure(reason, cause=Cause.UNREVIEWED, usage=answer.usage)


def make_review_assignment(subject: ReviewSubject, nonce: str, used: Usage) -> Assignment:
    """Returns the assignment of a reviewer."""
    material = subject.material
    criteria = tuple(number for number, _ in material.criteria)
    request = ReviewRequest(nonce, len(material.lines), criteria, subject.open_lines)
    return Assignment(
        item=subject.item,
        output=material.path,
        prompt=render_review_prompt(material, request),
        context=material.context,
        timeout=subject.timeout,
        attempt=subject.attempt,
        used=used,
        group=material.group,
        instructions=render_review_subject(material, request),
        review=request,
    )


def make_review_result(name: str, reply: Reply, material: ReviewMaterial, seconds: float) -> CheckResult:
    """Returns the result of a check by the verdict of its reviewer."""
    review = reply.review
    if review is not None and review.decision is ReviewDecision.ACCEPT:
        return CheckResult(name, CheckVerdict.PASS, seconds, usage=reply.usage)
    if review is None or not review.findings:  # as in `answer.py` and `ask_reviewer`
        return CheckResult(name, CheckVerdict.UNAVAILABLE, seconds, clean_text("it gave no verdict"))
    findings = tuple(describe_finding(finding, material) for finding in review.findings)
    count = len(findings) + review.more
    reason = clean_text(f"sent back with {format_count(count, 'finding')}: {findings[0]}")
    return CheckResult(name, CheckVerdict.RED, seconds, reason, findings, reply.usage)


def find_named_lines(findings: tuple[CleanText, ...]) -> tuple[int, ...]:
    """Returns the lines that findings name, as `describe_finding` writes them."""
    return tuple(int(found[1]) for found in map(_NAMED_LINE.match, findings) if found)


def find_material_problem(content: bytes) -> str:
    """Returns why an output cannot be reviewed, in words that follow its path; empty if it can."""
    if len(content) > LARGEST_OUTPUT:
        return f"has {len(content):,} bytes, more than the {LARGEST_OUTPUT:,} that a reviewer is given"
    return "is a binary file" if b"\0" in content else ""


def _read_first_state(worktree: Path) -> TreeState:
    wait_for_ctime_tick(worktree)
    return read_tree_state(worktree)
