"""Auditing a history without trust: could gitbatch have made it?

Only commits are read: no ref of a batch, no record, no log, no checkout. Commits of the given range that carry our
trailers, in any spelling, are judged; the user's own commits are not. Nothing is repaired.

The grammar of a valid history, as gitbatch writes it:

    history     = { user commit | group | review }   on the line of the branch, by first parents
    group       = { merge } checkpoint               nothing stands between them; all of one batch and group
    review      = its parent: a user commit, checkpoint or review of the line
    merge       = first parent: the merge below, or the branch as it was
                  other parents: 1 to 16 item commits of the group, in plan order; only the last may have fewer
    base merge  = a merge that an item stands on, and that is not on the line; its items may be of any group of the batch;
                  none of its items stands on another; its tree has the outputs of all that they stand on; for more than
                  16 items one base merge follows another
    item commit = its parent: a user commit or checkpoint of the line, or a base merge

Every commit has its trailers (`trailers.py`) in the last paragraph, spelled as we spell them, and well-formed trees:
each name once, in git's order. Beyond that:

- All commits of a batch have the same `Gitbatch-Format`, or 3 from the start on that lets items start early. A batch in which no commit has one is gitbatch 0.1's: its
  commits are counted and not judged. A later format than this version knows is a finding.
- An item commit changes one path, its output, to a regular file that is not empty nor larger than the limit; an open
  item of the plan, as its parent has it, names that path. What it says it read is what its parent has; `Gitbatch-Context-Outputs`
  is number and digest of the outputs of all groups before its own, as the plan and its parent have them. It is never on the line itself.
- A merge adds the outputs of its items and changes nothing else; each path is in its first parent as it is in the item's
  parent (the user has not changed it since). Each item commit is merged once on a line; a base merge may merge it too.
  An item commit outside of the range is judged too. What an item stands on is merged before its group's checkpoint.
- An item that started before the groups before its own were recorded (rule F2) says in `Gitbatch-Plan-Item` what its plan said
  about it. Its merge's plan says the same, and the branch has the files that it read, but for shared files, and those that
  its base had in addition to the branch: at the last checkpoint or review of its batch below the merge, or at a later commit.
- A checkpoint names its plan in `Gitbatch-Plan`, which all of a batch have alike, and in `Gitbatch-Succeeded` what its merges bring, in order, and changes shared files alone: boxes from
  open to ticked (an item's, if its merge brought what the checkpoint's tree has; all of those, unless the plan was edited
  meanwhile; a criterion's, when its items are done), our section of the status, with a row for each of its items (of more than
  100, if the format is 2, for the failed ones alone, and the number of the others), and
  the entries that its items gave for the log and the artifacts. A batch has each checkpoint and each group once on a
  line, in order; what has failed is in the plan, unless it was cancelled; items stand on the last checkpoint or later, but for early ones.
- A checkpoint with `Gitbatch-Revision` records items of a group again, which reviews below it have made run again; the
  revisions of a group are numbered from 1, after its own checkpoint.
- A review names the last checkpoint of its batch below it, and decides once about each of its items, which have a
  checkpoint and whose paths have the blobs that it names. It opens the boxes of what it sends back or takes back, and
  of the criteria that name it; it puts back the path of what it rejects or undoes to what it was before the item, unless
  the branch got another version since; it adds one line to the log. It changes nothing else.
- What the project of the base asks for, the commit says: an item's commit has a `Gitbatch-Check` for each of its checks, a
  checkpoint a `Gitbatch-Gate` for each gate of its group, on its own tree. Whether they did pass is judged by running them again.
- A rescue commit (`Gitbatch-Rescued`), which keeps the output of a failed attempt, is never part of a history.

Not judged are: commits of the user's own, of which a merge may bring an item's commit (a conflict that they resolved);
a range that ends at an item's commit, which is its branch; what a group is called and how its items are ordered, against
the plan, which the user may edit while a batch is unfinished (all commits of a batch call a group the same); authors; the
tables of messages, the criteria and the reasons of failures in the status; whether a filter applies to an output.

Each is judged by the project as its first parent has it, so that no commit changes the rules that it is judged by.
"""

from dataclasses import dataclass, field

from msgspec import Struct

from gitbatch.batch.history.trailers import Kind
from gitbatch.batch.history.verify.checkpoint import judge_checkpoint
from gitbatch.batch.history.verify.graph import History, Ours, read_history
from gitbatch.batch.history.verify.item import judge_item
from gitbatch.batch.history.verify.merge import judge_merge
from gitbatch.batch.history.verify.review import judge_review
from gitbatch.batch.history.verify.rules import Check, Complaints
from gitbatch.batch.history.verify.trees import Trees
from gitbatch.errors import GitbatchError, GitError, UsageError
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text


class AuditFinding(Struct, frozen=True):
    """A finding about a commit."""

    commit: str
    rule: str
    check: Check
    message: str


class Audit(Struct, frozen=True):
    """The result of an audit, the oldest commit first."""

    judged: int
    """The number of commits with our trailers that were judged."""
    unjudged: int
    """The number of commits of gitbatch 0.1, which are not judged."""
    findings: tuple[AuditFinding, ...]
    ends: tuple[str, ...]
    """The commits whose parents a shallow clone lacks: neither they nor older commits are judged."""


def audit_history(repo: Repository, revisions: str) -> Audit:
    """Judges the commits of a range (`A..B`), or all that can be reached from a revision.

    Raises:
        UsageError: the revisions name no commit.
        GitbatchError: the repository lacks objects that have to be read.
    """
    named = resolve_revisions(repo, revisions)
    tips = [oid for oid in named if not oid.startswith("^")]
    history = read_history(repo, tips)
    if not history.parents:
        raise UsageError(
            f"{clean_text(revisions)} names no commit here", "name a branch, a commit or a range A..B"
        )
    wanted = frozenset(history.parents if tips == named else repo.git.read_output("rev-list", *named).split())
    found = [oid for oid in history.ours if oid in wanted]
    judged = [oid for oid in found if not history.is_unversioned(oid)]
    auditor = _Auditor(history, Trees(repo.objects), wanted)
    try:
        findings = (
            *(_make_finding(oid, Check.HISTORY, _CUT) for oid in sorted(history.ends & wanted)),
            *(
                _make_finding(oid, check, message)
                for oid in judged
                for check, message in auditor.judge_commit(oid)
            ),
        )
    except GitError as error:
        advice = "if this is a partial clone (--filter), audit a full one"
        raise GitbatchError(f"cannot read the history: {error.stderr}", advice) from error
    return Audit(len(judged), len(found) - len(judged), findings, tuple(sorted(history.ends)))


def find_judged(repo: Repository, revisions: str) -> tuple[History, tuple[Ours, ...]]:
    """Returns the history of some revisions, and those of its commits in the range that gitbatch says it has made."""
    named = resolve_revisions(repo, revisions)
    tips = [oid for oid in named if not oid.startswith("^")]
    history = read_history(repo, tips)
    wanted = frozenset(history.parents if tips == named else repo.git.read_output("rev-list", *named).split())
    found = (ours for oid, ours in history.ours.items() if oid in wanted and oid not in history.ends)
    return history, tuple(ours for ours in found if not history.is_unversioned(ours.commit.oid))


def audit_reviews(repo: Repository, batch: str, base: str, tip: str) -> tuple[AuditFinding, ...]:
    """Judges the reviews of a batch between its base and a commit, and no other commits."""
    history = read_history(repo, [tip], base)
    reviews = frozenset(
        oid
        for oid, ours in history.ours.items()
        if ours.trailers.kind is Kind.REVIEW and ours.trailers.batch == batch
    )
    auditor = _Auditor(history, Trees(repo.objects), reviews)
    return tuple(
        _make_finding(oid, check, message)
        for oid in history.ours
        if oid in reviews
        for check, message in auditor.judge_commit(oid)
    )


_JUDGES = {
    Kind.ITEM: judge_item,
    Kind.MERGE: judge_merge,
    Kind.CHECKPOINT: judge_checkpoint,
    Kind.REVIEW: judge_review,
}
_CUT = "this clone ends here and older commits cannot be judged: fetch the whole history"


def _make_finding(oid: str, check: Check, message: str) -> AuditFinding:
    return AuditFinding(oid, check.rule, check, clean_text(message))


def resolve_revisions(repo: Repository, revisions: str) -> list[str]:
    """Returns the object ids of revisions; ids to exclude begin with `^`."""
    if revisions.startswith("-"):  # git would read an option
        return []
    return repo.git.run("rev-parse", "--revs-only", revisions, check=False).stdout.decode().split()


@dataclass(slots=True)
class _Auditor:
    """Judges commits one by one and remembers its findings for each."""

    history: History
    trees: Trees
    wanted: frozenset[str]
    _said: dict[str, tuple[tuple[Check, str], ...]] = field(default_factory=dict)

    def judge_commit(self, oid: str) -> tuple[tuple[Check, str], ...]:
        """Returns the findings about a commit with our trailers."""
        if oid not in self._said:
            self._said[oid] = (
                () if oid in self.history.ends else tuple(self._find_complaints(self.history.ours[oid]))
            )
        return self._said[oid]

    def _find_complaints(self, ours: Ours) -> Complaints:
        commit, kind = ours.commit, ours.trailers.kind
        if kind is None:
            yield Check.TRAILERS, ours.trailers.problem
            return
        if kind is Kind.RESCUE:
            yield (
                Check.TRAILERS,
                "it keeps what a failed attempt had written, and must not be part of a history",
            )
            return
        if not ours.trailers.format and not self.history.is_unversioned(commit.oid):
            yield Check.TRAILERS, "has no Gitbatch-Format, which other commits of its batch have"
        if commit.parents != self.history.parents[commit.oid]:
            yield Check.HISTORY, "its parents are not written as git writes them"
            return
        if ours.group and self.history.group_titles[ours.group] != ours.trailers.first_value("Group"):
            yield Check.TRAILERS, "calls its group otherwise than an earlier commit of its batch"
        yield from _JUDGES[kind](self.history, self.trees, ours)
        if kind is Kind.MERGE:
            yield from self._judge_others(ours)
        line = self.history.line_below(commit.oid) if commit.parents else ""
        if line and (problem := self.trees.shared_files(line, self.history.plan_of(ours)).problem):
            yield Check.PROJECT, f"cannot be judged by the project of its parent: {problem}"

    def _judge_others(self, merge: Ours) -> Complaints:
        """Judges the merged items that are outside of the range."""
        for oid in merge.commit.parents[1:]:
            if oid in self.history.ours and oid not in self.wanted and (said := self.judge_commit(oid)):
                yield Check.MERGE_PARENTS, f"brings {oid[:12]}, which breaks a rule: {said[0][1]}"
