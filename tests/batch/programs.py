"""Agents that fail as they are told, in whole runs: what an item is to do at each of its starts stands in its title.

`do: 3 75 ok` in an item: exit code 3 at its first start, 75 at the second, success at the third and after. A single word
is for all starts. What was started when, and each prompt, is kept in the test's home folder.
"""

from dataclasses import dataclass
from typing import Any

from conftest import Workspace, read_run
from processes import kill_agents
from waiting import wait_until

AGENT = r"""
set -u
name=${GITBATCH_OUTPUT##*/}
name=${name%.md}
count=0
[ ! -e "$HOME/$name.starts" ] || read -r count <"$HOME/$name.starts"
count=$((count + 1))
echo "$count" >"$HOME/$name.starts"
cat >"$HOME/$name.prompt.$count"
[ ! -e "$GITBATCH_OUTPUT" ] || cp "$GITBATCH_OUTPUT" "$HOME/$name.found.$count"
words=$(sed -n '/^> .*do: [a-z0-9]/{s/^> .*do: \([a-z0-9 .]*[a-z0-9]\).*/\1/p;q;}' "$HOME/$name.prompt.$count")
word=ok
number=0
for each in $words; do
    number=$((number + 1))
    [ "$number" != "$count" ] || word=$each
done
[ "$number" != 1 ] || word=$words
say() { echo "{\"summary\": \"Wrote it. It is short.\"${1:-}}" >"$GITBATCH_REPLY"; }
usage=", \"usage\": {\"model\": \"m-1\", \"input\": 100, \"output\": 20, \"cache_read\": 300, \"requests\": 2, \"cost\": 0.4}"
page() { [ -d "${GITBATCH_OUTPUT%/*}" ] || mkdir -p "${GITBATCH_OUTPUT%/*}"; echo "$name $count" >"$GITBATCH_OUTPUT"; }
case $word in
75) say ', "retry_after": 0.05'; exit 75 ;;
minute) say ', "retry_after": 60'; exit 75 ;;
later) say ', "retry_after": 5000'; exit 75 ;;
soon) say ', "retry_after": 0.5'; exit 75 ;;
crowd)
    while [ "$(ls "$HOME"/*.starts | wc -l)" -lt 20 ]; do sleep 0.05; done
    touch "$HOME/busy"; say ', "retry_after": 1'; exit 75 ;;
follow) while [ ! -e "$HOME/busy" ]; do sleep 0.05; done; sleep 0.2; page; say ;;
slow) sleep 600 ;;
key) echo "reading"; echo "KeyError: 'm03'"; exit 3 ;;
limited) echo "Error: rate limit reached"; exit 1 ;;
refused) echo "I may not write there. Please allow it." ;;
half) page; echo "it broke" >&2; exit 3 ;;
halfslow) page; sleep 600 ;;
halfshared) page; echo x >>task.md ;;
half75) page; say ', "retry_after": 0.05'; exit 75 ;;
more) echo more >>"$GITBATCH_OUTPUT"; say ;;
gone) rm -f "$GITBATCH_OUTPUT"; echo "it broke" >&2; exit 3 ;;
hold) while [ ! -e "$HOME/go" ]; do sleep 0.05; done; page; say ;;
shared) page; echo x >>task.md ;;
nothing) say ;;
paid) page; say "$usage" ;;
paidslow) say "$usage"; echo working; sleep 600 ;;
mute) echo working; sleep 600 ;;
paidfail) say "$usage"; echo "it broke" >&2; exit 3 ;;
[0-9]*) echo "it broke" >&2; exit "$word" ;;
*) page; say ;;
esac
"""


@dataclass(frozen=True)
class Told:
    """What a run said."""

    code: int
    events: list[Any]
    stderr: str

    def of(self, kind: str) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if event["event"] == kind]

    def outcome(self, name: str) -> dict[str, Any]:
        """What became of an item."""
        found: dict[str, Any]
        (found,) = [e["outcome"] for e in self.of("item-finished") if e["outcome"]["item"]["name"] == name]
        return found


def set_up(workspace: Workspace, *words: str, batch: str = "", agent: str = "", groups: int = 1) -> None:
    """A plan with an item for each text: what it is to do; in so many groups of the same size."""
    workspace.write("agent.sh", AGENT)
    if "retry-pause" not in batch:
        batch += '\nretry-pause = "0s"'
    workspace.write(
        "gitbatch.toml",
        f'[batch]\n{batch}\n[agents.told]\nkind = "command"\ncommand = ["sh", "agent.sh"]\n'
        f'sandbox = "none"\ntimeout = "60s"\n{agent}\n',
    )
    size = len(words) // groups
    lines = ["# Plan\n\n## Work Packages\n"]
    for number, word in enumerate(words, 1):
        if (number - 1) % size == 0:
            lines.append(f"\n### Group {number}\n\n")
        lines.append(f"- [ ] T{number} Write do: {word} → Output: out/T{number}.md\n")
    workspace.write("task.md", "".join(lines))
    workspace.commit("The plan")


def run(workspace: Workspace, *arguments: str, jobs: int = 4, code: int = 0) -> Told:
    """Run the plan, or go on with it."""
    done = workspace.gitbatch(
        "run",
        "--items",
        "all",
        "--checkpoint",
        "at-end",
        "--jobs",
        str(jobs),
        "--json",
        *arguments,
        code=code,
    )
    return Told(done.returncode, read_run(done.stdout)[0], done.stderr)


def starts(workspace: Workspace, name: str) -> int:
    """How often the program was started for an item."""
    path = workspace.home / f"{name}.starts"
    return int(path.read_text() or 0) if path.exists() else 0


def prompt(workspace: Workspace, name: str, start: int) -> str:
    """The prompt of one of those starts."""
    return (workspace.home / f"{name}.prompt.{start}").read_text()


def found(workspace: Workspace, name: str, start: int) -> str | None:
    """What was at the output's path at one of those starts."""
    path = workspace.home / f"{name}.found.{start}"
    return path.read_text() if path.exists() else None


def killed_when(workspace: Workspace, name: str, start: int, *arguments: str) -> None:
    """Run until an attempt has failed and the program is started so often for an item; then kill it, agents and all."""
    process = workspace.start("run", "--items", "all", "--checkpoint", "at-end", *arguments, is_heard=False)
    try:
        wait_until(
            lambda: (
                process.poll() is not None
                or (
                    starts(workspace, name) >= start
                    and workspace.git("for-each-ref", "refs/gitbatch/*/ledger/*")
                )
            ),
            f"start {start} of {name}, after a failed attempt",
            patience=110,
        )
        assert process.poll() is None
    finally:
        process.kill()
        kill_agents(workspace)
        process.wait()
