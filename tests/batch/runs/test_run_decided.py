"""Whole runs with reviews in between: what is sent back, retried or rejected, and what later groups build on."""

import asyncio
import json

import pytest
from conftest import Workspace
from history import ticked, trailers
from reviews import APPROVE, REJECT, RETRY, REVISE, UNDO, decide
from sessions import run_here, session_settings

from gitbatch.batch.caller import PauseAlways
from gitbatch.batch.ending import Ending
from gitbatch.batch.events import Event, ItemFinished
from gitbatch.batch.history.decisions import DecisionKind
from gitbatch.batch.model import CheckpointMode
from gitbatch.batch.session import Session, open_session
from gitbatch.repo.opening import open_repository

AFTER_EACH = CheckpointMode.parse("after-each")
AGENT = """\
#!/bin/sh
# Writes its prompt below what its file had before.
set -eu
prompt=$(cat)
case $prompt in *FAIL*) exit 3 ;; esac
mkdir -p "$(dirname "$1")"
if [ -e "$1" ]; then echo "on top of $(head -n 1 "$1")" >"$1.new"; else echo "first" >"$1.new"; fi
printf '%s\\n' "$prompt" >>"$1.new"
mv "$1.new" "$1"
echo '{"summary": "Wrote it. It has one heading."}' >"$GITBATCH_REPLY"
"""


@pytest.fixture
def revised(three: Workspace) -> Workspace:
    """A plan whose agent writes down its prompt."""
    three.write("tools/agent.sh", AGENT)
    three.commit()
    return three


@pytest.mark.rule("F7")
def test_what_is_sent_back_runs_again_before_the_next_group(
    revised: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On its own output, with the comment; the rejected one does not run, and the next group builds on what was decided."""
    run_here(revised, monkeypatch, checkpoint=AFTER_EACH)
    decide(revised, (REVISE, "T101"), rest=False, comment="Say more.\n\nGitbatch-Review: approve 1 x -")
    decide(revised, (REJECT, "T102"), rest=True, comment="No.")
    shown = json.loads(revised.gitbatch("status", "--json", code=0).stdout)["items"]
    assert [(item["status"], item["reason"]) for item in shown[:3]] == [
        ("open", "sent back in a review: it runs again"),
        ("rejected", "rejected in a review: No."),
        ("succeeded", ""),
    ]
    result, events = run_here(revised, monkeypatch, items=None, checkpoint=None)
    assert result.ending is Ending.PAUSED
    started = [event for event in events if event["event"] == "group-started"]
    assert [(e["group"], e["revision"], e["items"]) for e in started] == [(1, 1, ["out/letters/a.md"])]
    assert revised.subjects()[-2:] == [
        "gitbatch: merge 1 item of “Letters”",
        "gitbatch: checkpoint 1/3, revision 1: Letters (1 of 1 done)",
    ]
    text = revised.read("out/letters/a.md")
    assert text.startswith("on top of first\n")
    assert "\n> Say more.\n> \n> Gitbatch-Review: approve 1 x -\n" in text
    assert "\n> Wrote it. It has one heading.\n" in text
    assert "\n- [ ] T102" in revised.read("task.md")
    assert ticked(revised) == ["T101", "T103", "T104"]
    result, events = run_here(revised, monkeypatch, items=None, checkpoint=None)
    started = [event for event in events if event["event"] == "group-started"]
    assert [(e["group"], e["revision"]) for e in started] == [(2, 0)]
    reasons = {failure.name: failure.reason for failure in result.failures}
    assert reasons["T201"] == (
        "required context not written: out/letters/b.md (rejected: rejected in a review: No.)"
    )
    assert revised.git("show", "main:out/letters/a.md") == text.removesuffix("\n")


@pytest.mark.rule("F7")
def test_what_failed_is_retried_and_what_ended_is_opened_again(
    revised: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed item of an ended batch and a rejected one run again; then the batch ends again, and nothing is left."""
    revised.edit("task.md", "Write two", "Write FAIL two")
    revised.commit()
    run_here(revised, monkeypatch)
    assert "T302" not in ticked(revised)
    decide(revised, (REJECT, "T101"))
    revised.edit("task.md", "Write FAIL two", "Write two")
    revised.commit("Do not fail")
    decide(revised, (RETRY, "T101"), (RETRY, "T302"), comment="Now it works.")
    result, events = run_here(revised, monkeypatch, items=None, checkpoint=None)
    assert (result.ending, result.succeeded, result.failed) == (Ending.COMPLETE, 12, 0)
    started = [event for event in events if event["event"] == "group-started"]
    assert [(e["group"], e["revision"]) for e in started] == [(1, 1), (3, 1)]
    assert revised.read("out/letters/a.md").startswith("first\n")
    assert "> Now it works." in revised.read("out/words/two.md")
    assert len(ticked(revised)) == 12
    assert "3 of 3 groups, 12 of 12 items" in revised.gitbatch("status", code=0).stdout
    decide(revised, (APPROVE, "T101"))


@pytest.mark.rule("F7")
def test_a_revision_that_fails_leaves_its_last_version(
    revised: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its box is open; it can be rejected, and sent back again."""
    run_here(revised, monkeypatch, checkpoint=AFTER_EACH)
    before = revised.read("out/letters/a.md")
    decide(revised, (REVISE, "T101"), comment="FAIL")
    result, _ = run_here(revised, monkeypatch, items=None, checkpoint=None)
    assert [failure.name for failure in result.failures] == ["T101"]
    assert revised.read("out/letters/a.md") == before
    assert ticked(revised) == ["T102", "T103", "T104"]
    decide(revised, (RETRY, "T101"))
    result, _ = run_here(revised, monkeypatch, items=None, checkpoint=None)
    assert [failure.name for failure in result.failures] == ["T101"], "its agent is told the same again"
    decide(revised, (REVISE, "T101"), comment="Better")
    run_here(revised, monkeypatch, items=None, checkpoint=None)
    assert revised.subjects()[-1] == "gitbatch: checkpoint 1/3, revision 3: Letters (1 of 1 done)"
    assert "> Better\n" in revised.read("out/letters/a.md")
    assert "FAIL" not in revised.read("out/letters/a.md"), "what was said last when it was sent back counts"
    assert ticked(revised) == ["T101", "T102", "T103", "T104"]
    decide(revised, (REJECT, "T101"))
    assert not (revised.root / "out/letters/a.md").exists()


def test_an_item_that_the_user_ticks_instead_is_skipped(
    revised: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here(revised, monkeypatch, checkpoint=AFTER_EACH)
    decide(revised, (REVISE, "T101"), comment="more")
    revised.edit("task.md", "- [ ] T101", "- [x] T101")
    revised.commit()
    result, events = run_here(revised, monkeypatch, items=None, checkpoint=None)
    assert result.ending is Ending.PAUSED
    assert [e["group"] for e in events if e["event"] == "group-started"] == [2]


@pytest.mark.rule("F7")
def test_where_approval_is_required_nothing_continues_without_it(
    revised: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the next group, and not the end of the batch."""
    revised.write("gitbatch.toml", f"{revised.read('gitbatch.toml')}\n[review]\nrequire-approval = true\n")
    revised.commit()
    run_here(revised, monkeypatch, items="T101,T102,T301", checkpoint=AFTER_EACH)
    result, events = run_here(revised, monkeypatch, items=None, checkpoint=None)
    notices = [event["text"] for event in events if event["event"] == "notice"]
    assert (result.ending, result.needs_review) == (Ending.PAUSED, True)
    assert notices == ["undecided (review.require-approval): T101, T102; decide with gitbatch review"]
    decide(revised, (REJECT, "T101"), rest=True)
    result, events = run_here(revised, monkeypatch, items=None, checkpoint=None)
    assert (result.ending, result.needs_review) == (Ending.PAUSED, True), "the last group is undecided"
    assert [event["group"] for event in events if event["event"] == "group-started"] == [3]
    decide(revised, rest=True)
    assert run_here(revised, monkeypatch, items=None, checkpoint=None)[0].ending is Ending.COMPLETE


def test_a_branch_that_a_killed_run_left_is_not_the_revision(
    revised: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The item's first commit, on its branch again after the review, was made before it: the item runs."""
    run_here(revised, monkeypatch, checkpoint=AFTER_EACH)
    old = revised.git("log", "main", "--format=%H", "--grep", "^Gitbatch-Item: out/letters/a.md$")
    batch = revised.git("log", "-1", "--format=%(trailers:key=Gitbatch-Batch,valueonly)", old).strip()
    decide(revised, (REVISE, "T101"), comment="More.")
    revised.git("branch", f"gitbatch/{batch}/1-t101", old)
    run_here(revised, monkeypatch, items=None, checkpoint=None)
    assert revised.read("out/letters/a.md").startswith("on top of first\n")


READERS = """\
# Plan

## Work Packages

### One
- [ ] T1 Write → Output: out/a.md
- [ ] T2 Write → Output: out/b.md
### Two
- [ ] T3 Read (context: out/a.md) → Output: out/c.md
- [ ] T4 Read (context: out/b.md) → Output: out/d.md
- [ ] T5 Read (context: out/b.md) → Output: out/e.md
"""


@pytest.mark.rule("F7")
@pytest.mark.parametrize(("kind", "ran"), [(REVISE, "aabccde"), (UNDO, "abcde")])
def test_a_finished_item_that_read_what_a_review_changed_runs_again(
    three: Workspace, monkeypatch: pytest.MonkeyPatch, kind: DecisionKind, ran: str
) -> None:
    """It waits on its branch for its group; another one, which read another file, is kept and not paid for again."""
    script = (
        'set -eu\ncat >/dev/null\nbasename "$1" .md >>"$HOME/ran"\nmkdir -p out\nwc -l <"$HOME/ran" >"$1"\n'
    )
    three.write(
        "tools/agent.sh", f'{script}echo \'{{"summary": "Wrote it. It is short."}}\' >"$GITBATCH_REPLY"\n'
    )
    three.write("task.md", READERS)
    three.commit("Readers")
    run_here(three, monkeypatch, checkpoint=AFTER_EACH, jobs=1)
    pause_after(three, monkeypatch, "T4")
    decide(three, (kind, "T1"))
    _, events = run_here(three, monkeypatch, items=None, checkpoint=None)
    if kind is REVISE:
        _, more = run_here(three, monkeypatch, items=None, checkpoint=None)
        events += more
    again = [event["text"] for event in events if event["event"] == "notice"]
    assert again == ["again: T3, a review has since changed what it read: out/a.md"]
    assert "".join(sorted((three.home / "ran").read_text().split())) == ran
    assert ticked(three) == (["T1", "T2", "T3", "T4", "T5"] if kind is REVISE else ["T2", "T4", "T5"])
    if kind is REVISE:
        item = three.git("log", "main", "--format=%H", "--grep", "^Gitbatch-Item: out/c.md$").strip()
        blob = three.git("rev-parse", "main:out/a.md").strip()
        assert f"out/a.md@{blob}" in trailers(three, item, "Context")


def pause_after(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    """Runs a batch until an item has finished, and pauses it then."""
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    sessions: list[Session] = []

    def pause(event: Event) -> None:
        if isinstance(event, ItemFinished) and event.outcome.item.name == wanted:
            sessions[0].request_pause()

    repo = open_repository(workspace.root)
    try:
        settings = session_settings(workspace, items=None, checkpoint=None, jobs=1)
        with open_session(repo, settings, (pause,)) as session:
            sessions.append(session)
            assert asyncio.run(session.run(PauseAlways())).ending is Ending.HALTED
    finally:
        repo.close()
