"""The audit of a history: a real batch passes, and whatever is forged upon it is found, and nothing else.

Every forgery is made with git plumbing, as one could who has the repository and not gitbatch.
"""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from batch import check_forgeries, group_forgeries, item_forgeries
from batch.forger import (
    BATCH,
    DELETED,
    FORMAT_LINE,
    NEXT,
    OUT,
    Forger,
    item_trailers,
    opened,
)
from conftest import IDENTITY

from gitbatch.batch.history.verify.audit import audit_history
from gitbatch.batch.history.verify.rules import Check
from gitbatch.errors import GitbatchError, UsageError
from gitbatch.project.edits import BEGIN, END

FORGERIES: dict[Callable[[Forger], str], tuple[Check, str]] = {
    check_forgeries.item_without_its_check: (Check.ITEM_CHECKS, "does not say that it passed links"),
    check_forgeries.item_with_another_check: (Check.ITEM_CHECKS, "does not say that it passed links"),
    check_forgeries.item_with_a_red_check: (Check.TRAILERS, "Gitbatch-Check cannot be read"),
    check_forgeries.checkpoint_without_its_gate: (
        Check.CHECKPOINT_GATES,
        "does not say that it passed tests",
    ),
    check_forgeries.checkpoint_with_a_gate_of_another_tree: (Check.CHECKPOINT_GATES, "on another tree"),
    check_forgeries.checkpoint_with_a_gate_that_must_pass: (
        Check.CHECKPOINT_GATES,
        "although tests was red, which must pass",
    ),
    item_forgeries.item_that_is_empty: (Check.ITEM_FILE, "is empty"),
    item_forgeries.item_that_is_too_large: (Check.ITEM_FILE, "has 4 bytes, more than the limit of 3"),
    item_forgeries.item_of_a_missing_blob: (Check.ITEM_FILE, "is not a blob, or the blob is missing"),
    item_forgeries.item_merged_by_the_user_from_elsewhere: (Check.ITEM_PARENT, "is not on the line that"),
    item_forgeries.item_with_a_cost_that_is_none: (Check.TRAILERS, "Gitbatch-Cost cannot be read"),
    item_forgeries.item_in_another_encoding: (Check.TRAILERS, "in an encoding"),
    item_forgeries.item_with_a_scissors_line: (Check.TRAILERS, "scissors"),
    group_forgeries.merge_on_the_line_without_a_checkpoint: (
        Check.MERGE_PLACE,
        "no checkpoint of its group follows it",
    ),
    group_forgeries.checkpoint_of_a_failure_that_no_plan_has: (
        Check.CHECKPOINT_ITEMS,
        "which the plan does not have",
    ),
    group_forgeries.checkpoint_with_another_decision: (
        Check.CHECKPOINT_TEXTS,
        "what was not said",
    ),
    group_forgeries.checkpoint_with_another_row: (Check.CHECKPOINT_TEXTS, "other items in status.md"),
    group_forgeries.merge_of_another_title: (Check.TRAILERS, "calls its group otherwise"),
    item_forgeries.item_with_two_parents: (Check.ITEM_PARENT, "has 2 parents"),
    item_forgeries.item_without_parent: (Check.ITEM_PARENT, "has 0 parents"),
    item_forgeries.item_with_a_stray: (
        Check.ITEM_CHANGES,
        "changes tools/agent.sh, which is not its output out/new.md",
    ),
    item_forgeries.item_of_another_file: (
        Check.ITEM_CHANGES,
        "changes out/other.md, which is not its output",
    ),
    item_forgeries.item_of_a_siblings_file: (Check.ITEM_CHANGES, "changes out/letters/a.md"),
    item_forgeries.item_that_changes_nothing: (Check.ITEM_CHANGES, "does not change its output out/new.md"),
    item_forgeries.item_that_is_a_folder: (Check.ITEM_CHANGES, "changes out/new.md/x"),
    item_forgeries.item_that_is_executable: (
        Check.ITEM_FILE,
        "its output out/new.md is deleted, or not a regular file of mode 100644",
    ),
    item_forgeries.item_that_is_a_link: (Check.ITEM_FILE, "not a regular file"),
    item_forgeries.item_that_is_a_repository: (Check.ITEM_FILE, "not a regular file"),
    item_forgeries.item_that_deletes_its_file: (Check.ITEM_FILE, "is deleted"),
    item_forgeries.item_that_renames_the_plan: (
        Check.ITEM_SHARED,
        "changes task.md besides its output out/new.md",
    ),
    item_forgeries.item_with_the_status: (Check.ITEM_SHARED, "changes status.md"),
    item_forgeries.item_with_an_artifact: (Check.ITEM_SHARED, "changes inventory.md"),
    item_forgeries.item_with_a_log_in_capitals: (Check.ITEM_SHARED, "changes Decisions-Log.md"),
    item_forgeries.item_with_the_scope: (Check.ITEM_SHARED, "changes CLAUDE.md"),
    item_forgeries.item_with_an_artifact_that_it_disowns: (Check.ITEM_SHARED, "changes lists.md"),
    item_forgeries.item_called_like_the_plan: (Check.ITEM_PATH, "its output TASK.md is a shared file"),
    item_forgeries.item_called_like_the_configuration: (
        Check.ITEM_PATH,
        "its output gitbatch.toml decides how agents run",
    ),
    item_forgeries.item_with_a_name_for_windows: (Check.ITEM_PATH, "Windows keeps for a device"),
    item_forgeries.item_that_git_obeys: (Check.ITEM_PATH, "only git may write"),
    group_forgeries.merge_of_nothing: (
        Check.MERGE_PARENTS,
        "does not merge 1 to 16 different items of its batch and group alone",
    ),
    group_forgeries.merge_of_too_many: (Check.MERGE_PARENTS, "does not merge"),
    group_forgeries.merge_of_a_commit_that_is_no_item: (Check.MERGE_PARENTS, "does not merge"),
    group_forgeries.merge_of_another_batch: (Check.MERGE_PARENTS, "does not merge"),
    group_forgeries.merge_of_an_item_twice: (Check.MERGE_PARENTS, "does not merge"),
    group_forgeries.merge_with_a_stray: (
        Check.MERGE_TREE,
        "tools/agent.sh is neither its first parent's nor its item's",
    ),
    group_forgeries.merge_without_its_item: (Check.MERGE_TREE, "out/new.md is neither"),
    group_forgeries.merge_with_other_content: (Check.MERGE_TREE, "out/new.md is neither"),
    group_forgeries.merge_with_another_mode: (Check.MERGE_TREE, "out/new.md is neither"),
    group_forgeries.merge_with_the_plan: (Check.MERGE_SHARED, "changes task.md"),
    group_forgeries.merge_with_the_scope: (Check.MERGE_SHARED, "changes docs/CLAUDE.md"),
    group_forgeries.checkpoint_that_merges: (Check.CHECKPOINT_PARENT, "has 2 parents"),
    group_forgeries.checkpoint_with_a_stray: (
        Check.CHECKPOINT_CHANGES,
        "changes tools/agent.sh, which is not a shared file",
    ),
    group_forgeries.checkpoint_with_an_output: (Check.CHECKPOINT_CHANGES, "changes out/letters/a.md"),
    group_forgeries.checkpoint_with_the_scope: (Check.CHECKPOINT_CHANGES, "changes CLAUDE.md"),
    group_forgeries.checkpoint_with_the_configuration: (Check.CHECKPOINT_CHANGES, "changes gitbatch.toml"),
    group_forgeries.checkpoint_that_deletes_the_log: (
        Check.CHECKPOINT_CHANGES,
        "decisions-log.md is not a regular file",
    ),
    group_forgeries.checkpoint_that_makes_a_link: (
        Check.CHECKPOINT_CHANGES,
        "status.md is not a regular file",
    ),
    group_forgeries.checkpoint_of_an_item_that_is_not_there: (
        Check.CHECKPOINT_ITEMS,
        "says that out/new.md succeeded, but no merge of its group",
    ),
    group_forgeries.checkpoint_of_an_item_without_id: (
        Check.CHECKPOINT_ITEMS,
        "says that out/new.md succeeded, but no merge of its group",
    ),
    group_forgeries.checkpoint_of_an_item_of_another_batch: (
        Check.CHECKPOINT_ITEMS,
        "says that out/letters/a.md succeeded, but no merge",
    ),
    group_forgeries.checkpoint_upon_a_merge_that_is_not_ours: (
        Check.CHECKPOINT_ITEMS,
        "but no merge of its group below it",
    ),
    group_forgeries.checkpoint_that_rewrites_the_status: (
        Check.CHECKPOINT_TEXTS,
        "takes away or changes what status.md said",
    ),
    group_forgeries.checkpoint_that_creates_an_inventory: (
        Check.CHECKPOINT_TEXTS,
        "adds 1 entries to evil-inventory.md; what it records said 0",
    ),
    group_forgeries.checkpoint_that_writes_prose_into_an_inventory: (
        Check.CHECKPOINT_TEXTS,
        "adds what is not an entry",
    ),
    group_forgeries.checkpoint_that_drops_a_decision: (Check.CHECKPOINT_TEXTS, "decisions-log.md"),
    group_forgeries.checkpoint_that_adds_an_item: (
        Check.CHECKPOINT_PLAN,
        "changes more of task.md than boxes",
    ),
    group_forgeries.checkpoint_that_changes_a_word: (
        Check.CHECKPOINT_PLAN,
        "changes more of task.md than boxes",
    ),
    group_forgeries.checkpoint_that_opens_a_box: (
        Check.CHECKPOINT_PLAN,
        "changes more of task.md than boxes",
    ),
    group_forgeries.checkpoint_that_ticks_what_nobody_did: (
        Check.TICK,
        "ticks T101, but no merge of its group brings",
    ),
    group_forgeries.checkpoint_that_ticks_what_another_batch_did: (Check.TICK, "ticks T101"),
    group_forgeries.checkpoint_that_ticks_a_criterion: (
        Check.TICK,
        "ticks #3 of the Definition of Done before its items",
    ),
    group_forgeries.checkpoint_that_ticks_a_criterion_too_early: (
        Check.TICK,
        "ticks #1 of the Definition of Done",
    ),
    item_forgeries.trailers_of_two_kinds: (Check.TRAILERS, "its trailers are not those of"),
    item_forgeries.item_of_a_later_format: (
        Check.TRAILERS,
        "its format 4 is unknown: this version of gitbatch reads 3",
    ),
    item_forgeries.item_without_a_format: (
        Check.TRAILERS,
        "has no Gitbatch-Format, which other commits of its batch have",
    ),
    item_forgeries.trailers_of_two_items: (Check.TRAILERS, "its trailers are not those of"),
    item_forgeries.trailers_without_a_batch: (Check.TRAILERS, "its trailers are not those of"),
    item_forgeries.item_of_no_project: (Check.PROJECT, "missing task.md"),
    group_forgeries.merge_over_what_the_user_wrote: (
        Check.MERGE_OVER,
        "over a version that the branch got meanwhile",
    ),
    item_forgeries.item_that_nobody_asked_for: (Check.ITEM_PLAN, "not that of an open item of the plan"),
    item_forgeries.item_that_misstates_what_it_read: (Check.ITEM_CONTEXT, "rules.md"),
    item_forgeries.item_on_the_line: (Check.ITEM_PLACE, "comes in by a merge"),
    group_forgeries.checkpoint_of_an_item_upon_one_that_is_not_merged: (Check.ITEM_BASE, f"stands on {NEXT}"),
    item_forgeries.base_with_an_item_and_what_that_stands_on: (
        Check.MERGE_PARENTS,
        "on which another of its items stands",
    ),
    item_forgeries.base_upon_a_merge_of_its_group: (Check.MERGE_PARENTS, "whose checkpoint comes later"),
    item_forgeries.item_upon_an_item: (Check.ITEM_PARENT, "its parent is the commit of another item"),
    item_forgeries.item_with_a_name_twice: (Check.TREE, "the top folder is not a folder that git writes"),
    group_forgeries.merge_without_a_checkpoint: (
        Check.MERGE_PLACE,
        "no merge or checkpoint of its group follows it",
    ),
    group_forgeries.merge_of_what_came_in_before: (Check.MERGE_PARENTS, "does not merge"),
    group_forgeries.merge_of_an_item_that_came_in_before: (
        Check.MERGE_REPEATED,
        "which an earlier merge has brought",
    ),
    group_forgeries.checkpoint_of_another_number: (
        Check.CHECKPOINT_NUMBER,
        "its number is that of an earlier checkpoint",
    ),
    group_forgeries.checkpoint_that_keeps_a_merge_to_itself: (
        Check.CHECKPOINT_ITEMS,
        "does not say that out/new.md succeeded",
    ),
    group_forgeries.checkpoint_that_leaves_a_box_open: (Check.TICK, "leaves out/new.md open"),
    item_forgeries.rescued_work: (Check.TRAILERS, "what a failed attempt had written"),
    item_forgeries.trailers_in_another_case: (Check.TRAILERS, "not spelled as gitbatch spells them"),
    item_forgeries.trailers_in_two_paragraphs: (Check.TRAILERS, "not its last paragraph"),
}


@pytest.mark.rule("S1", "S2", "O3", "O4", "E2")
@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
@pytest.mark.sample(48)
def test_a_forgery_is_found_and_nothing_else(forger: Forger, forge: Callable[[Forger], str]) -> None:
    forged = forge(forger)
    check, message = FORGERIES[forge]
    findings = forger.findings(forged)
    assert any(found.check is check and message in found.message for found in findings), findings
    assert all(found.rule == found.check.rule for found in findings)
    assert not {found.commit for found in findings} & set(forger.list_genuine())


def test_an_item_must_be_below_the_checkpoint_that_names_it(forger: Forger) -> None:
    """It is in the history; it can't be reached from where it is said to be."""
    item = forger.item({OUT: "x"})
    checkpoint = forger.checkpoint({"status.md": forger.longer("status.md")}, succeeded=(OUT,))
    (finding,) = forger.findings(forger.commit("both", (checkpoint, item), {OUT: "x"}))
    assert (finding.commit, finding.check) == (checkpoint, Check.CHECKPOINT_ITEMS)


def test_a_merge_takes_no_link_even_if_its_item_is_one(forger: Forger) -> None:
    item = item_forgeries.item_that_is_a_link(forger)
    merge = forger.merge((item,), {OUT: ("120000", forger.blob("../task.md"))})
    found = [(finding.commit, finding.check) for finding in forger.findings(merge)]
    assert found == [(item, Check.ITEM_FILE), (merge, Check.MERGE_PLACE), (merge, Check.MERGE_TREE)]


def test_every_check_is_tested() -> None:
    of_reviews = {
        check for check in Check if check.startswith("review-")
    }  # test_verify_reviews.py, test_verify_early.py
    assert {check for check, _ in FORGERIES.values()} == set(Check) - {
        Check.HISTORY,
        Check.ITEM_EARLY,
    } - of_reviews


def test_a_real_batch_passes(owner: Forger) -> None:
    done = owner.workspace.gitbatch("verify", code=0)
    assert done.stdout == "18 commits of gitbatch judged, nothing found\n"
    assert done.stderr == ""


def user_quotes_trailers(f: Forger) -> str:
    """Trailers are the last paragraph, nothing else."""
    quoted = f"Gitbatch-Batch: {BATCH}\nGitbatch-Item: {OUT}"
    return f.commit(f"Look at this\n\n{quoted}\n\nIt is wrong.", (f.tip,), {"task.md": "mine"})


def user_changes_everything(f: Forger) -> str:
    first = f.commit("mine", (f.tip,), {"CLAUDE.md": "mine", "out/letters/a.md": "mine", "task.md": DELETED})
    return f.commit("merge", (first, f.plan), {"status.md": DELETED})


def user_merges_an_item(f: Forger) -> str:
    return f.commit("Merge branch 'gitbatch/b/1-x'", (f.tip, f.item({OUT: "x"})), {OUT: "y", "x": "x"})


def user_picks_an_item(f: Forger) -> str:
    message = f.workspace.git("log", "-1", "--format=%B", f.of("out/letters/a.md"))
    return f.commit(message, (f.plan,), {"out/letters/a.md": "x"})


def a_batch_of_sixteen(f: Forger) -> str:
    keys = [f"out/ü {number}.md" for number in range(16)]
    merge = f.merge(tuple(f.item({key: "x"}, key) for key in keys), dict.fromkeys(keys, "x"))
    changes = {"task.md": f.ticked(*keys)}
    return f.checkpoint(
        {"status.md": f.longer("status.md"), **changes},
        parents=(merge,),
        succeeded=tuple(keys),
    )


def an_item_that_a_reviewer_has_signed(f: Forger) -> str:
    message = f"T1\n\nDone.\n\n{item_trailers()}\nSigned-off-by: U <u@x>"
    return f.commit(message, (f.tip,), {OUT: "x"})


GOOD: tuple[Callable[[Forger], str], ...] = (
    user_quotes_trailers,
    user_changes_everything,
    user_merges_an_item,
    user_picks_an_item,
    a_batch_of_sixteen,
    an_item_that_a_reviewer_has_signed,
    check_forgeries.item_with_its_check,
    check_forgeries.item_for_which_the_plan_asks_none,
    check_forgeries.item_with_its_checks_own_file,
    check_forgeries.checkpoint_with_its_gate,
)


@pytest.mark.parametrize("make", GOOD, ids=lambda make: make.__name__)
def test_what_breaks_no_rule_is_no_finding(forger: Forger, make: Callable[[Forger], str]) -> None:
    assert forger.findings(make(forger)) == ()


def test_a_range_judges_its_commits_alone(forger: Forger) -> None:
    forged = forger.commit(f"x\n\nGitbatch-Item: {OUT}", (forger.tip,), {OUT: "x"})
    above = forger.commit("mine", (forged,), {"x": "x"})
    assert [finding.commit for finding in forger.findings(f"{forger.tip}..{above}")] == [forged]
    assert forger.findings(f"{forged}..{above}") == ()
    assert forger.findings(f"{above}..{forged}") == ()
    assert forger.findings(f"{forger.tip}~1..{forger.recorded(OUT)}") == ()


def test_an_item_outside_of_the_range_is_judged_with_its_merge(forger: Forger) -> None:
    bad = forger.item({OUT: "x", "y": "y"})
    merge = forger.merge((bad,), {OUT: "x"})
    changes = {"status.md": forger.longer("status.md"), "task.md": forger.ticked(OUT)}
    checkpoint = forger.checkpoint(changes, parents=(merge,), succeeded=(OUT,))
    (finding,) = forger.findings(f"{bad}..{checkpoint}")
    assert (finding.commit, finding.check) == (merge, Check.MERGE_PARENTS)
    assert "which breaks a rule: changes y" in finding.message


@pytest.mark.parametrize(
    "revisions", ["nothing", "--all", "main:task.md", "main^{tree}", "main..nothing", ""]
)
def test_revisions_that_name_no_commit_are_a_usage_error(forger: Forger, revisions: str) -> None:
    with pytest.raises(UsageError, match="names no commit here"):
        forger.findings(revisions)


@pytest.mark.forged
def test_the_command_tells_people_and_programs(owner: Forger) -> None:
    place = owner.workspace
    forged = owner.item({OUT: "x", "a\x1b[2Jb\nc": "x"})
    place.git("update-ref", "refs/heads/main", forged)
    done = place.gitbatch("verify", code=1)
    assert done.stdout.splitlines() == [
        f"{forged[:12]}  S1 item-changes: changes ab c, which is not its output {OUT}",
        "19 commits of gitbatch judged, 1 finding",
    ]
    said = json.loads(place.gitbatch("verify", "main~1..main", "--json", code=1).stdout)
    (finding,) = said["findings"]
    assert finding == {
        "commit": forged,
        "rule": "S1",
        "check": "item-changes",
        "message": f"changes ab c, which is not its output {OUT}",
    }
    assert not said["ok"]
    assert said["error"]["code"] == "findings"
    assert "names no commit here" in place.gitbatch("verify", "x..y", code=2).stderr
    said = json.loads(place.gitbatch("verify", "main~1", "--json", code=0).stdout)
    assert (said["ok"], said["error"], said["findings"]) == (True, None, [])


@pytest.mark.forged
def test_commits_without_a_format(owner: Forger) -> None:
    """A batch of gitbatch 0.1 is counted and not judged; its malformed commits are findings all the same."""
    place = owner.workspace
    message = f"T1\n\nDone.\n\n{item_trailers().removeprefix(FORMAT_LINE)}"
    early = owner.commit(message, (owner.tip,), {OUT: "x", "stray": "x"})
    place.git("update-ref", "refs/heads/main", early)
    with opened(place) as repo:
        found = audit_history(repo, "main~1..main")
    assert (found.judged, found.unjudged, found.findings) == (0, 1, ())
    said = place.gitbatch("verify", code=0).stdout
    assert said == "18 commits of gitbatch judged, nothing found; 1 of gitbatch 0.1 not judged\n"
    told = json.loads(place.gitbatch("verify", "main~1..main", "--json", code=0).stdout)
    assert (told["ok"], told["judged"], told["unjudged"], told["findings"]) == (True, 0, 1, [])
    malformed = owner.commit(f"{message}\nGitbatch-Item: y", (early,), {OUT: "y"})
    place.git("update-ref", "refs/heads/main", malformed)
    with opened(place) as repo:
        assert [finding.commit for finding in audit_history(repo, "main").findings] == [malformed]


def test_nothing_is_changed_and_nobody_has_to_be_named(owner: Forger) -> None:
    place = owner.workspace
    before = place.state()
    unnamed = {name: value for name, value in place.environment.items() if name not in IDENTITY}
    assert replace(place, environment=unnamed).gitbatch("verify", code=0).stderr == ""
    assert place.state() == before


@pytest.mark.forged
def test_a_shallow_clone_is_judged_as_far_as_it_goes(owner: Forger) -> None:
    """Its last commit is a merge, so that nothing of the items can be seen that the checkpoint above it names."""
    place = owner.workspace
    forged = item_forgeries.item_with_a_stray(owner)
    place.git("update-ref", "refs/heads/main", forged)
    clone = replace(place, root=place.root.parent / "clone")
    place.git("clone", "--quiet", "--depth=4", f"file://{place.root}", str(clone.root))
    (end,) = (clone.root / ".git" / "shallow").read_text(encoding="utf-8").split()
    with opened(clone) as repo:
        cut, finding = audit_history(repo, "HEAD").findings
    assert (cut.commit, cut.check, finding.commit) == (end, Check.HISTORY, forged)
    done = clone.gitbatch("verify", code=1)
    assert done.stdout.endswith("3 commits of gitbatch judged, 2 findings\n")
    assert done.stderr == f"note: this clone ends at {end[:12]}; what is older was not seen\n"


def test_a_clone_without_all_objects_is_an_error(owner: Forger) -> None:
    place = owner.workspace
    place.git("config", "uploadpack.allowFilter", "true")
    clone = place.root.parent / "clone"
    place.git("clone", "--quiet", "--no-checkout", "--filter=blob:none", f"file://{place.root}", str(clone))
    with (
        opened(replace(place, root=clone)) as repo,
        pytest.raises(GitbatchError, match="cannot read the history") as error,
    ):
        audit_history(repo, "HEAD")
    assert "partial clone" in error.value.advice


def test_a_project_with_two_plans_is_judged_by_both(forger: Forger) -> None:
    base = forger.commit("second plan", (forger.tip,), {"docs/task.md": forger.read("task.md", forger.plan)})
    item = forger.item({OUT: "x", "docs/task.md": "mine"}, parents=(base,))
    found = {finding.check: finding.message for finding in forger.findings(item)}
    assert found == {Check.ITEM_SHARED: f"changes docs/task.md besides its output {OUT}"}
    ticked = forger.read("task.md", forger.plan).replace("- [ ] T101", "- [x] T101")
    changes = {"docs/task.md": ticked, "status.md": forger.longer("status.md")}
    checks = {finding.check for finding in forger.findings(forger.checkpoint(changes, parents=(base,)))}
    assert checks == {Check.TICK}


@pytest.mark.rule("O2")
def test_the_active_scope_says_what_is_shared(forger: Forger) -> None:
    phase = {
        "CLAUDE.md": "## Aktiver Scope\n\nPhase: p\n",
        "docs/phases/p/task.md": forger.read("task.md", forger.plan),
        "docs/phases/p/status.md": "# Status\n",
    }
    base = forger.commit("A phase", (forger.tip,), phase)
    item = forger.item({OUT: "x", "docs/phases/p/status.md": "x"}, parents=(base,))
    assert Check.ITEM_SHARED in {finding.check for finding in forger.findings(item)}
    checkpoint = forger.checkpoint({"status.md": forger.longer("status.md")}, parents=(base,))
    found = {finding.check for finding in forger.findings(checkpoint)}
    assert found == {Check.CHECKPOINT_CHANGES, Check.CHECKPOINT_TEXTS}, "of another scope"
    row = "| x | out/failed.md | cancelled | it is gone |"
    status = {"docs/phases/p/status.md": f"# Status\n\n{BEGIN}\n{row}\n{END}\n"}
    assert forger.findings(forger.checkpoint(status, parents=(base,))) == ()
