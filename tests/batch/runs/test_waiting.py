"""Waiting is seeing: an item that waits for others of its group starts from a tree that has what they wrote."""

import json
from typing import Any

import pytest
from conftest import Running, Workspace
from waiting import wait_until

AGENT = r"""
prompt=$(cat)
echo "$prompt" >"$HOME/$GITBATCH_ITEM.prompt"
echo start >>"$HOME/$GITBATCH_ITEM.starts"
case $prompt in
*"do: fail"*) echo "it broke" >&2; exit 3 ;;
*"do: later"*) echo '{"summary": "Later.", "retry_after": 5000}' >"$GITBATCH_REPLY"; exit 75 ;;
*"do: hold"*) while [ ! -e "$HOME/go" ]; do sleep 0.05; done ;;
esac
mkdir -p "$(dirname "$GITBATCH_OUTPUT")"
seen=$(cat out/*.md out/*/*.md 2>/dev/null | sed -n 's/^by //p' | tr '\n' ' ')
printf 'by %s\nsaw %s\n' "$GITBATCH_ITEM" "$seen" >"$GITBATCH_OUTPUT"
echo "Wrote it. It is short."
"""
HEAD = "# Plan\n\n## Work Packages\n\n"


def set_up(workspace: Workspace, text: str, settings: str = "") -> None:
    (workspace.home / "agent.sh").write_text(AGENT)
    command = json.dumps(["sh", str(workspace.home / "agent.sh")])
    table = f'[agents.told]\nkind = "command"\ncommand = {command}\nsandbox = "none"\n'
    workspace.write("gitbatch.toml", f"[batch]\nretries = 0\n{settings}\n{table}")
    workspace.write("task.md", HEAD + text)
    workspace.commit()


def run(workspace: Workspace, code: int = 0) -> dict[str, Any]:
    """Runs open items; returns the last outcome of each by its name."""
    command = ("run", "--items", "all", "--checkpoint", "after-batch:9", "--json")
    events = [json.loads(line) for line in workspace.gitbatch(*command, code=code).stdout.splitlines()]
    return {e["outcome"]["item"]["name"]: e["outcome"] for e in events if e.get("event") == "item-finished"}


def saw(workspace: Workspace, number: int | str) -> list[str]:
    """What an item found in its tree."""
    return workspace.read(f"out/{number}.md").splitlines()[1].removeprefix("saw").split()


def base_merges(workspace: Workspace) -> list[str]:
    return workspace.git("log", "--format=%H", "--grep=gitbatch: base of").split()


@pytest.mark.parametrize("checkout", ["full", "context"])
def test_each_of_a_row_sees_all_before_it(workspace: Workspace, checkout: str) -> None:
    text = "".join(f"- [ ] T{n} Write → Output: out/{n}/page.md\n" for n in range(1, 5))
    set_up(workspace, f"### Row\n<!-- sequential -->\n\n{text}", f'checkout = "{checkout}"')
    run(workspace)
    for number in range(1, 5):
        assert saw(workspace, f"{number}/page") == [f"1-t{before}" for before in range(1, number)]
    merges = base_merges(workspace)
    assert len(merges) == 3, "one merge an item"
    assert {len(workspace.git("log", "-1", "--format=%P", merge).split()) for merge in merges} == {2}
    assert "gitbatch: base of" not in workspace.git("log", "--first-parent", "--format=%s")


MIXED = """\
### Mixed
- [ ] T1 Write do: fail → Output: out/1.md
- [ ] T2 Write → Output: out/2.md
- [ ] T3 Write → After: T1, T2 → Output: out/3.md
- [ ] T4 Write (context: out/1.md) → After: T1 → Output: out/4.md
- [ ] T5 Write (context: out/2.md) → After: T2 → Output: out/5.md
- [ ] T6 Write → After: T3, T5 → Output: out/6.md
"""


@pytest.mark.rule("E1")
def test_a_failed_item_does_not_stop_those_that_wait_for_it(workspace: Workspace) -> None:
    set_up(workspace, MIXED)
    done = run(workspace, code=1)
    assert saw(workspace, 3) == ["1-t2"]
    assert saw(workspace, 5) == ["1-t2"]
    assert saw(workspace, 6) == ["1-t2", "1-t3", "1-t5"]
    said = (workspace.home / "1-t3.prompt").read_text()
    assert "- not written: out/1.md (failed: " in said
    assert "- out/2.md (waited for)" in said
    assert "not written: out/1.md" in (workspace.home / "1-t6.prompt").read_text()
    assert done["T4"]["status"] == "blocked", "it declares the file"
    assert "out/1.md" in done["T4"]["reason"]
    (base,) = workspace.git("log", "--format=%H", "--grep=gitbatch: base of T6").split()
    _, *merged = workspace.git("log", "-1", "--format=%P", base).split()
    subjects = workspace.git("log", "--no-walk", "--format=%s", *merged).splitlines()
    assert sorted(subjects) == ["T3 Write", "T5 Write"], "T2 is below both"


def test_with_block_an_item_does_not_run_without_what_it_waits_for(workspace: Workspace) -> None:
    set_up(workspace, MIXED, 'on-missing = "block"')
    done = run(workspace, code=1)
    assert done["T3"]["status"] == "blocked"
    assert done["T5"]["status"] == "succeeded"
    assert done["T6"]["status"] == "blocked"


def start(workspace: Workspace) -> Running:
    return workspace.start("run", "--items", "all", "--checkpoint", "after-batch:9")


ROW = """\
### Row
<!-- sequential -->

- [ ] T1 Write → Output: out/1.md
- [ ] T2 Write → Output: out/2.md
- [ ] T3 Write do: hold → Output: out/3.md
- [ ] T4 Write → Output: out/4.md
"""


def starts(workspace: Workspace, number: int) -> int:
    path = workspace.home / f"1-t{number}.starts"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_after_a_kill_what_is_done_is_seen_and_what_failed_has_no_more_attempts(workspace: Workspace) -> None:
    set_up(workspace, ROW.replace("T2 Write", "T2 Write do: fail"))
    process = start(workspace)
    wait_until(lambda: starts(workspace, 3) == 1 or process.poll() is not None, "the third item")
    process.kill()
    process.communicate()
    (workspace.home / "go").touch()
    run(workspace, code=1)
    assert saw(workspace, 4) == ["1-t1", "1-t3"]
    assert [starts(workspace, number) for number in range(1, 5)] == [1, 1, 2, 1]


def test_what_stands_on_an_item_in_conflict_runs_again(workspace: Workspace) -> None:
    set_up(workspace, ROW)
    process = start(workspace)
    wait_until(lambda: starts(workspace, 3) == 1 or process.poll() is not None, "the third item")
    workspace.write("out/1.md", "by the user\n")
    workspace.commit("mine")
    (workspace.home / "go").touch()
    said, _ = process.communicate()
    assert workspace.read("out/1.md") == "by the user\n"
    assert [starts(workspace, number) for number in range(1, 5)] == [1, 2, 2, 2], said
    assert saw(workspace, 2) == ["the", "user"]
    assert saw(workspace, 4)[-2:] == ["1-t2", "1-t3"]
    kept = workspace.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/rescue/*").splitlines()
    assert sorted(ref.rpartition("/")[2] for ref in kept) == ["1-t2", "1-t3", "1-t4"]
    told = (workspace.home / "1-t2.prompt").read_text()
    assert "- not updated: out/1.md (conflicted: " in told
    ticked = [line[6:8] for line in workspace.read("task.md").splitlines() if line.startswith("- [x]")]
    assert ticked == ["T2", "T3", "T4"]


def test_where_the_batch_halts_what_waits_does_not_start(workspace: Workspace) -> None:
    set_up(workspace, ROW.replace("T1 Write", "T1 Write do: later"))
    workspace.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=75)
    assert [starts(workspace, number) for number in range(1, 5)] == [1, 0, 0, 0]
