"""Whole runs in which items start before their group: agents that do at each start what the test has written down.

What the agent of an item does is a shell script, `do/NAME.COUNT` or `do/NAME` in the test's home. `wait_for NAME` waits
until the agent of that item has started: so a run that never starts an item early does not get past it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from conftest import Workspace
from sessions import session_settings

from gitbatch.batch.caller import PauseAlways
from gitbatch.batch.ending import Result
from gitbatch.batch.events import Event, encode_event
from gitbatch.batch.planning.early.eagerness import EagerMode
from gitbatch.batch.review.reviewing import Reviewer
from gitbatch.batch.session import Session, open_session
from gitbatch.repo.opening import open_repository

AGENT = r"""
set -u
name=${GITBATCH_OUTPUT##*/}
name=${name%.md}
count=0
[ ! -e "$HOME/$name.starts" ] || read -r count <"$HOME/$name.starts"
count=$((count + 1))
echo "$count" >"$HOME/$name.starts"
wait_for() { while [ ! -e "$HOME/$1.starts" ]; do sleep 0.01; done; }
wait_for_file() { while [ ! -e "$HOME/$1" ]; do sleep 0.01; done; }
mkdir -p "${GITBATCH_OUTPUT%/*}"
echo "$name $count" >"$GITBATCH_OUTPUT"
if [ -e "$HOME/do/$name.$count" ]; then . "$HOME/do/$name.$count"; elif [ -e "$HOME/do/$name" ]; then . "$HOME/do/$name"; fi
echo "{\"summary\": \"Wrote it. It is short.\", \"usage\": {\"model\": \"m\", \"input\": 1, \"requests\": 1, \"cost\": 0.5}}" >"$GITBATCH_REPLY"
"""


@dataclass
class EarlyRun:
    """What a run has told."""

    result: Result
    events: list[Any] = field(default_factory=list)

    def list_of(self, kind: str) -> list[Any]:
        return [event for event in self.events if event["event"] == kind]

    @property
    def early(self) -> list[str]:
        """The names of the items that started early, in order."""
        return [event["name"] for event in self.list_of("item-started") if event["early"]]

    @property
    def notices(self) -> str:
        return "\n".join(event["text"] for event in self.list_of("notice"))


def write_plan(workspace: Workspace, *groups: str, batch: str = "", config: str = "") -> None:
    """Write a plan whose groups have the given items, a line for each: `A1`, or `B1 out/A1.md` with what it reads."""
    workspace.write("agent.sh", AGENT)
    agent = workspace.home / "agent.sh"  # with the checkout `context`, worktrees lack that of the repository
    agent.write_text(AGENT, encoding="utf-8")
    workspace.write(
        "gitbatch.toml",
        f'[batch]\nretries = 0\nretry-pause = "0s"\n{batch}\n[agents.told]\nkind = "command"\ncommand = ["sh", "{agent}"]\n'
        f'sandbox = "none"\ntimeout = "60s"\n{config}\n',
    )
    lines = ["# Plan\n\n## Work Packages\n"]
    for number, group in enumerate(groups, 1):
        lines.append(f"\n### Group {number}\n\n")
        for line in filter(None, map(str.strip, group.splitlines())):
            if line.startswith("<!--"):
                lines.append(f"{line}\n\n")
                continue
            name, _, reads = line.partition(" ")
            context = f" (context: {reads})" if reads else ""
            lines.append(f"- [ ] {name} Write it{context} → Output: out/{name}.md\n")
    workspace.write("task.md", "".join(lines))
    workspace.commit("The plan")


def tell(workspace: Workspace, name: str, script: str) -> None:
    """Say what the agent of an item does; with `.COUNT`, at that start."""
    (workspace.home / "do").mkdir(exist_ok=True)
    (workspace.home / "do" / name).write_text(script, encoding="utf-8")


def count_starts(workspace: Workspace, name: str) -> int:
    path = workspace.home / f"{name}.starts"
    return int(path.read_text(encoding="utf-8")) if path.exists() else 0


def run_early(
    workspace: Workspace,
    reviewer: Reviewer | None = None,
    listen: Callable[[Session, Event], None] | None = None,
    **settings: Any,  # noqa: ANN401 - fields of SessionSettings
) -> EarlyRun:
    """Run the plan, or go on with it, in this process."""
    found: list[Any] = []
    session: Session | None = None

    def hear(event: Event) -> None:
        found.append(msgspec.json.decode(encode_event(event)))
        if listen and session:
            listen(session, event)

    usual: dict[str, Any] = {"eager": EagerMode.ON, "jobs": 4}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in workspace.environment.items():
            patch.setenv(name, value)
        repo = open_repository(workspace.root)
        try:
            with open_session(repo, session_settings(workspace, **(usual | settings)), (hear,)) as opened:
                session = opened
                result = asyncio.run(opened.run(reviewer or PauseAlways()))
        finally:
            repo.close()
    return EarlyRun(result, found)
