"""Reviewers that answer as they are told, in whole runs: what one is to do at each of its starts stands in the item.

`judge: revise accept` in an item: it sends the output back at the first start, and accepts it at the second and after.
Each prompt is kept in the test's home folder.
"""

import json
from typing import Any

from batch.programs import AGENT
from conftest import Workspace

REVIEWER = r"""
set -u
name=$(basename "$GITBATCH_OUTPUT" .md)
count=$(($(cat "$HOME/$name.reviews" 2>/dev/null || echo 0) + 1))
echo "$count" >"$HOME/$name.reviews"
cat >"$HOME/$name.review.$count"
[ -n "$GITBATCH_REVIEW" ] || exit 9
words=$(sed -n 's/^> .*judge: \([a-z0-9 ]*[a-z0-9]\).*/\1/p' "$HOME/$name.review.$count" | head -n 1)
word=$(echo "$words" | cut -d ' ' -f "$count")
[ -n "$word" ] || word=${words##* }
usage="\"usage\": {\"model\": \"m-2\", \"input\": 10, \"output\": 2, \"requests\": 1, \"cost\": 0.1}"
give() { echo "{$usage${1:+, }${1:-}}" >"$GITBATCH_REPLY"; }
accept() { give '"verdict": "accept", "findings": []'; }
case $word in
accept) accept ;;
revise) give "\"verdict\": \"revise\", \"findings\": [{\"line\": 1, \"text\": \"Fault $count.\"}]" ;;
elsewhere) give '"verdict": "revise", "findings": [{"line": 2, "text": "A new wish."}]' ;;
crash) accept; kill -9 $$ ;;
fail) accept; exit 3 ;;
slow) accept; sleep 600 ;;
hold) accept; touch "$HOME/$name.holding"; sleep 600 ;;
said) echo '{"verdict": "accept", "findings": []}'; echo "I accept it. Verdict: accept." ;;
empty) give '"verdict": "revise", "findings": []' ;;
both) give '"verdict": "revise", "verdict": "accept"' ;;
approve) give '"verdict": "approve"' ;;
far) give '"verdict": "accept", "findings": [{"line": 99, "text": "x"}]' ;;
edit) echo more >>"$GITBATCH_OUTPUT"; accept ;;
create) touch new.txt; accept ;;
remove) rm task.md; accept ;;
busy) give '"retry_after": 0.05'; exit 75 ;;
minute) give '"retry_after": 60'; exit 75 ;;
later) give '"retry_after": 5000'; exit 75 ;;
fatal) exit 4 ;;
esac
"""


def set_up(
    workspace: Workspace, *items: str, review: str = "", agent: str = "", batch: str = "", more: str = ""
) -> None:
    """Commits a plan with an item for each text, and a configuration with a check by a reviewer.

    Args:
        place: the repository.
        items: what author and reviewer are to do.
        review: settings of the check.
        agent: settings of both agents.
        batch: settings of the batch.
        more: other tables.
    """
    commands = {}
    for name, script in (("told", AGENT), ("judge", REVIEWER)):
        (workspace.home / name).write_text(f"#!/bin/sh\n{script}", encoding="utf-8")
        (workspace.home / name).chmod(0o755)
        commands[name] = json.dumps([str(workspace.home / name)])
    workspace.write(
        "gitbatch.toml",
        f'[batch]\nagent = "told"\nretry-pause = "0s"\n{batch}\n'
        f'[agents.told]\nkind = "command"\ncommand = {commands["told"]}\nsandbox = "none"\n'
        f'exit-codes = {{5 = "fatal"}}\n{agent}\n'
        f'[agents.judge]\nkind = "command"\ncommand = {commands["judge"]}\nsandbox = "none"\n'
        f'exit-codes = {{4 = "fatal"}}\n{agent}\n'
        f'[checks.style]\nagent = "judge"\nprompt = "Is it short?"\non = ["out/*.md"]\n{review}\n{more}\n',
    )
    lines = [f"- [ ] T{n} Write {item} → Output: out/T{n}.md\n" for n, item in enumerate(items, 1)]
    workspace.write(
        "task.md",
        f"# Plan\n\n## Work Packages\n\n### Group\n\n{''.join(lines)}\n## Definition of Done\n\n- [ ] Short.\n",
    )
    workspace.commit("The plan")


def reviews(workspace: Workspace, name: str) -> int:
    """How often the reviewer was started for an item."""
    path = workspace.home / f"{name}.reviews"
    return int(path.read_text(encoding="utf-8")) if path.exists() else 0


def review_prompt(workspace: Workspace, name: str, start: int) -> str:
    """The prompt of the reviewer at one of those starts."""
    return (workspace.home / f"{name}.review.{start}").read_text(encoding="utf-8")


def outcomes_of(events: list[Any]) -> dict[str, Any]:
    """The outcomes by the names of the items."""
    found = [event["outcome"] for event in events if event["event"] == "item-finished"]
    return {outcome["item"]["name"]: outcome for outcome in found}
