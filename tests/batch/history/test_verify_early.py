"""The audit of early items: one that started from what still holds passes; a stale one, and what is forged, is found."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from base_repositories import SAMPLES
from batch.forger import opened
from conftest import IDENTITY, Workspace, base_environment
from fork_server import ForkServer
from reviews import REVISE, decide

from gitbatch.batch.history.verify import early
from gitbatch.batch.history.verify.audit import AuditFinding, audit_history
from gitbatch.batch.history.verify.graph import History, Ours
from gitbatch.batch.history.verify.rules import Check
from gitbatch.batch.history.verify.trees import Trees
from gitbatch.paths import quote_for_message
from gitbatch.plan.item_digest import digest_plan_item
from gitbatch.plan.model import PlanOptions
from gitbatch.plan.parse import read_plan

A, LAST, B, C, D = "out/a00.md", "out/a17.md", "out/b b.md", "out/c.md", "out/d.md"
FIRST = tuple(f"out/a{number:02}.md" for number in range(18))
"""The outputs of the first group."""
_MANY = ", ".join(FIRST[1:])
PLAN = f"""\
# Plan

## Work Packages

### One

{"".join(f"- [ ] A{number:02} Write → Output: `{path}`{chr(10)}" for number, path in enumerate(FIRST))}
### Two

- [ ] B Write → Output: `{B}` (context: {A})
- [ ] C Write → Output: `{C}` (context: {_MANY})
- [ ] D Write → Output: `{D}` (context: rules.md)
"""
AGENT = """\
echo "again" >>"$1"
echo '{"summary": "Wrote it. It has one heading."}' >"$GITBATCH_REPLY"
"""


@dataclass(frozen=True)
class Story:
    """A batch that has run with a review after its first group, and writes it again with other commits."""

    workspace: Workspace
    start: str
    """Before the batch."""
    first: str
    """The first checkpoint."""
    review: str
    """It makes A00 run again."""
    revision: str
    """The checkpoint of that."""
    end: str
    known: dict[object, str] = field(default_factory=dict, compare=False, repr=False)
    """What git has made or said of what is always the same."""

    def _find_known(self, key: object, find: Callable[[], str]) -> str:
        if key not in self.known:
            self.known[key] = find()
        return self.known[key]

    def ask_git(self, *command: str) -> str:
        """What git says of objects, which are always the same."""
        return self._find_known(command, lambda: self.workspace.git(*command))

    def item(self, path: str, below: str) -> str:
        """The commit of an item that is merged below a commit."""
        commits = self.ask_git(
            "log", below, "--format=%H", f"--grep=^Gitbatch-Item: {quote_for_message(path)}$"
        )
        return commits.split()[0]

    def write(self, message: str, parents: tuple[str, ...], tree: str) -> str:
        above = [part for parent in parents for part in ("-p", parent)]
        return self.ask_git("commit-tree", tree, *above, "-m", message)

    def tree(self, below: str, changes: dict[str, str]) -> str:
        """A tree with files of commits: path → commit, or another name of its blob."""
        return self._find_known((below, *changes.items()), lambda: self._make_tree(below, changes))

    def _make_tree(self, below: str, changes: dict[str, str]) -> str:
        git = self.workspace.git
        git("read-tree", below)
        for path, commit in changes.items():
            blob = self.ask_git("rev-parse", commit if ":" in commit else f"{commit}:{path}")
            git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
        tree = git("write-tree")
        git("read-tree", "HEAD")
        return tree

    def edited(self, path: str, text: str) -> str:
        """The checkpoint of the revision, as if a file had been edited below it."""
        file = self.workspace.home / "edited"
        file.write_text(f"{text}\n")
        blob = self.workspace.git("hash-object", "-w", str(file))
        self.workspace.git("read-tree", self.revision)
        self.workspace.git("update-index", "--cacheinfo", f"100644,{blob},{path}")
        tree = self.workspace.git("write-tree")
        return self.write(self.message(self.revision), (f"{self.revision}^",), tree)

    def base(self, line: str, items: dict[str, str], tree: str = "") -> str:
        """Base merges of items: path → commit."""
        message = self.message(f"{self.end}^").replace("gitbatch: merge", "gitbatch: base of")
        paths = list(items)
        for at in range(0, len(paths), 16):
            part = {path: items[path] for path in paths[at : at + 16]}
            line = self.write(message, (line, *part.values()), tree or self.tree(line, part))
        return line

    def message(self, commit: str) -> str:
        return self.ask_git("show", "-s", "--format=%B", commit)

    def early(self, path: str, base: str, *, digest: str | None = "", read: tuple[str, ...] = ()) -> str:
        """The item that wrote a path, as if it had started from a base. `read`: what it is to have read, if not what it has."""
        old = self.item(path, self.end)
        lines = self.message(old).splitlines()
        context = read or tuple(
            line.removeprefix("Gitbatch-Context: ").rpartition("@")[0]
            for line in lines
            if line.startswith("Gitbatch-Context: ")
        )
        exists = self.ask_git("ls-tree", "-r", "--name-only", base).splitlines()
        lines = [line for line in lines if not line.startswith("Gitbatch-Context: ")]
        lines += [
            f"Gitbatch-Context: {p}@{self.ask_git('rev-parse', f'{base}:{p}')}"
            for p in context
            if p in exists
        ]
        if digest is not None:
            lines.append(f"Gitbatch-Plan-Item: {digest or self.digest(path)}")
        return self.write("\n".join(lines), (base,), self.tree(base, {path: old}))

    def digest(self, path: str) -> str:
        plan = read_plan(self.ask_git("show", f"{self.start}:task.md").encode(), "task.md", PlanOptions())
        return next(digest_plan_item(i, g) for g in plan.groups for i in g.items if i.output == path)

    def taken(self, path: str, item: str, line: str = "") -> str:
        """The story with another commit of an item; `line`: what the last group is merged upon."""
        merge = f"{self.end}^"
        items = {p: self.item(p, self.end) for p in (B, C, D)} | {path: item}
        below = line or self.revision
        new = self.write(self.message(merge), (below, *items.values()), self.tree(below, items))
        changes = self.ask_git("diff", "--name-only", merge, self.end).splitlines()
        return self.write(self.message(self.end), (new,), self.tree(new, dict.fromkeys(changes, self.end)))

    def findings(self, tip: str) -> tuple[AuditFinding, ...]:
        with opened(self.workspace) as repo:
            return audit_history(repo, tip).findings


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, fork_server: ForkServer) -> Story:
    home = tmp_path_factory.mktemp("home")
    root = home / "repo"
    shutil.copytree(SAMPLES / "three-groups", root)
    environment = {
        **base_environment(),
        **IDENTITY,
        "HOME": str(home),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "XDG_CACHE_HOME": str(home / "cache"),
    }
    workspace = Workspace(root, home, environment, fork_server)
    workspace.write("task.md", PLAN)
    workspace.write("tools/agent.sh", AGENT)
    workspace.git("init", "--quiet", "--initial-branch=main")
    start = workspace.commit("The plan")
    workspace.gitbatch("run", "--items", "all", "--checkpoint", "after-each", code=3)
    first = workspace.git("rev-parse", "main")
    review = decide(workspace, (REVISE, "A00"), rest=True).commit
    workspace.gitbatch("run", code=3)
    revision = workspace.git("rev-parse", "main")
    assert len({start, first, review, revision}) == 4
    workspace.gitbatch("run", code=0)
    return Story(workspace, start, first, review, revision, workspace.git("rev-parse", "main"))


def c_from_many(s: Story) -> str:
    """Upon 17 items of the group before, by two base merges."""
    items = {path: s.item(path, s.first) for path in FIRST[1:]}
    return s.taken(C, s.early(C, s.base(s.start, items)))


def b_from_a_revision(s: Story) -> str:
    """Started while the review went on, from what was sent back and has run again."""
    return s.taken(B, s.early(B, s.base(s.review, {A: s.item(A, s.revision)})))


def d_from_the_tip(s: Story) -> str:
    """Without a base merge."""
    return s.taken(D, s.early(D, s.start))


def d_before_a_commit_of_the_user(s: Story) -> str:
    """Who commits after the turn of the group has begun, as with any item that runs."""
    user = s.write("Mine", (s.revision,), s.tree(s.revision, {"rules.md": f"{s.start}:inventory.md"}))
    return s.taken(D, s.early(D, s.start), line=user)


def b_before_a_commit_of_the_user(s: Story) -> str:
    """It started in its turn, after the review; then the user changed what it read."""
    user = s.write("Mine", (s.revision,), s.tree(s.revision, {A: s.first}))
    return s.taken(B, s.item(B, s.end), line=user)


GENUINE = (
    b_before_a_commit_of_the_user,
    c_from_many,
    b_from_a_revision,
    d_from_the_tip,
    d_before_a_commit_of_the_user,
)


@pytest.mark.rule("F2")
@pytest.mark.parametrize("make", GENUINE, ids=lambda make: make.__name__)
def test_an_early_item_that_holds_is_no_finding(story: Story, make: Callable[[Story], str]) -> None:
    assert story.findings(make(story)) == ()


def stale_from_a_first_version(s: Story) -> str:
    return s.taken(B, s.early(B, s.base(s.start, {A: s.item(A, s.first)})))


def stale_in_its_base_alone(s: Story) -> str:
    """It does not say that it read the file."""
    items = {A: s.item(A, s.first), LAST: s.item(LAST, s.first)}
    return s.taken(C, s.early(C, s.base(s.start, items), read=(LAST,)))


def stale_before_a_review(s: Story) -> str:
    """Started from a checkpoint, and taken after the review that sent back what it read."""
    return s.taken(B, s.early(B, s.first, digest=None))


def stale_by_the_user(s: Story) -> str:
    return s.taken(D, s.early(D, s.start), line=s.edited("rules.md", "Others.\n"))


def without_its_plan_item(s: Story) -> str:
    return s.taken(B, s.early(B, s.base(s.review, {A: s.item(A, s.revision)}), digest=None))


def revision_from_before(s: Story) -> str:
    """What a review sends back runs again after it, not early."""
    item = s.item(A, s.revision)
    old = s.write(s.message(item), (s.start,), s.tree(s.start, {A: item}))
    merge = s.write(s.message(f"{s.revision}^"), (s.review, old), s.tree(s.review, {A: item}))
    return s.write(s.message(s.revision), (merge,), s.tree(s.revision, {}))


def with_another_plan_item(s: Story) -> str:
    return s.taken(D, s.early(D, s.start, digest="0" * 64))


def plan_that_was_edited(s: Story) -> str:
    """Between the start of an item and the turn of its group."""
    plan = s.workspace.git("show", f"{s.revision}:task.md").replace("D Write", "D Rewrite")
    return s.taken(D, s.early(D, s.start), line=s.edited("task.md", plan))


def early_with_all_outputs(s: Story) -> str:
    """It says that it read what all groups before its own wrote."""
    item = s.early(D, s.start)
    said = f"{s.message(item).rstrip()}\nGitbatch-Context-Outputs: 18 {'0' * 64}"
    return s.taken(D, s.write(said, (s.start,), s.tree(item, {})))


def base_with_a_foreign_tree(s: Story) -> str:
    item = s.item(A, s.revision)
    tree = s.tree(s.review, {A: item, "tools/evil.sh": f"{s.start}:rules.md"})
    return s.taken(B, s.early(B, s.base(s.review, {A: item}, tree)))


def base_with_a_discarded_output(s: Story) -> str:
    """An item commit that no checkpoint merges."""
    old = s.item(A, s.revision)
    discarded = s.write(f"Other\n\n{s.message(old)}", (f"{old}^",), s.tree(f"{old}^", {A: old}))
    return s.taken(B, s.early(B, s.base(s.review, {A: discarded})))


def base_with_too_many(s: Story) -> str:
    items = {path: s.item(path, s.first) for path in FIRST[1:]}
    message = s.message(f"{s.end}^").replace("gitbatch: merge", "gitbatch: base of")
    return s.taken(C, s.early(C, s.write(message, (s.start, *items.values()), s.tree(s.start, items))))


FORGERIES: dict[Callable[[Story], str], tuple[Check, str]] = {
    stale_from_a_first_version: (Check.ITEM_EARLY, f"another version of {A}, which it read"),
    stale_in_its_base_alone: (Check.ITEM_EARLY, f"another version of {A}, which its base has"),
    stale_by_the_user: (Check.ITEM_EARLY, "another version of rules.md, which it read"),
    stale_before_a_review: (Check.ITEM_EARLY, f"which read {A} before a review changed that"),
    revision_from_before: (Check.MERGE_PARENTS, f"brings {A}, which started before the last checkpoint"),
    without_its_plan_item: (Check.ITEM_EARLY, "does not state its item"),
    with_another_plan_item: (Check.ITEM_EARLY, "states another digest of its item"),
    plan_that_was_edited: (Check.ITEM_EARLY, "the plan says something else about it since"),
    early_with_all_outputs: (Check.ITEM_EARLY, "it read the outputs of all groups before its own"),
    base_with_a_foreign_tree: (Check.MERGE_TREE, "tools/evil.sh is neither"),
    base_with_a_discarded_output: (Check.ITEM_BASE, f"stands on {A}, which is not merged like that"),
    base_with_too_many: (Check.MERGE_PARENTS, "does not merge 1 to 16 different items"),
}


@pytest.mark.rule("F2", "S1")
@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_a_stale_or_forged_early_item_is_found(story: Story, forge: Callable[[Story], str]) -> None:
    check, message = FORGERIES[forge]
    findings = story.findings(forge(story))
    assert any(found.check is check and message in found.message for found in findings), findings
    assert all(found.rule == found.check.rule for found in findings)


def test_the_story_itself_is_clean(story: Story) -> None:
    assert story.findings(story.end) == ()


def test_the_line_below_a_merge_is_read_once_for_its_items(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group of 10,000 items has 625 merges, each upon the one before."""
    walked: list[tuple[str, str]] = []
    really = early._find_rewritten

    def find(history: History, trees: Trees, merge: Ours, line: str) -> frozenset[str]:
        walked.append((merge.commit.oid, line))
        return really(history, trees, merge, line)

    monkeypatch.setattr(early, "_find_rewritten", find)
    assert story.findings(story.end) == ()
    # The merges of 16, of two and of one item, and of the last group.
    assert len(walked) == len(set(walked)) == 4
