"""Hints in a run: the observed start and end of the items prove them (rule F5)."""

from dataclasses import dataclass
from typing import Any

import pytest
from conftest import Workspace, read_run

HEAD = "# Plan\n\n## Work Packages\n\n### Group\n\n"


@dataclass(frozen=True)
class Times:
    """When an item started and ended, and how."""

    start: float
    end: float
    status: str


def run(workspace: Workspace, text: str, code: int = 0) -> tuple[dict[str, Times], list[Any]]:
    workspace.write("task.md", HEAD + text)
    workspace.commit()
    said = workspace.gitbatch(
        "run", "--items", "all", "--checkpoint", "at-end", "--jobs", "8", "--json", code=code
    )
    events = read_run(said.stdout)[0]
    start = {e["name"]: e["at"] for e in events if e["event"] == "item-started"}
    over = {
        e["outcome"]["item"]["name"]: (e["at"], e["outcome"]["status"])
        for e in events
        if e["event"] == "item-finished"
    }
    return {name: Times(start.get(name, 0.0), *end) for name, end in over.items()}, events


def items(*lines: str) -> str:
    return "".join(
        f"- [ ] T{n} Write {n} do: nap 0.3 {line} → Output: out/{n}.md\n" for n, line in enumerate(lines, 1)
    )


@pytest.mark.rule("F5")
def test_sequential(three: Workspace) -> None:
    times, _ = run(three, f"<!-- sequential -->\n\n{items('', '', '')}")
    assert times["T1"].end <= times["T2"].start
    assert times["T2"].end <= times["T3"].start


@pytest.mark.rule("F5")
def test_max(three: Workspace) -> None:
    met = three.home / "met"
    met.mkdir()
    three.edit(
        "tools/agent.sh",
        "fail) echo",
        f'nap*) : >{met}/$$; until set -- {met}/*; [ $# -ge 2 ]; do sleep 0.02; done; page >"$output" ;;\nfail) echo',
    )
    times, _ = run(three, f"<!-- max: 2 -->\n\n{items('', '', '', '')}")
    for at in [time.start for time in times.values()]:
        assert sum(time.start <= at < time.end for time in times.values()) <= 2
    assert max(times["T1"].start, times["T2"].start) < min(times["T1"].end, times["T2"].end), (
        "but two at once"
    )


@pytest.mark.rule("F5")
def test_after(three: Workspace) -> None:
    times, _ = run(three, items("<!-- after: T3 -->", "", ""))
    assert times["T3"].end <= times["T1"].start
    assert times["T2"].start < times["T3"].end


@pytest.mark.rule("F5")
def test_timeout_and_agent(three: Workspace) -> None:
    three.write(
        "gitbatch.toml",
        three.read("gitbatch.toml")
        + '\n[agents.echo]\nkind = "command"\n'
        'command = ["sh", "-c", "echo other >$GITBATCH_OUTPUT; echo Done by another."]\n[batch]\n'.replace(
            "[batch]\n", ""
        ),
    )
    three.edit("gitbatch.toml", "jobs = 4", 'jobs = 4\nagent = "scripted"')
    times, events = run(
        three, items("<!-- timeout: 1 -->", "<!-- agent: echo -->").replace("0.3 <!-- t", "30 <!-- t"), code=1
    )
    assert times["T1"].status == "failed"
    assert [e["agent"] for e in events if e["event"] == "item-started" and e["name"] == "T2"] == ["echo"]
    assert three.read("out/2.md") == "other\n"


@pytest.mark.rule("F5")
def test_retries(three: Workspace) -> None:
    three.edit(
        "tools/agent.sh",
        "fail) echo",
        '*second*) [ "$GITBATCH_ATTEMPT" = 2 ] || exit 9; page >"$output"; '
        'printf "%s" "$prompt" | grep -q "last attempt failed: exit code 9" ;;\nfail) echo',
    )
    text = "- [ ] T1 Write do: second <!-- retries: 1 --> → Output: out/1.md\n- [ ] T2 Write do: fail <!-- retries: 2 --> → Output: out/2.md\n"
    times, events = run(three, text, code=1)
    assert times["T1"].status == "succeeded"
    assert times["T2"].status == "failed"
    again = [(e["outcome"]["item"]["name"], e["left"]) for e in events if e["event"] == "attempt-failed"]
    assert sorted(again) == [("T1", 1), ("T2", 1), ("T2", 2)]
    assert (
        three.git(
            "log",
            "--all",
            "--format=%(trailers:key=Gitbatch-Attempt,valueonly)",
            "--grep",
            "Gitbatch-Item: out/1.md",
        ).strip()
        == "2"
    )
