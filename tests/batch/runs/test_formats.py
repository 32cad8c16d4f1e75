"""A whole run of a `command` agent with a format, with a program that plays streams of Codex.

`play: STREAM…` in an item names the stream of each of its starts; the last one stays.
"""

import shutil
from pathlib import Path

import pytest
from conftest import Workspace
from history import assert_tidy, audit, ticked, trailers
from sessions import run_here

from gitbatch.agents.process import watch
from gitbatch.batch.ending import Ending
from gitbatch.limits import rate_limit

STREAMS = Path(__file__).parents[2] / "agents" / "streams"
FAKE = r"""#!/bin/sh
set -u
prompt=$(cat)
name=$(basename "$GITBATCH_OUTPUT" .md)
count=$(($(cat "$HOME/$name.starts" 2>/dev/null || echo 0) + 1))
echo "$count" >"$HOME/$name.starts"
words=$(printf '%s\n' "$prompt" | sed -n 's/^> .*play: \([a-z0-9 -]*[a-z0-9]\).*/\1/p' | head -n 1)
word=$(echo "$words" | cut -d ' ' -f "$count")
[ -n "$word" ] || word=${words##* }
[ "$word" != success ] || { mkdir -p "$(dirname "$GITBATCH_OUTPUT")"; echo "$name $count" >"$GITBATCH_OUTPUT"; }
sed "s#/worktree#$(pwd)#g" "$(dirname "$0")/streams/$1/$word.jsonl"
case $word in
success) ;;
no-network) exec sleep 60 ;;
*) exit 1 ;;
esac
"""


@pytest.mark.rule("F1", "F3", "S3")
def test_formats_in_a_whole_run(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "_FIRST", 0.05)
    monkeypatch.setattr(watch, "_LINGER", 0.05)
    program = workspace.home / "bin" / "agent"
    program.parent.mkdir()
    program.write_text(FAKE, encoding="utf-8")
    program.chmod(0o755)
    shutil.copytree(STREAMS, program.parent / "streams")
    items = ["success", "status-429 success", "no-network success"]
    lines = [f"- [ ] T{n} Write play: {item} → Output: out/T{n}.md\n" for n, item in enumerate(items, 1)]
    workspace.write("task.md", f"# Plan\n\n## Work Packages\n\n### Group\n\n{''.join(lines)}")
    workspace.write("rules.md", "# Rules\n")
    workspace.write(
        "gitbatch.toml",
        f'[agents.a]\nkind = "command"\ncommand = ["{program}", "codex"]\nformat = "codex"\nsandbox = "none"\n',
    )
    workspace.commit("The plan")
    result, events = run_here(workspace, monkeypatch)
    outcomes = [event["outcome"] for event in events if event["event"] == "item-finished"]
    found = {o["item"]["name"]: (o.get("cause"), o["attempts"], o["waits"]) for o in outcomes}
    assert (result.ending, found) == (
        Ending.COMPLETE,
        {"T1": (None, 1, 0), "T2": (None, 1, 1), "T3": (None, 1, 1)},
    )
    first, *_ = audit(workspace).items
    assert "Wrote the page p1. It has one heading." in workspace.git("log", "-1", "--format=%B", first)
    assert trailers(workspace, first, "Usage") == [
        "input=315 output=122 cache_read=24448 cache_write=0 requests=1"
    ]
    shown = [e["line"] for e in events if e["event"] == "item-progress" and e["item"] == "out/T1.md"]
    assert shown[1:3] == ["shell: bash -lc 'cat a.md'", "add: docs/p1.md"]
    assert len(ticked(workspace)) == 3
    assert_tidy(workspace)
