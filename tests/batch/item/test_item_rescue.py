"""What a failed agent had written is kept, is never taken for done, and is where the next attempt begins."""

import json
from collections.abc import Iterator

import pytest
from base_repositories import FSCK
from batch.programs import found, prompt, run, set_up, starts
from conftest import Workspace
from history import assert_tidy, audit, changed, ticked, trailers

from gitbatch.agents.protocol import EarlierOutput, Failure
from gitbatch.batch.item.harvest import Harvest, judge_change
from gitbatch.limits.causes import TREATMENTS, Cause
from gitbatch.repo.refs.names import rescue_ref, rescued_output_ref
from gitbatch.repo.refs.store import split_rescued_output

UNTOLD = "is there already: an earlier attempt"


@pytest.fixture(autouse=True)
def sound(workspace: Workspace) -> Iterator[None]:
    """Whatever a test does, git finds nothing wrong, and no branch has what was only rescued."""
    yield
    if not workspace.git("rev-parse", "--quiet", "--verify", "main", check=False):
        return
    assert workspace.git(*FSCK) == ""
    assert workspace.git("log", "--format=%H", "--grep", "^Gitbatch-Rescued", "main") == ""


def rescued(workspace: Workspace) -> list[str]:
    """The refs of what failed attempts had written, without what all their names start with."""
    refs = workspace.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/rescue/*").splitlines()
    return [ref.partition("/rescue/")[2] for ref in refs]


def ref_of(workspace: Workspace, name: str) -> str:
    """The full name of one of them."""
    (ref,) = workspace.git(
        "for-each-ref", "--format=%(refname)", f"refs/gitbatch/*/rescue/{name}"
    ).splitlines()
    return ref


def test_the_last_attempts_output_is_kept_and_named(workspace: Workspace) -> None:
    set_up(workspace, "half half half", "ok")
    base = workspace.git("rev-parse", "HEAD")
    told = run(workspace, code=1)
    assert rescued(workspace) == ["1-t1-3"], "that of the last attempt alone"
    ref = ref_of(workspace, "1-t1-3")
    assert workspace.git("show", f"{ref}:out/T1.md") == "T1 3"
    assert workspace.git("rev-parse", f"{ref}^") == base
    assert changed(workspace, f"{ref}^", ref) == {"out/T1.md": ("A", "100644")}
    assert trailers(workspace, ref, "Rescued") == ["out/T1.md: it broke (exit 3)"]
    assert trailers(workspace, ref, "Item") == []
    assert trailers(workspace, ref, "Attempt") == ["3"]
    assert "told (gitbatch agent)" in workspace.git("log", "-1", "--format=%an", ref)
    where = f"what it had written is kept: git show {ref}"
    assert where in " ".join(workspace.git("log", "-1", "--format=%B").split())
    assert told.outcome("T1")["rescued"] == ref
    assert told.outcome("T2")["rescued"] == ""
    (checkpoint,) = told.of("checkpoint")
    assert [o["rescued"] for o in checkpoint["checkpoint"]["outcomes"]] == [ref, ""]
    shown = json.loads(workspace.gitbatch("status", "--json", code=0).stdout)
    assert [item["rescued"] for item in shown["items"]] == [ref, ""]
    assert "kept: gitbatch rescue take T1" in workspace.gitbatch("status", code=0).stdout
    assert ticked(workspace) == ["T2"]
    assert len(audit(workspace).items) == 1
    assert_tidy(workspace)


def test_the_view_names_it(workspace: Workspace) -> None:
    set_up(workspace, "half", batch="retries = 0")
    said = workspace.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=1).stdout
    assert f"what it had written is kept: git show {ref_of(workspace, '1-t1-1')}" in said


@pytest.mark.parametrize("checkout", ["full", "context"])
@pytest.mark.parametrize("word", ["half", "halfslow", "halfshared"])
@pytest.mark.sample(3)
def test_a_retry_finds_it_at_its_path_and_is_told(workspace: Workspace, word: str, checkout: str) -> None:
    set_up(workspace, f"{word} more", batch=f'checkout = "{checkout}"')
    workspace.edit("gitbatch.toml", '"agent.sh"', f'"{workspace.root}/agent.sh"')
    workspace.commit("The agent is in no worktree")
    if word == "halfslow":
        workspace.edit("gitbatch.toml", "60s", "1s")
        workspace.commit()
    told = run(workspace)
    assert (found(workspace, "T1", 1), found(workspace, "T1", 2)) == (None, "T1 1\n")
    assert UNTOLD not in prompt(workspace, "T1", 1)
    assert f"out/T1.md {UNTOLD} at this item wrote it" in prompt(workspace, "T1", 2)
    assert "cannot stay as it is" not in prompt(workspace, "T1", 2)
    assert workspace.git("show", "main:out/T1.md") == "T1 1\nmore"
    assert told.outcome("T1")["attempts"] == 2
    assert rescued(workspace) == [], "its item is merged"
    audit(workspace)
    assert_tidy(workspace)


@pytest.mark.parametrize("word", ["half", "halfslow", "halfshared"])
def test_what_is_left_as_it_is_after_a_crash_or_a_time_out_is_the_output(
    workspace: Workspace, word: str
) -> None:
    set_up(workspace, f"{word} nothing")
    if word == "halfslow":
        workspace.edit("gitbatch.toml", "60s", "1s")
        workspace.commit()
    told = run(workspace)
    assert told.outcome("T1")["status"] == "succeeded"
    assert starts(workspace, "T1") == 2
    assert workspace.git("show", "main:out/T1.md") == "T1 1"


def test_a_busy_server_takes_nothing_away(workspace: Workspace) -> None:
    set_up(workspace, "half75 more", batch="retries = 0")
    run(workspace)
    assert workspace.git("show", "main:out/T1.md") == "T1 1\nmore"
    assert UNTOLD in prompt(workspace, "T1", 2)
    assert "The last attempt failed" not in prompt(workspace, "T1", 2), "that was no attempt"


def test_an_attempt_that_leaves_nothing_takes_nothing_away(workspace: Workspace) -> None:
    set_up(workspace, "half gone 4")
    told = run(workspace, code=1)
    assert found(workspace, "T1", 3) == "T1 1\n"
    assert rescued(workspace) == ["1-t1-3"], "the third left the first one's output where it was"
    assert told.outcome("T1")["rescued"].endswith("/1-t1-3")
    assert workspace.git("show", f"{ref_of(workspace, '1-t1-3')}:out/T1.md") == "T1 1"


def test_what_does_not_pass_the_harvest_is_not_kept(workspace: Workspace) -> None:
    set_up(workspace, "3", "shared", "nothing", batch="retries = 0\nmax-output-bytes = 3")
    told = run(workspace, code=1)
    assert rescued(workspace) == []
    assert {e["outcome"]["rescued"] for e in told.of("item-finished")} == {""}


def test_a_failure_leaves_the_base_version_alone_where_the_base_has_one(workspace: Workspace) -> None:
    set_up(workspace, "half nothing")
    workspace.write("out/T1.md", "from the base\n")
    workspace.commit()
    run(workspace)
    assert found(workspace, "T1", 1) == "from the base\n"
    assert found(workspace, "T1", 2) == "T1 1\n"
    assert workspace.git("show", "main:out/T1.md") == "T1 1"


def test_the_base_version_put_back_is_nothing_changed(workspace: Workspace) -> None:
    set_up(workspace, "half restore ok")
    workspace.edit(
        "agent.sh", "nothing) say ;;", 'nothing) say ;;\nrestore) echo base >"$GITBATCH_OUTPUT"; say ;;'
    )
    workspace.write("out/T1.md", "base\n")
    workspace.commit()
    told = run(workspace, code=1)
    assert starts(workspace, "T1") == 2
    assert told.outcome("T1")["cause"] == "nothing-changed"
    assert told.outcome("T1")["rescued"].endswith("/1-t1-1"), "what was kept stays"


def test_what_the_user_changed_since_is_not_covered(workspace: Workspace) -> None:
    set_up(workspace, "half75 later ok", batch="retries = 0")
    run(workspace, code=75)
    assert rescued(workspace) == ["1-t1-1"]
    workspace.write("out/T1.md", "the user's own\n")
    workspace.commit("Write it by hand")
    run(workspace)
    assert found(workspace, "T1", 3) == "the user's own\n"
    assert UNTOLD not in prompt(workspace, "T1", 3)
    assert rescued(workspace) == []


@pytest.mark.parametrize("cause", list(Cause))
def test_only_a_cause_that_blames_the_output_makes_it_no_output_as_it_is(cause: Cause) -> None:
    blamed = {Cause.NO_OUTPUT, Cause.UNCHANGED, Cause.LEAK, Cause.DECLINED}
    blamed |= {Cause.CHECK_FAILED, Cause.GATE}
    assert TREATMENTS[cause].blames_output == (cause in blamed)
    earlier = EarlierOutput("a" * 40, may_stay=cause not in blamed)
    same, other = Harvest("a" * 40, 1), Harvest("b" * 40, 1)
    assert judge_change(other, "x.md", earlier) == other
    assert judge_change(same, "x.md", None) == same
    judged = judge_change(same, "x.md", earlier)
    if cause in blamed:
        assert isinstance(judged, Failure)
        assert judged.cause is Cause.UNCHANGED
        assert judged.reason.startswith("the agent changed nothing: x.md is as the last attempt left it")
    else:
        assert judged == same


def killed_at(workspace: Workspace, where: str, time: int = 1) -> None:
    """Run until a function is called for the n-th time, and die there: no tidying up, no message."""
    module, name = where.rsplit(".", 1)
    workspace.gitbatch(
        "run",
        *("--items", "all", "--checkpoint", "at-end", "--no-input"),
        code=9,
        change=f"""
import os
from importlib import import_module
*path, last = {name!r}.split(":")
owner = import_module({module!r})
for part in path:
    owner = getattr(owner, part)
left, real = [None] * {time}, getattr(owner, last)
def dying(*arguments, **named):
    left.pop()
    return real(*arguments, **named) if left else os._exit(9)
setattr(owner, last, dying)
""",
    )


def test_a_kill_before_the_attempt_is_written_down_loses_no_output(workspace: Workspace) -> None:
    set_up(workspace, "half more")
    killed_at(workspace, "gitbatch.batch.history.ledger.Ledger:add_attempt")
    assert rescued(workspace) == ["1-t1-1"]
    assert "refs/gitbatch" not in workspace.git("for-each-ref", "refs/gitbatch/*/ledger/*")
    assert json.loads(workspace.gitbatch("status", "--json", code=0).stdout)["items"][0]["rescued"] == ref_of(
        workspace, "1-t1-1"
    )
    run(workspace)
    assert found(workspace, "T1", 2) == "T1 1\n"
    assert UNTOLD in prompt(workspace, "T1", 2)
    assert workspace.git("show", "main:out/T1.md") == "T1 1\nmore"
    assert rescued(workspace) == []
    assert_tidy(workspace)


def test_a_kill_between_two_rescues_leaves_the_newer_one(workspace: Workspace) -> None:
    set_up(workspace, "half half more")
    killed_at(workspace, "gitbatch.batch.item.rescue.rescued_refs", 2)
    assert rescued(workspace) == ["1-t1-1", "1-t1-2"]
    run(workspace)
    assert found(workspace, "T1", 3) == "T1 2\n"
    assert workspace.git("show", "main:out/T1.md") == "T1 2\nmore"
    assert rescued(workspace) == []
    assert_tidy(workspace)


def test_a_kill_after_the_merge_leaves_nothing_of_it(workspace: Workspace) -> None:
    set_up(workspace, "half ok", "half", batch="retries = 1", groups=2)
    workspace.edit("task.md", "do: half →", "do: half half →")
    workspace.commit()
    killed_at(workspace, "gitbatch.batch.loop.drop_branches")
    assert rescued(workspace) == ["1-t1-1"]
    shown = json.loads(workspace.gitbatch("status", "--json", code=0).stdout)
    assert [item["rescued"] for item in shown["items"]] == ["", ""], "its item is done"
    run(workspace, code=1)
    assert rescued(workspace) == ["2-t2-2"]
    assert_tidy(workspace)


def test_no_branch_that_points_at_it_is_taken_for_done(workspace: Workspace) -> None:
    """An agent without a sandbox can write refs."""
    set_up(workspace, "half later ok", batch="retries = 1")
    run(workspace, code=75)
    ref = ref_of(workspace, "*")
    batch = ref.split("/")[2]
    workspace.git("update-ref", f"refs/heads/gitbatch/{batch}/1-t1", ref)
    shown = json.loads(workspace.gitbatch("status", "--json", code=0).stdout)
    assert [(item["status"], item["rescued"]) for item in shown["items"]] == [("open", ref)]
    run(workspace)
    assert starts(workspace, "T1") == 3, "it ran again"
    assert workspace.git("show", "main:out/T1.md") == "T1 3"
    assert len(audit(workspace).items) == 1


def test_no_merge_that_brings_it_passes_verify(workspace: Workspace) -> None:
    set_up(workspace, "half", batch="retries = 0")
    run(workspace, code=1)
    start = workspace.git("rev-parse", "HEAD")
    workspace.gitbatch("verify", code=0)
    workspace.git("merge", "-q", "-m", "Take it by hand", ref_of(workspace, "1-t1-1"))
    for revisions in ("HEAD", f"{start}..HEAD"):
        said = json.loads(workspace.gitbatch("verify", "--json", revisions, code=1).stdout)
        assert workspace.git("rev-parse", "HEAD^2") in {found["commit"] for found in said["findings"]}
    workspace.git("reset", "-q", "--hard", start)


def test_a_ref_that_keeps_something_else_is_passed_over(workspace: Workspace) -> None:
    set_up(workspace, "half75 later ok", batch="retries = 0")
    run(workspace, code=75)
    ref = ref_of(workspace, "1-t1-1")
    good = workspace.git("rev-parse", ref)
    message = workspace.git("log", "-1", "--format=%B", good)
    base, tree = workspace.git("rev-parse", f"{good}^", f"{good}^{{tree}}").split()
    forged = {
        "another item's": message.replace("out/T1.md:", "out/T2.md:"),
        "another batch's": message.replace("Gitbatch-Batch: 2", "Gitbatch-Batch: 1"),
        "an item's": f"{message}\nGitbatch-Item: out/T1.md",
        "nothing's": "Some commit",
    }
    commits = [workspace.git("commit-tree", tree, "-p", base, "-m", text) for text in forged.values()]
    commits += [workspace.git("commit-tree", f"{base}^{{tree}}", "-p", base, "-m", message)]
    commits += [workspace.git("commit-tree", tree, "-m", message)]
    for commit in commits:
        workspace.git("update-ref", ref, commit)
        shown = json.loads(workspace.gitbatch("status", "--json", code=0).stdout)
        assert shown["items"][0]["rescued"] == "", workspace.git("log", "-1", "--format=%B", commit)
    workspace.git("update-ref", ref, good)
    shown = json.loads(workspace.gitbatch("status", "--json", code=0).stdout)
    assert shown["items"][0]["rescued"] == ref


def test_it_goes_with_the_record_of_its_batch(workspace: Workspace) -> None:
    set_up(workspace, "half", batch="retries = 0")
    run(workspace, code=1)
    ref = ref_of(workspace, "1-t1-1")
    workspace.gitbatch("gc", code=0)
    assert rescued(workspace) == ["1-t1-1"], "the last batch stays known, with all that it has"
    said = json.loads(workspace.gitbatch("gc", "--keep", "0", "--json", code=0).stdout)
    assert said["rescued"] == [], "it is not kept once more"
    assert ref in {removal["name"] for removal in said["removed"]}
    assert workspace.git("for-each-ref", "refs/gitbatch/") == ""


def test_abort_leaves_it_to_gc(workspace: Workspace) -> None:
    set_up(workspace, "half", "later", batch="retries = 0")
    run(workspace, jobs=1, code=75)
    workspace.gitbatch("abort", code=0)
    assert rescued(workspace) == ["1-t1-1"]
    workspace.gitbatch("gc", "--keep", "0", code=0)
    assert rescued(workspace) == []


def test_an_output_that_holds_a_key_is_not_kept(workspace: Workspace) -> None:
    set_up(workspace, "leak", batch="retries = 0", agent='pass-env = ["MY_KEY"]')
    workspace.edit("agent.sh", "nothing) say ;;", 'leak) echo "$MY_KEY" >"$GITBATCH_OUTPUT"; exit 3 ;;')
    workspace.edit("agent.sh", "leak) echo", "leak) mkdir -p out; echo")
    workspace.commit()
    workspace.environment["MY_KEY"] = "a-key-that-must-not-be-kept"
    run(workspace, code=1)
    assert starts(workspace, "T1") == 1
    assert rescued(workspace) == []


def test_what_was_committed_on_an_items_branch_is_kept_at_every_start(workspace: Workspace) -> None:
    set_up(workspace, "later later later ok", batch="retries = 0")
    run(workspace, code=75)
    base = workspace.git("rev-parse", "HEAD")
    batch = workspace.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/record").split("/")[2]
    commits = [
        workspace.git("commit-tree", f"{base}^{{tree}}", "-p", base, "-m", text) for text in ("A", "B")
    ]
    for commit in commits:
        workspace.git("update-ref", f"refs/heads/gitbatch/{batch}/1-t1", commit)
        run(workspace, code=75)
    assert rescued(workspace) == ["1-t1", "1-t1.2"]
    assert [workspace.git("rev-parse", ref_of(workspace, name)) for name in rescued(workspace)] == commits


def test_no_two_rescues_have_one_name() -> None:
    assert rescued_output_ref("b", "1-a", 2) == "refs/gitbatch/b/rescue/1-a-2"
    assert rescue_ref("b", "1-a") == "refs/gitbatch/b/rescue/1-a"
    assert rescue_ref("b", "1-a-2") == "refs/gitbatch/b/rescue/1-a-2.commit", "a slug may end like that"
    assert rescue_ref("b", "1-a.2") == "refs/gitbatch/b/rescue/1-a.2"
    assert split_rescued_output("1-a-2-3") == ("1-a-2", 3)
    assert [split_rescued_output(name) for name in ("1-a", "1-a-0", "1-a-2.commit", "end")] == [None] * 4


@pytest.mark.parametrize("encoding", ["eol=crlf", "working-tree-encoding=UTF-16LE"])
def test_a_retry_finds_it_as_a_checkout_would_have_it(workspace: Workspace, encoding: str) -> None:
    set_up(workspace, "half nothing")
    write = "*) page; say ;;"
    workspace.edit(
        "agent.sh", "half) page;", "half) mkdir -p out; printf 'a\\0\\n\\0' >\"$GITBATCH_OUTPUT\";"
    )
    if "crlf" in encoding:
        workspace.edit("agent.sh", r"printf 'a\0\n\0'", r"printf 'a\r\n'")
    assert write in workspace.read("agent.sh")
    workspace.write(".gitattributes", f"out/*.md text {encoding}\n")
    workspace.commit("Attributes")
    run(workspace)
    assert (workspace.home / "T1.found.2").read_bytes() == (b"a\r\n" if "crlf" in encoding else b"a\0\n\0")
    assert workspace.git("show", "main:out/T1.md") == "a"


BROKEN = """
from gitbatch.agents.process.agent import ProcessAgent
real = ProcessAgent.run
async def broken(self, assignment, place, progress):
    answer = await real(self, assignment, place, progress)
    if assignment.attempt == 1:
        raise KeyError("m03")
    return answer
ProcessAgent.run = broken
"""


def test_what_an_agent_had_written_before_an_internal_error_is_kept(workspace: Workspace) -> None:
    set_up(workspace, "ok more")
    options = ("--items", "all", "--checkpoint", "at-end", "--no-input")
    done = workspace.gitbatch("run", *options, code=0, change=BROKEN)
    assert "internal error in agent told: KeyError: 'm03'" in done.stdout
    assert found(workspace, "T1", 2) == "T1 1\n"
    assert workspace.git("show", "main:out/T1.md") == "T1 1\nmore"


@pytest.mark.parametrize("what", ["in the way", "tamper"])
@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_where_it_cannot_be_kept_the_attempt_has_failed_all_the_same(workspace: Workspace, what: str) -> None:
    set_up(workspace, "wall", batch="retries = 0")
    at = f"git -C '{workspace.root}'"
    wall = {
        "in the way": f"batch=$({at} for-each-ref --format='%(refname)' 'refs/gitbatch/*/record')\n"
        f"{at} update-ref ${{batch%/*}}/rescue HEAD",
        "tamper": f"{at} config core.editor true",
    }[what]
    workspace.edit("agent.sh", "hold) while", f"wall) page\n{wall}\nexit 3 ;;\nhold) while")
    workspace.commit("The agent")
    done = workspace.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=1)
    assert rescued(workspace) == []
    assert ("1 not done" in done.stdout) == (what == "in the way"), done.stdout
    tried = workspace.git("for-each-ref", "--format=%(objectname)", "refs/gitbatch/*/ledger/*")
    assert '"number":1' in workspace.git("cat-file", "blob", tried), "it is written down"


def test_every_path_comes_back_whole(workspace: Workspace) -> None:
    path = "out/Fixes #1 [skip ci] a → b's.md"
    set_up(workspace, "half half")
    workspace.edit("task.md", "Output: out/T1.md", f"Output: `{path}`")
    workspace.edit("gitbatch.toml", "[batch]", "[batch]\nretries = 0")
    workspace.commit()
    told = run(workspace, code=1)
    ref = ref_of(workspace, "1-t1-1")
    assert told.outcome("T1")["rescued"] == ref
    assert json.loads(workspace.gitbatch("status", "--json", code=0).stdout)["items"][0]["rescued"] == ref
    assert workspace.git("show", f"{ref}:{path}").endswith(" 1")
    assert "kept: gitbatch rescue take T1\n" in workspace.gitbatch("status", code=0).stdout
