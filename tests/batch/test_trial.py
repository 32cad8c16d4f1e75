"""`gitbatch agents try`: each step of an agent on one tiny item, and nothing is left of its repository."""

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from batch.runs.test_claude_code import KEY, STREAMS
from conftest import Here, Workspace
from view.events import EVENTS

from gitbatch.agents.protocol import OutputStream, ReplyFlag
from gitbatch.agents.reply import make_reply
from gitbatch.batch.events import BatchWaiting, ItemFinished, ItemProgress, ItemWaiting
from gitbatch.batch.model import ItemStatus
from gitbatch.batch.trial.model import ADVICE, StepList, StepName, TrialStep, find_advice
from gitbatch.batch.trial.repository import OTHER_FILE, render_config
from gitbatch.batch.trial.watching import TrialWatch
from gitbatch.limits.causes import Cause
from gitbatch.plan.help_texts import Language
from gitbatch.project.agent_scaffold import AGENT_WORDS, render_agent_table
from gitbatch.project.config import parse_config
from gitbatch.text import clean_text
from gitbatch.view.schemas import make_schema

FAKE = f"""#!/bin/sh
case $1 in --version) echo "${{SAYS:-2.1.332 (Claude Code)}}"; exit ;; esac
cat >/dev/null
case $(printf '%s ' "$@") in *'Edit(/trial/hello.md)'*) ;; *) exit 9 ;; esac
sed "s#/worktree#$(pwd)#g; s#docs/other.md#{OTHER_FILE}#g" {STREAMS}/STREAM.jsonl
mkdir -p trial
"""
STEPS = ("program", "version", "sandbox", "network", "key")


def set_up(
    workspace: Workspace, stream: str, rest: str = "echo hello >trial/hello.md", agent: str = ""
) -> None:
    programs = workspace.home / "bin"
    programs.mkdir()
    (programs / "claude").write_text(FAKE.replace("STREAM", stream) + rest)
    (programs / "claude").chmod(0o755)
    workspace.environment |= {"PATH": f"{programs}:{workspace.environment['PATH']}", "ANTHROPIC_API_KEY": KEY}
    workspace.write("gitbatch.toml", f'[agents.claude]\nkind = "claude-code"\nneeds = ["{STREAMS}"]\n{agent}')


def statuses(found: Any) -> dict[str, str]:  # noqa: ANN401 - JSON
    return {step["name"]: step["status"] for step in found["steps"]}


def kept_folders(workspace: Workspace) -> list[Path]:
    cache = Path(workspace.environment["XDG_CACHE_HOME"]) / "gitbatch"
    return [path for path in cache.glob("*") if path.name.startswith(("tri", "layers"))]


def test_agent_that_works(workspace: Workspace, here: Here) -> None:
    set_up(workspace, "sibling-denied")
    code, said, _ = here("agents", "try", "claude", "--json", "--keep")
    found = json.loads(said)
    pytest.importorskip("jsonschema").validate(found, make_schema("agents"))
    assert (code, found["ok"], found["kind"]) == (0, True, "claude-code")
    steps = {step["name"]: step["detail"] for step in found["steps"]}
    assert tuple(steps)[:5] == STEPS
    assert (steps["version"], steps["key"]) == ("2.1.332", "in ANTHROPIC_API_KEY")
    assert steps["first output"] == f"Write: {OTHER_FILE}"
    assert steps["other file"] == f"not allowed: Write {OTHER_FILE}"
    assert steps["summary"].startswith("Wrote the page")
    assert "$0.0298" in steps["usage"]
    assert set(statuses(found).values()) == {"ok"}
    assert (Path(found["repository"]) / "trial/hello.md").read_text() == "hello\n"
    assert len(kept_folders(workspace)) == 1


def test_agent_that_keeps_no_rule_and_leaves_nothing(workspace: Workspace, here: Here) -> None:
    set_up(workspace, "success", f"echo hello >trial/hello.md; echo no >{OTHER_FILE}")
    code, said, errors = here("agents", "try", "claude")
    assert code == 1
    assert f"failed other file      it wrote {OTHER_FILE}, which its permissions should deny" in said
    assert "ok     wrote its file  trial/hello.md" in said
    assert said.index("which may cost a little (at most about $0.25)") < said.index("ok     started")
    assert errors == "agent claude cannot work like this: other file\n"
    assert kept_folders(workspace) == []
    assert workspace.git("status", "--porcelain") == "?? gitbatch.toml"


def test_wrong_key_says_so_after_one_attempt(workspace: Workspace, here: Here) -> None:
    set_up(workspace, "status-401", "echo x >>$HOME/starts; exit 1", 'sandbox = "none"\n')
    code, said, _ = here("agents", "try", "claude", "--json")
    found = json.loads(said)
    assert (code, found["error"]["code"]) == (1, "failed")
    assert found["error"]["message"].startswith("wrote its file: ")
    assert "401" in found["error"]["message"]
    assert found["error"]["advice"] == ADVICE[Cause.FATAL]
    assert (workspace.home / "starts").read_text() == "x\n"
    assert kept_folders(workspace) == []


def test_server_that_cannot_be_reached_is_not_asked_for_long(workspace: Workspace, here: Here) -> None:
    """Claude Code names a wait of half a second each time, which is shorter than the longest one."""
    set_up(workspace, "no-connection", "exit 1")
    code, said, _ = here("agents", "try", "claude", "--json")
    found = json.loads(said)
    assert (code, statuses(found)["wrote its file"]) == (1, "failed")
    assert 2 <= [step["name"] for step in found["steps"]].count("started") <= 5
    failed = next(step for step in found["steps"] if step["name"] == "wrote its file")
    assert failed["detail"].startswith("no connection: ")
    assert "out of reach" in failed["advice"]


@pytest.mark.parametrize(
    ("change", "step", "words"),
    [
        ({"ANTHROPIC_API_KEY": ""}, "key", "none of ANTHROPIC_API_KEY"),
        ({"ANTHROPIC_API_KEY": "sk-ant-oat01-x"}, "key", "belongs in CLAUDE_CODE_OAUTH_TOKEN"),
        ({"PATH": os.environ["PATH"]}, "program", "claude is not found on PATH"),
    ],
)
def test_nothing_is_started_that_cannot_work(
    workspace: Workspace, here: Here, change: dict[str, str], step: str, words: str
) -> None:
    set_up(workspace, "success")
    workspace.environment |= change
    code, said, _ = here("agents", "try", "claude", "--json")
    *_, last = json.loads(said)["steps"]
    assert (code, last["name"], last["status"]) == (1, step, "failed")
    assert words in last["detail"]
    assert last["advice"]


def test_another_program_of_the_same_name(workspace: Workspace, here: Here) -> None:
    set_up(workspace, "success")
    workspace.write("claude", "#!/bin/sh\necho 1.0\n")
    program = workspace.home / "bin" / "claude"
    program.write_text("#!/bin/sh\necho 1.0\n")
    *_, last = json.loads(here("agents", "try", "claude", "--json")[1])["steps"]
    assert (last["name"], last["detail"]) == ("version", "it is not Claude Code: its version is '1.0'")


COMMAND = """\
[agents.writer]
kind = "command"
command = ["sh", "tools/write.sh"]
"""


def test_program_of_the_repository(workspace: Workspace, here: Here) -> None:
    """It is copied; what it writes besides its output is thrown away, which is no fault of it."""
    workspace.write("gitbatch.toml", COMMAND)
    workspace.write(
        "tools/write.sh",
        f"mkdir -p trial; echo a >{OTHER_FILE}; cat >$GITBATCH_OUTPUT; echo Done. It is short.\n",
    )
    code, said, _ = here("agents", "try", "writer", "--json")
    found = json.loads(said)
    steps = {step["name"]: (step["status"], step["detail"]) for step in found["steps"]}
    assert code == 0, found
    assert steps["version"][0] == "unknown"
    assert steps["other file"] == (
        "ok",
        f"{OTHER_FILE} was written and thrown away: only its output is taken",
    )
    assert steps["tools"] == ("unknown", "none was shown")
    assert steps["usage"] == ("unknown", "unknown usage")


def test_unknown_agent(workspace: Workspace, here: Here) -> None:
    workspace.write("gitbatch.toml", COMMAND)
    code, _, errors = here("agents", "try", "nothing")
    assert code == 2
    assert "use one of gitbatch.toml: writer" in errors


@pytest.mark.parametrize("word", AGENT_WORDS)
def test_configuration_of_a_trial(word: str) -> None:
    table = parse_config(render_agent_table(word, "a", Language.EN).encode()).agents["a"]
    made = parse_config(render_config('a "b"', table).encode())
    assert made.agents == {'a "b"': msgspec.structs.replace(table, timeout="5m")}
    assert (made.batch.agent, made.batch.retries) == ('a "b"', 0)


def test_configuration_with_odd_values() -> None:
    text = r"""
[agents.a]
kind = "command"
command = ["sh", "-c", "printf '\t\u0001\\ ü😀 \u007f' \"x\""]
timeout = "20s"
env = {A = "1", B = "{scratch}/\n"}
exit-codes = {41 = "fatal"}
busy-patterns = ["x"]
max-file-bytes = 5
"""
    table = parse_config(text.encode()).agents["a"]
    assert parse_config(render_config("a", table).encode()).agents == {"a": table}


def watched(lines: list[tuple[OutputStream, str]], **outcome: Any) -> list[TrialStep]:  # noqa: ANN401 - fields
    """The steps of an item that shows some lines."""
    steps = StepList(lambda _: None)
    watch = TrialWatch(steps, denies_other_files=False)
    finished = next(event for event, _ in EVENTS if isinstance(event, ItemFinished))
    shown = next(event for event, _ in EVENTS if isinstance(event, ItemProgress))
    for stream, line in lines:
        watch(msgspec.structs.replace(shown, stream=stream, line=clean_text(line)))
    ended = msgspec.structs.replace(finished.outcome, **outcome)
    watch(msgspec.structs.replace(finished, outcome=ended))
    watch.finish()
    return steps.steps


def test_tools_are_counted() -> None:
    lines = [(OutputStream.OUTPUT, "I begin"), *((OutputStream.PROGRESS, f"Read: {n}") for n in range(5))]
    first, tools, *_ = watched(lines)
    assert (first.detail, tools.detail) == ("I begin", "Read: 0, Read: 1, Read: 2 and 2 more")


def test_refused_hosts_are_no_tools() -> None:
    said = "refused by the proxy: a.example:443 (allow-hosts adds hosts)"
    refused, output, tools, *_ = watched([(OutputStream.PROGRESS, said), (OutputStream.PROGRESS, said)])
    assert (refused.name, refused.status) == ("refused", "unknown")
    assert refused.detail == "a.example:443 (allow-hosts adds hosts)"
    assert (output.detail, tools.detail) == ("it showed nothing while it worked", "none was shown")


@pytest.mark.parametrize("cause", Cause)
def test_every_failure_has_an_advice(cause: Cause) -> None:
    reason, details = clean_text("no"), (clean_text("a line"),)
    steps = watched([], status=ItemStatus.FAILED, cause=cause, reason=reason, details=details, reply=None)
    (failed,) = (step for step in steps if step.status == "failed")
    assert (failed.name, failed.detail, failed.lines) == ("wrote its file", "no", details)
    assert failed.advice == find_advice(cause) != ""
    assert steps[0].detail == "it showed nothing while it worked"


def test_item_that_did_not_start() -> None:
    steps = StepList(lambda _: None)
    TrialWatch(steps, denies_other_files=False).finish()
    assert [(step.name, step.status) for step in steps.failures] == [("started", "failed")]


@pytest.mark.parametrize(
    ("table", "step", "words"),
    [
        ('kind = "anthropic"', "key", "needs a key"),
        ('kind = "claude-code"\nsandbox = "seatbelt"', "sandbox", "seatbelt"),
        (
            'kind = "claude-code"\ntools = ["Bash", "Write"]\nsandbox = "none"',
            "settings",
            "Bash needs a sandbox",
        ),
        ('kind = "command"\ncommand = ["./missing"]', "program", "./missing is not found"),
    ],
)
def test_table_that_cannot_work(workspace: Workspace, here: Here, table: str, step: str, words: str) -> None:
    set_up(workspace, "success")
    if "anthropic" in table:
        workspace.environment["ANTHROPIC_API_KEY"] = ""
    workspace.write("gitbatch.toml", f"[agents.claude]\n{table}\n")
    code, said, _ = here("agents", "try", "claude", "--json")
    *_, last = json.loads(said)["steps"]
    assert (code, last["name"], last["status"], words in last["detail"]) == (1, step, "failed", True), last


def test_what_is_not_known_is_said_and_tried(workspace: Workspace, here: Here) -> None:
    programs = workspace.home / "bin"
    programs.mkdir()
    (programs / "qwen").write_text(
        "#!/bin/sh\n[ $1 = --version ] && exit 3\ncat >$GITBATCH_OUTPUT; echo Done\n"
    )
    (programs / "qwen").chmod(0o755)
    workspace.environment["PATH"] = f"{programs}:{workspace.environment['PATH']}"
    text = '[agents.q]\nkind = "command"\ncommand = ["qwen", "x"]\npass-env = ["A_KEY"]\nsandbox = "none"\n'
    workspace.write("gitbatch.toml", text)
    code, said, _ = here("agents", "try", "q")
    assert code == 0
    assert "  -      version         it does not work (exit code 3): it printed nothing\n" in said
    assert "  -      key             not set: A_KEY\n         export A_KEY=… if it needs one\n" in said
    assert "it has no limit in money" in said
    assert "  -      summary         short summary: Done\n" in said
    assert said.endswith("agent q works\n")


def test_waits_are_shown() -> None:
    steps = StepList(lambda _: None)
    watch = TrialWatch(steps, denies_other_files=True)
    for event, _ in EVENTS:
        if isinstance(event, BatchWaiting | ItemWaiting):
            watch(event)
    watch.close()
    assert {(step.name, step.status) for step in steps.steps} == {("waiting", "unknown")}


def test_kept_rule_and_no_reply() -> None:
    steps = StepList(lambda _: None)
    watch = TrialWatch(steps, denies_other_files=True)
    finished = next(event for event, _ in EVENTS if isinstance(event, ItemFinished))
    flagged = msgspec.structs.replace(make_reply(""), flags=(ReplyFlag.SUMMARY_MISSING,))
    watch(msgspec.structs.replace(finished, outcome=msgspec.structs.replace(finished.outcome, reply=flagged)))
    watch.finish()
    found = {step.name: (step.status, step.detail) for step in steps.steps}
    assert found[StepName.SUMMARY] == ("unknown", "no summary")
    assert found[StepName.OTHER_FILE][0] == "unknown"
