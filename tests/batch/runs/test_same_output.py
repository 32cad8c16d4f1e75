"""The same output again: an item of a later group revises the file of an earlier one, and each has its own box."""

import json
from typing import Any

import pytest
from conftest import Workspace

AGENT = r"""
prompt=$(cat)
echo "$prompt" >"$HOME/$GITBATCH_ITEM.prompt"
case $prompt in
*"do: fail"*) echo "it broke" >&2; exit 3 ;;
*"do: same"*) ;;
*) mkdir -p "$(dirname "$GITBATCH_OUTPUT")"; echo "$GITBATCH_ITEM" >>"$GITBATCH_OUTPUT" ;;
esac
echo "Wrote it. It is short."
"""
PLAN = """\
# Plan

## Work Packages

### Draft
- [ ] T1 Write → Output: out/a.md
- [ ] T2 Write do: fail → Output: out/b.md
### Revision
- [ ] T3 Revise → Output: out/a.md
- [ ] T4 Revise → Output: out/b.md
### Check
- [ ] T5 Look again do: same → Output: out/a.md
### Use
- [ ] T6 Read (context: out/a.md) → Output: out/c.md
- [ ] T7 Read all → Output: out/d.md
"""


@pytest.fixture
def drafts(workspace: Workspace) -> Workspace:
    workspace.write("agent.sh", AGENT)
    workspace.write(
        "gitbatch.toml",
        '[batch]\nretries = 0\n[agents.told]\nkind = "command"\ncommand = ["sh", "agent.sh"]\nsandbox = "none"\n',
    )
    workspace.write("task.md", PLAN)
    workspace.commit()
    return workspace


def run(workspace: Workspace, *arguments: str, code: int) -> dict[str, Any]:
    """Runs open items; returns the outcome of each by its name."""
    command = ("run", "--items", "all", "--checkpoint", "after-batch:9", "--json", *arguments)
    events = [json.loads(line) for line in workspace.gitbatch(*command, code=code).stdout.splitlines()]
    return {e["outcome"]["item"]["name"]: e["outcome"] for e in events if e.get("event") == "item-finished"}


@pytest.mark.rule("E2")
def test_each_item_ticks_its_own_box(drafts: Workspace) -> None:
    done = run(drafts, code=1)
    assert drafts.read("out/a.md") == "1-t1\n2-t3\n"
    ticked = [line[6:8] for line in drafts.read("task.md").splitlines() if line.startswith("- [x]")]
    assert ticked == ["T1", "T3", "T6", "T7"]
    assert done["T4"]["status"] == "blocked"
    assert done["T4"]["reason"] == "it revises out/b.md, which T2 did not write"
    assert (done["T5"]["status"], done["T5"]["attempts"]) == ("failed", 1)
    assert "tick the item's box in task.md by hand" in done["T5"]["reason"]
    said = (drafts.home / "2-t3.prompt").read_text()
    assert "out/a.md is there already: T1 of an earlier group wrote it." in said
    assert "- out/a.md" not in said, "its own file is no context"
    assert "- out/a.md (declared)" in (drafts.home / "4-t6.prompt").read_text()
    assert "- not updated: out/a.md (failed: " in (drafts.home / "4-t6.prompt").read_text()
    states = json.loads(drafts.gitbatch("status", "--json").stdout)["items"]
    assert [(s["group"], s["item"], s["status"]) for s in states][::2] == [
        (1, "out/a.md", "succeeded"),
        (2, "out/a.md", "succeeded"),
        (3, "out/a.md", "failed"),
        (4, "out/d.md", "succeeded"),
    ]


@pytest.mark.rule("P4")
def test_a_file_that_was_written_by_hand_is_not_missing(drafts: Workspace) -> None:
    drafts.gitbatch("run", "--items", "all", "--checkpoint", "after-each", code=3)
    drafts.write("out/b.md", "by hand\n")
    drafts.edit("task.md", "- [ ] T2", "- [x] T2")
    drafts.commit()
    drafts.gitbatch("run", "--continue", "--checkpoint", "after-batch:9", code=1)
    assert drafts.read("out/b.md") == "by hand\n2-t4\n"
    said = (drafts.home / "4-t7.prompt").read_text()
    assert "- not updated: out/a.md (failed: " in said, "T5 failed"
    assert "not updated: out/b.md" not in said


def test_an_ambiguous_path_is_named_with_its_group(drafts: Workspace) -> None:
    refused = drafts.gitbatch("run", "--items", "out/a.md", "--checkpoint", "at-end", code=2)
    assert "3 items are called out/a.md" in refused.stderr
    assert "1:out/a.md or 2:out/a.md or 3:out/a.md" in refused.stderr
    refused = drafts.gitbatch("run", "--items", "2:out/a.md", "--checkpoint", "at-end", code=2)
    assert "T3 revises out/a.md, which T1 of an earlier group is to write" in refused.stderr
    drafts.edit("task.md", "- [ ] T1 Write", "- [ ] Write")
    drafts.commit()
    refused = drafts.gitbatch("run", "--items", "2:out/a.md", "--checkpoint", "at-end", code=2)
    assert "which 1:out/a.md of an earlier group is to write" in refused.stderr, "it has no id"
    assert "choose 1:out/a.md too" in refused.stderr
    drafts.edit("task.md", "- [ ] Write", "- [x] Write")
    drafts.write("out/a.md", "by hand\n")
    drafts.commit()
    done = run(drafts, "--items", "2:out/a.md", code=0)
    assert done.keys() == {"T3"}
    assert drafts.read("out/a.md") == "by hand\n2-t3\n"
    assert "1:out/a.md of an earlier group wrote it" in (drafts.home / "2-t3.prompt").read_text()


EDITING = """*"do: edit"*)
    (cd "$HOME/../repo" && cp "$HOME/plan" task.md && git -c user.name=u -c user.email=u@e commit -qam edit)
    mkdir -p one; echo x >"$GITBATCH_OUTPUT" ;;
"""
BEFORE = "## Work Packages\n### One\n- [ ] T1 a do: edit\n### Two\n- [ ] T2 b → Output: out/b.md\n"
AFTER = BEFORE.partition("### Two")[0] + "### Else\n- [ ] T5 d\n"


@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_an_item_that_may_be_several_of_an_edited_plan_is_cancelled(drafts: Workspace) -> None:
    drafts.write("task.md", BEFORE)
    drafts.edit("agent.sh", '*"do: fail"*)', f'{EDITING}*"do: fail"*)')
    more = (f"### {title}\n- [ ] {title}-1 c → Output: out/b.md\n" for title in ("THREE", "FOUR"))
    (drafts.home / "plan").write_text(AFTER + "".join(more), encoding="utf-8")
    drafts.commit()
    done = run(drafts, code=1)
    assert done["T1"]["status"] == "succeeded"
    assert done["T2"]["status"] == "cancelled"
    assert "2 items of other groups than “Two” write out/b.md" in done["T2"]["reason"]
