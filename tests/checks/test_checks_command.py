"""The command of a check: exit codes, time, pauses, what it reads and gets. Real processes, without a sandbox."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from waiting import HeldLimits

from gitbatch.agents.process.starter import Starter
from gitbatch.agents.protocol import AgentFolders, OutputStream
from gitbatch.agents.services import AgentServices
from gitbatch.checks.command import FINDING_LINES, CheckTools, Subject, find_missing_program, run_command
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.project.check_tables import CheckTable
from gitbatch.sandbox.model import SandboxKind
from gitbatch.text import CleanText


@dataclass
class Bench:
    """A folder for a check, a clock that only pauses move, and what was shown."""

    root: Path
    shown: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    now: float = 0.0
    listen: Callable[[str], None] = lambda _: None

    def show(self, _stream: OutputStream, line: CleanText) -> None:
        self.shown.append(line)
        self.listen(line)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def run(self, script: str, **settings: object) -> CheckResult:
        table = CheckTable(command=("sh", "-c", script), **settings)  # type: ignore[arg-type]
        return self.run_table(table)

    def run_table(self, table: CheckTable) -> CheckResult:
        environment = {
            "PATH": os.environ["PATH"],
            "TOKEN": "a-secret-token",
            "OTHER": "x",
            "SSL_CERT_FILE": "/ca.pem",
        }
        services = AgentServices(environment, SandboxKind.NONE, Starter())
        worktree, scratch = self.root / "tree", self.root / "io"
        for folder in (worktree, scratch):
            folder.mkdir(exist_ok=True)
        (self.root / "blob").write_text("the bytes\n")
        subject = Subject(AgentFolders(worktree, scratch), "docs/a.md", self.root / "blob")
        tools = CheckTools(services, self.pause, lambda: self.now)
        return asyncio.run(run_command(tools, "links", table, subject, self.show))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize(
    ("script", "verdict", "reason"),
    [
        ("exit 0", CheckVerdict.PASS, ""),
        ("echo no links here; exit 77", CheckVerdict.SKIP, "no links here"),
        ("exit 77", CheckVerdict.SKIP, "exit code 77"),
        ("echo broken link: b.md; exit 1", CheckVerdict.RED, "broken link: b.md (exit 1)"),
        ("exit 2", CheckVerdict.RED, "exit code 2"),
        ("exit 255", CheckVerdict.RED, "exit code 255"),
        ("exit 126", CheckVerdict.UNAVAILABLE, "exit code 126"),
        ("exec no-such-program", CheckVerdict.UNAVAILABLE, "(exit 127)"),
        ("kill -9 $$", CheckVerdict.UNAVAILABLE, "signal 9"),
        ("exit 137", CheckVerdict.UNAVAILABLE, "exit code 137 (signal 9)"),
    ],
)
def test_the_exit_code_decides(bench: Bench, script: str, verdict: CheckVerdict, reason: str) -> None:
    result = bench.run(script)
    assert (result.name, result.verdict) == ("links", verdict)
    assert reason in result.reason
    assert result.verdict.lets_through == (verdict in {CheckVerdict.PASS, CheckVerdict.SKIP})
    assert bench.pauses == []


def test_a_check_that_asks_again_is_run_again_after_growing_pauses(bench: Bench) -> None:
    script = 'echo x >> "$0"; [ $(wc -l < "$0") -gt 2 ] || exit 75'
    table = CheckTable(command=("sh", "-c", script, "{worktree}/../count"))
    assert bench.run_table(table).verdict is CheckVerdict.PASS
    assert bench.pauses == [10, 20]
    assert "asks to be run again (exit 75): waiting 10 s" in bench.shown


def test_a_check_that_asks_again_until_its_time_is_up_gives_no_verdict(bench: Bench) -> None:
    result = bench.run("echo later; exit 75", timeout="1m")
    assert (result.verdict, bench.pauses, result.seconds) == (CheckVerdict.UNAVAILABLE, [10, 20], 30)
    assert result.reason == "it still asks to be run again after 1m (exit 75)"
    assert result.findings == ("later",)


def test_a_check_that_takes_too_long_gives_no_verdict(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = HeldLimits(monkeypatch, 0.3)
    bench.listen = lambda line: limits.expire() if line == "begun" else None
    result = bench.run("echo begun; sleep 60", timeout="0.3s")
    assert (result.verdict, result.reason) == (CheckVerdict.UNAVAILABLE, "it took longer than 0.3s")
    assert result.findings == ("begun",)


def test_a_program_that_cannot_be_started_gives_no_verdict(bench: Bench) -> None:
    result = bench.run_table(CheckTable(command=("no-such-program",)))
    assert result.verdict is CheckVerdict.UNAVAILABLE
    assert result.reason == "it cannot be started: no-such-program: No such file or directory"


def test_a_folder_that_is_gone_gives_no_verdict(bench: Bench) -> None:
    services = AgentServices({"PATH": os.environ["PATH"]}, SandboxKind.NONE, Starter())
    subject = Subject(AgentFolders(bench.root / "gone", bench.root / "io"))
    result = asyncio.run(
        run_command(CheckTools(services), "links", CheckTable(command=("true",)), subject, bench.show)
    )
    assert (result.verdict, result.findings) == (CheckVerdict.UNAVAILABLE, ())
    assert result.reason.startswith("it cannot be started: ")


def test_a_check_reads_the_output_and_gets_what_its_table_says(bench: Bench) -> None:
    script = 'cat; echo "$1 $GITBATCH_OUTPUT $TOKEN $OTHER $WHERE"; pwd; exit 1'
    command = ("sh", "-c", script, "check", "{output}")
    result = bench.run_table(
        CheckTable(command=command, pass_env=("TOKEN",), env={"WHERE": "{worktree}/src"})
    )
    tree = bench.root / "tree"
    assert result.findings == (
        "the bytes",
        f"docs/a.md docs/a.md [value of TOKEN] {tree}/src",
        str(tree),
    )


def test_a_check_with_a_network_gets_the_certificates(bench: Bench) -> None:
    script = 'test "${SSL_CERT_FILE-none}" = "$0"'
    for network, expected in ((False, "none"), (True, "/ca.pem")):
        table = CheckTable(command=("sh", "-c", script, expected), network=network)
        assert bench.run_table(table).verdict is CheckVerdict.PASS, network


def test_what_a_check_prints_is_capped_and_cleaned(bench: Bench) -> None:
    script = r"i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo line $i; done; printf '\033[31mred\033[0m\n' >&2; exit 1"
    findings = bench.run(script).findings
    assert len(findings) == FINDING_LINES
    assert findings[0] == "line 42"
    assert findings[-1] == "red"


def test_a_check_without_an_output_has_an_empty_standard_input(bench: Bench) -> None:
    (bench.root / "tree").mkdir()
    (bench.root / "io").mkdir()
    services = AgentServices({"PATH": os.environ["PATH"]}, SandboxKind.NONE, Starter())
    subject = Subject(AgentFolders(bench.root / "tree", bench.root / "io"))
    table = CheckTable(command=("sh", "-c", "cat; exit 1"))
    result = asyncio.run(run_command(CheckTools(services), "gate", table, subject, bench.show))
    assert (result.verdict, result.findings) == (CheckVerdict.RED, ())


@pytest.mark.parametrize(
    ("program", "missing"),
    [("sh", ""), ("no-such-program", "no-such-program"), ("tools/check", ""), ("{worktree}/tools/check", "")],
)
def test_a_missing_program_is_found_before_anything_starts(program: str, missing: str) -> None:
    table = CheckTable(command=(program,))
    found = find_missing_program(table, {"PATH": os.environ["PATH"]}, lambda path: path == "tools/check")
    assert found == missing


def test_a_cancelled_check_ends_its_program(bench: Bench) -> None:
    async def scene() -> None:
        table = CheckTable(command=("sh", "-c", "echo $$ > ../pid; echo begun; sleep 60"))
        services = AgentServices({"PATH": os.environ["PATH"]}, SandboxKind.NONE, Starter())
        begun = asyncio.Event()
        for folder in ("tree", "io"):
            (bench.root / folder).mkdir()
        subject = Subject(AgentFolders(bench.root / "tree", bench.root / "io"))
        running = asyncio.create_task(
            run_command(CheckTools(services), "links", table, subject, lambda *_: begun.set())
        )
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(scene())
    process = int((bench.root / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
