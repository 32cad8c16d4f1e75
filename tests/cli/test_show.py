"""`gitbatch show` and `gitbatch logs`: an item in full, from git and from the log of its batch."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from batch.programs import AGENT, prompt, run, set_up
from cli.test_json import validate
from conftest import Here, Workspace

EVIL = r"""evil)
    printf '\033[2Jpage\n\n+++ b/other\rx\n' >"$GITBATCH_OUTPUT"; printf '\033]0;t\007oops\n' >&2
    say ', "decisions": ["see \u001b[31mred"]' ;;
slow) sleep 600 ;;"""


def own_folder(workspace: Workspace) -> Path:
    """The folder with the log and the prompts of the only batch."""
    (found,) = (path for path in (workspace.root / ".git/gitbatch").iterdir() if (path / "prompts").is_dir())
    return found


def make_batch(workspace: Workspace) -> None:
    """A batch with an item that succeeds at its second attempt, one that fails, and one that writes escape sequences."""
    set_up(workspace, "paidfail paid", "paidfail paidfail paidfail", "evil")
    workspace.write("agent.sh", AGENT.replace("slow) sleep 600 ;;", EVIL, 1))
    workspace.commit("evil")
    run(workspace, code=1)


def test_item_in_full(workspace: Workspace, here: Here) -> None:
    make_batch(workspace)
    before = workspace.state()
    page = here("show", "t1")[1].splitlines()
    commit, base = workspace.git("log", "-1", "--format=%H %P", "--grep=^Gitbatch-Item: out/T1.md").split()
    assert page[0] == "T1  Write do: paidfail paid"
    assert page[1].startswith("  succeeded in group 1 of batch ")
    assert f"  commit {commit[:10]} on {base[:10]}" in page
    assert "  agent told, model m-1" in page
    assert page[page.index("summary") + 1] == "  Wrote it. It is short."
    first, second = page[page.index("attempts") + 1 :][:2]
    assert first.split()[:2] == ["1", "failed"]
    assert first.endswith("it broke (exit 3)")
    assert second.split()[:2] == ["2", "succeeded"]
    assert second.endswith("420 tokens, $0.4000"), "its own cost, not that of all attempts"
    assert page[-3:] == [f"{option}:  gitbatch show T1 --{option}" for option in ("diff", "prompt", "log")]

    failed = here("show", "T2")[1]
    assert "  reason: it broke (exit 3)\n" in failed
    assert failed.count("420 tokens, $0.4000") == 3
    assert "standard error, last lines\n  it broke\n" in failed
    assert here("show", "T2", "--diff")[::2] == (
        1,
        "gitbatch: T2 has no output\n  see why: gitbatch show T2\n",
    )

    evil = here("show", "T3")[1] + here("show", "T3", "--diff")[1] + here("show", "T3", "--log")[1]
    assert "\x1b" not in evil
    assert "  see red\n" in evil, "a decision of the agent"
    assert " ! oops\n" in evil
    assert "\n+^[[2Jpage\n+\n++++ b/other^Mx\n" in evil

    output: Any = json.loads(here("show", "T1", "--json")[1])
    validate(output, "show")
    assert output["details"]["commit"] == commit
    assert [attempt["status"] for attempt in output["details"]["attempts"]] == ["failed", "succeeded"]
    assert output["prompt"] == {"text": prompt(workspace, "T1", 2).rstrip("\n"), "attempt": 2}
    assert "it broke" in [line["text"] for line in output["log"]]
    assert workspace.state() == before


def test_prompt_that_was_not_kept(workspace: Workspace, here: Here) -> None:
    set_up(workspace, "half half half")
    run(workspace, code=1)
    given = prompt(workspace, "T1", 3)
    assert here("show", "T1", "--prompt") == (0, given, "")
    kept = own_folder(workspace) / "prompts/1-t1.3.md"
    kept.unlink()
    kept.symlink_to("/etc/hostname")  # as an agent without a sandbox could
    assert here("show", "T1", "--prompt") == (0, prompt(workspace, "T1", 2), ""), "the last one that is kept"
    shutil.rmtree(own_folder(workspace))
    code, said, note = here("show", "T1", "--prompt")
    assert (code, said) == (0, given)
    assert note.startswith("note: this prompt was rendered again from git")
    assert json.loads(here("show", "T1", "--json")[1])["prompt"]["attempt"] == 0
    assert here("show", "T1", "--log")[0] == 1
    assert "T1 has no log: it was removed" in here("logs", "T1")[2]
    workspace.write("task.md", "# Plan\n\n## Work Packages\n")
    workspace.commit("no plan")
    assert here("show", "T1", "--prompt")[1] == given, "the plan is that of the attempt"


def test_logs(workspace: Workspace, here: Here) -> None:
    set_up(workspace, "half ok", "ok")
    run(workspace)
    last = here("logs", "T1")[1].splitlines()
    assert [line[9:] for line in last[:1]] == ["  attempt 2 starts (agent told)"]
    assert last[-1][9:].startswith("  succeeded after ")
    first = here("logs", "out/T1.md", "--attempt", "1")[1].splitlines()
    assert [line[9:] for line in first] == [
        "  attempt 1 starts (agent told)",
        "! it broke",
        "  attempt 1 failed: it broke (exit 3)",
    ]
    code, _, error = here("logs", "T1", "--attempt", "7")
    assert (code, error) == (1, "gitbatch: T1 has no attempt 7 in the log\n  attempts: 1, 2\n")
    *lines, end = map(json.loads, here("logs", "T1", "-f", "--json")[1].splitlines())
    for each in (*lines, end):
        validate(each, "logs")
    assert [line["attempt"] for line in lines] == [1, 1, 1, 2, 2]
    assert (end["ok"], end["item"], end["lines"]) == (True, "out/T1.md", 5)


def test_items_that_are_not_there(workspace: Workspace, here: Here) -> None:
    set_up(workspace, "ok", "ok")
    assert (
        here("show", "T1")[2]
        == "gitbatch: no batch has run here, so T1 is unknown\n  start one: gitbatch run\n"
    )
    run(workspace)
    assert here("show", "nonsense")[2].startswith(
        "gitbatch: nonsense is not an item of a batch\n  items of batch "
    )
    assert here("logs", "T3")[2] == "gitbatch: T3 is not an item of a batch\n  did you mean T1?\n"
    assert here("show", "T1", "--batch", "20200101-000000-abcd")[0] == 2
    assert here("show", "T1", "--diff", "--log")[0] == 2


def test_batch_that_gc_has_removed(workspace: Workspace, here: Here) -> None:
    """Everything is rebuilt from the commits alone."""
    set_up(workspace, "paid", "3 3 3", "ok")
    run(workspace, code=1)
    before: Any = json.loads(here("show", "T1", "--json")[1])
    given = here("show", "T1", "--prompt")[1]
    workspace.gitbatch("gc", "--keep", "0", code=0)
    assert workspace.git("for-each-ref", "refs/gitbatch/") == ""
    after: Any = json.loads(here("show", "T1", "--json")[1])
    assert after["batch"] == before["batch"]
    assert (after["item"], after["details"]) == (before["item"], before["details"])
    assert after["log"] == []
    code, said, note = here("show", "T1", "--prompt")
    assert (code, said, note.startswith("note: this prompt was rendered again")) == (0, given, True)
    assert "  reason: it broke (exit 3)\n" in here("show", "t2", "--batch", before["batch"])[1]
    assert (
        f"batch {before['batch']} (ended) on main: 1 of 1 group, 2 of 3 items"
        in here("status", before["batch"])[1]
    )
    assert here("show", "T4")[2].startswith("gitbatch: no batch has run here")


@pytest.mark.forged
def test_made_up_batch(workspace: Workspace, here: Here) -> None:
    """A commit that only looks like a checkpoint of gitbatch, without a parent, on a day that does not exist."""
    workspace.write("task.md", "# Plan\n\n## Work Packages\n\n### G\n\n- [ ] T1 Write → Output: out/a.md\n")
    end = "Gitbatch-Batch: 20260231-000000-abcd\nGitbatch-Group: 1 G\n"
    workspace.commit(f"x\n\n{end}Gitbatch-Checkpoint: 1/1\nGitbatch-Succeeded: out/a.md")
    assert here("show", "T1")[0] == 2
    workspace.git(
        "commit",
        "--quiet",
        "--allow-empty",
        "--message",
        f"x\n\n{end}Gitbatch-Reviewed: 1/1\nGitbatch-Plan: task.md",
    )
    assert here("show", "T1")[0] == 2
    workspace.git(
        "commit",
        "--quiet",
        "--allow-empty",
        "--message",
        f"x\n\n{end}Gitbatch-Checkpoint: 1/1\nGitbatch-Plan: task.md\nGitbatch-Succeeded: out/a.md",
    )
    assert "T1  Write" in here("show", "T1")[1]


def test_item_that_was_sent_back(workspace: Workspace, here: Here) -> None:
    """Both versions, both prompts and the comment are seen; the last one is what is meant."""
    set_up(workspace, "half paid ok", "ok", groups=2)
    workspace.gitbatch("run", "--items", "all", "--checkpoint", "after-each", code=3)
    assert here("review", "T1", "--revise", "Say\n*more*.")[0] == 0
    waiting: Any = json.loads(here("show", "T1", "--json")[1])
    state = waiting["item"]
    assert (state["status"], state["reason"]) == ("open", "sent back in a review: it runs again")
    assert waiting["prompt"] == {"text": prompt(workspace, "T1", 2).rstrip("\n"), "attempt": 2}
    workspace.gitbatch("run", "--no-input", code=3)
    after: Any = json.loads(here("show", "T1", "--json")[1])
    validate(after, "show")
    details = after["details"]
    first, second = details["versions"]
    assert (first, second) == (waiting["details"]["commit"], details["commit"])
    assert [(a["repetition"], a["number"], a["status"]) for a in details["attempts"]] == [
        (0, 1, "failed"),
        (0, 2, "succeeded"),
        (1, 1, "succeeded"),
    ]
    assert [(each["kind"], each["comment"]) for each in details["reviews"]] == [("revise", "Say\n*more*.")]
    assert after["prompt"] == {"text": prompt(workspace, "T1", 3).rstrip("\n"), "attempt": 1}
    assert "*more*." in after["prompt"]["text"]
    page = here("show", "T1")[1]
    shutil.rmtree(own_folder(workspace) / "prompts")
    assert here("show", "T1", "--prompt")[1] == prompt(workspace, "T1", 3), "rendered again, with the comment"
    assert f"  earlier versions: {first[:10]}\n" in page
    assert "\n  1 after review 1  succeeded" in page
    assert "\n-T1 2\n+T1 3\n" in here("show", "T1", "--diff")[1]
    assert here("logs", "T1")[1].splitlines()[0].endswith("attempt 1 starts (agent told)")
    assert len(here("logs", "T1", "--attempt", "1")[1].splitlines()) == 5
