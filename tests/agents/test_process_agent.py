"""The agent that is a program: real processes, small shell scripts, from their start to the end of their last child."""

import asyncio
import errno
import gc
import json
import os
import signal
import sys
import tracemalloc
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from agents.values import a_failure, a_reply
from waiting import loop_turns, wait_until

from gitbatch.agents.command.agent import make_command_agent
from gitbatch.agents.command.table import CommandAgent, ExitMeaning
from gitbatch.agents.process import program, watch
from gitbatch.agents.process.agent import ProcessAgent
from gitbatch.agents.process.interruption import AttemptInterruptedError
from gitbatch.agents.process.starter import Starter
from gitbatch.agents.process.watch import OutputWatch
from gitbatch.agents.protocol import Assignment, Failure, LocalPlace, OutputStream, Reply, ReplyFlag
from gitbatch.agents.services import AgentServices
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.plan.model import ItemKey
from gitbatch.project.context import ContextFile, ContextReason
from gitbatch.sandbox.command_line import launcher_command
from gitbatch.sandbox.model import Confinement, Network, ProcessLimits, Sandbox, SandboxKind
from gitbatch.sandbox.none import NoSandbox

OUTPUT, ERROR, PROGRESS = OutputStream.OUTPUT, OutputStream.ERROR, OutputStream.PROGRESS
SAID_NOTHING = a_reply("", flags=(ReplyFlag.SUMMARY_MISSING,))
REPLY_BYTES = 1_048_576
NEVER = 60.0
"""Seconds that no test takes."""


@dataclass
class Unwrapped:
    """A sandbox that leaves the command line as it is: what is tested here is the agent."""

    kind: SandboxKind = SandboxKind.NONE
    asked: list[Confinement] = field(default_factory=list)

    def wrap_command(self, argv: Sequence[str], confinement: Confinement) -> list[str]:
        self.asked.append(confinement)
        return list(argv)


@dataclass
class Served(Unwrapped):
    """A sandbox with nothing in it but our launcher, which a server starts."""

    def wrap_command(self, argv: Sequence[str], confinement: Confinement) -> list[str]:
        return launcher_command(super().wrap_command(argv, confinement), confinement, "bubblewrap")


def an_agent(
    table: CommandAgent, environment: Mapping[str, str], sandbox: Sandbox, starter: Starter
) -> ProcessAgent:
    services = AgentServices(environment, SandboxKind.NONE, starter)
    return msgspec.structs.replace(make_command_agent("tester", table, services), sandbox=sandbox)


@dataclass
class Bench:
    """A worktree and a scratch folder, and what the program that ran there showed."""

    root: Path
    shown: list[tuple[OutputStream, str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": os.environ["PATH"]})
    pass_env: tuple[str, ...] = ()
    sandbox: Sandbox = field(default_factory=Unwrapped)
    output: str = "out/a.md"
    prompt: str = "Write a.\n"
    context: tuple[ContextFile, ...] = ()
    timeout: float = NEVER
    busy_patterns: bool | tuple[str, ...] = True
    env: dict[str, str] = field(default_factory=dict)
    exit_codes: dict[str, ExitMeaning] = field(default_factory=dict)
    listen: Callable[[str], None] = lambda _: None
    starters: list[Starter] = field(default_factory=list)

    @property
    def worktree(self) -> Path:
        return self.root / "work tree"

    @property
    def scratch(self) -> Path:
        return self.root / "batch" / "a.io"

    def lines(self, stream: OutputStream) -> list[str]:
        return [line for source, line in self.shown if source is stream]

    def start(self, *argv: str) -> asyncio.Task[Reply | Failure]:
        """Start a program in the running loop."""
        return asyncio.ensure_future(self.attempt(*argv))

    def attempt(self, *argv: str) -> Coroutine[None, None, Reply | Failure]:
        """Prepare an attempt with a program."""
        table = CommandAgent(
            command=argv,
            pass_env=self.pass_env,
            busy_patterns=self.busy_patterns,
            env=self.env,
            exit_codes=self.exit_codes,
        )
        assignment = Assignment(
            item=ItemKey("1-t1"),
            output=self.output,
            prompt=self.prompt,
            context=self.context,
            timeout=self.timeout,
            attempt=2,
        )
        self.starters.append(Starter())
        if isinstance(self.sandbox, Served):
            self.starters[-1].start_server()
        runner = an_agent(table, self.environment, self.sandbox, self.starters[-1])
        place = LocalPlace(self.worktree, self.scratch)
        return runner.run(assignment, place, self._show)

    def _show(self, stream: OutputStream, line: str) -> None:
        self.shown.append((stream, line))
        self.listen(line)

    def run(self, *argv: str) -> Reply | Failure:
        """Run a program to its end, and see that nothing of it is left in the loop."""

        async def whole() -> Reply | Failure:
            async with asyncio.timeout(NEVER / 2):
                answer = await self.start(*argv)
            await loop_turns()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            return answer

        answer = asyncio.run(whole())
        gc.collect()  # what was not closed says so here, not in another test
        return answer

    def sh(self, script: str) -> Reply | Failure:
        return self.run("sh", "-c", script)


@pytest.fixture
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(tmp_path, sandbox=getattr(request, "param", Unwrapped)())
    made.worktree.mkdir()
    yield made
    for starter in made.starters:
        starter.close()


def busy(reason: str, *details: str) -> Failure:
    """A failure that looks as if a server was busy."""
    return msgspec.structs.replace(a_failure(reason, details, Cause.BUSY), is_guess=True)


either = pytest.mark.parametrize("bench", [Unwrapped, Served], indirect=True)
"""The program is started by the event loop, or our launcher by its server."""


class Tether:
    """A FIFO that a program and its children hold open: at its end, the last of them is gone."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.hold = f"exec 9>'{path}'; echo held >&9"

    def assert_loose(self) -> None:
        """It was held, and nobody holds it any more; who was just killed needs a moment to be gone."""
        said: list[bytes] = []

        def is_at_end() -> bool:
            with suppress(BlockingIOError):
                said.append(os.read(self._reader, 100))
            return said[-1:] == [b""]

        wait_until(is_at_end, "nobody holds the tether", patience=30)
        assert b"".join(said) == b"held\n"

    def close(self) -> None:
        os.close(self._reader)


@pytest.fixture
def tether(tmp_path: Path) -> Iterator[Tether]:
    made = Tether(tmp_path / "tether")
    yield made
    made.close()


# what a program is given


@either
def test_it_runs_in_the_worktree_with_the_prompt_on_standard_input(bench: Bench) -> None:
    bench.prompt = "Schreibe „a“.\n\n> # zitiert\n" * 10_000
    assert bench.sh("pwd -P >where; cat >said; echo Done.") == a_reply("Done.")
    assert (bench.worktree / "where").read_text().rstrip("\n") == str(bench.worktree.resolve())
    assert (bench.worktree / "said").read_text(encoding="utf-8") == bench.prompt


@pytest.mark.parametrize(
    "script", ["echo Done.", "exec <&-; sleep 0.1; echo Done.", "head -c 10; echo; echo; echo Done."]
)
@either
def test_it_need_not_read_its_prompt(bench: Bench, script: str) -> None:
    bench.prompt = "x" * 5_000_000
    assert bench.sh(script) == a_reply("Done.")


@either
def test_it_finds_its_assignment_in_files(bench: Bench) -> None:
    bench.prompt = "Wärme\n"
    bench.context = (
        ContextFile("rules.md", "1" * 40, ContextReason.RULES),
        ContextFile("docs/ü b.md", "2" * 40, ContextReason.DECLARED),
        ContextFile("docs/c\n/etc/passwd", "3" * 40, ContextReason.DECLARED),
    )
    bench.sh(
        'cat "$GITBATCH_PROMPT_FILE" >prompt; cat "$GITBATCH_CONTEXT" >context; cp "$GITBATCH_PROGRESS" progress'
    )
    assert (bench.worktree / "prompt").read_text(encoding="utf-8") == "Wärme\n"
    assert (bench.worktree / "context").read_text(encoding="utf-8") == (
        'rules.md\ndocs/ü b.md\n"docs/c\\012/etc/passwd"\n'
    )
    assert (bench.worktree / "progress").read_text() == ""


USUAL = "PATH HOME USER LOGNAME SHELL LANG LANGUAGE TERM TMPDIR TZ VIRTUAL_ENV"


def test_of_the_users_environment_it_gets_an_allow_list(bench: Bench) -> None:
    usual = {name: f"the {name}" for name in USUAL.split()} | {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
    }
    secret = {
        "ANTHROPIC_API_KEY": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "GIT_DIR": "/elsewhere",
        "LD_PRELOAD": "/evil.so",
        "PYTHONPATH": "/evil",
        "SSH_AUTH_SOCK": "/run/agent",
        "GITBATCH_OUTPUT": "CLAUDE.md",
        "GITBATCH_SECRET": "secret",
    }
    bench.environment = usual | secret | {"API_KEY": "wanted"}
    bench.pass_env = ("API_KEY", "NOT_SET")
    bench.sh("env -0 >environment")
    found = dict(
        entry.split("=", 1) for entry in (bench.worktree / "environment").read_text().split("\0") if entry
    )
    assert {name: value for name, value in found.items() if name not in {"PWD", "OLDPWD", "SHLVL", "_"}} == {
        **usual,
        "API_KEY": "wanted",
        "GITBATCH_ATTEMPT": "2",
        "GITBATCH_CONTEXT": str(bench.scratch / "context"),
        "GITBATCH_ITEM": "1-t1",
        "GITBATCH_OUTPUT": "out/a.md",
        "GITBATCH_PROGRESS": str(bench.scratch / "progress"),
        "GITBATCH_PROMPT_FILE": str(bench.scratch / "prompt.md"),
        "GITBATCH_REPLY": str(bench.scratch / "reply.json"),
    }


@either
def test_fixed_variables_replace_those_of_the_user(bench: Bench) -> None:
    bench.environment |= {"LANG": "de_DE", "TERM": "dumb"}
    bench.env = {"LANG": "C", "MODE": "{item}", "STATE": "{scratch}/state:{worktree}", "X": "{x}"}
    assert bench.sh('echo "$LANG|$TERM|$MODE|$STATE|$X|$GITBATCH_ITEM"') == a_reply(
        f"C|dumb|1-t1|{bench.scratch}/state:{bench.worktree}|{{x}}|1-t1",
        flags=(ReplyFlag.SUMMARY_SHORT,),
    )


def test_a_program_of_the_worktree_and_its_folders_by_placeholders(bench: Bench) -> None:
    program_file = bench.worktree / "tool"
    program_file.write_text('#!/bin/sh\necho "$@"\n')
    program_file.chmod(0o755)
    bench.run("{worktree}/tool", "{worktree}", "--state={scratch}")
    assert bench.lines(OUTPUT) == [f"{bench.worktree} --state={bench.scratch}"]
    missing = bench.run("{worktree}/none")
    assert isinstance(missing, Failure)
    assert missing.cause is Cause.FATAL, "it is missing for every item"


@pytest.mark.parametrize(
    ("code", "meaning", "cause"),
    [
        (41, "fatal", Cause.FATAL),
        (42, "context", Cause.CONTEXT),
        (43, "declined", Cause.DECLINED),
        (44, "busy", Cause.BUSY),
        (75, "failed", Cause.FAILED),
    ],
)
def test_exit_codes_mean_what_is_configured(
    bench: Bench, code: int, meaning: ExitMeaning, cause: Cause
) -> None:
    bench.exit_codes = {str(code): meaning}
    assert bench.sh(f"echo rate limit; exit {code}") == a_failure(
        f"rate limit (exit {code})", ("rate limit",), cause
    )


def test_placeholders_are_filled_once_and_anywhere_in_an_argument(bench: Bench) -> None:
    bench.output = "out/{item} $HOME;x.md"
    arguments = ("--out={output}", "{item}{item}", "{prompt_file}", "{context} {}", "{outputs}", "")
    bench.run("sh", "-c", r'printf "%s\n" "$@" >arguments', "name", *arguments)
    assert (bench.worktree / "arguments").read_text().split("\n") == [
        f"--out={bench.output}",
        "1-t11-t1",
        str(bench.scratch / "prompt.md"),
        "{context} {}",
        "{outputs}",
        "",
        "",
    ]


def test_what_an_earlier_attempt_left_is_neither_followed_nor_taken(bench: Bench, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("of the user")
    bench.scratch.mkdir(parents=True)
    (bench.scratch / "reply.json").write_text('{"summary": "Forged."}')
    for name in ("prompt.md", "context", "progress"):
        (bench.scratch / name).symlink_to(precious)
    assert bench.sh("echo Done.") == a_reply("Done.")
    assert precious.read_text() == "of the user"


def test_the_sandbox_is_told_what_the_program_may_do(tmp_path: Path) -> None:
    sandbox = Unwrapped()
    assignment = Assignment(
        item=ItemKey("out/a.md"),
        output="out/a.md",
        prompt="",
        context=(),
        timeout=NEVER,
        attempt=1,
    )
    place = LocalPlace(
        worktree=tmp_path / "tree",
        scratch=tmp_path / "scratch",
        git=(tmp_path / "item.git",),
        checkouts=(tmp_path / "repo", tmp_path / "repo/.git"),
        hidden=(tmp_path / "cache",),
    )
    place.worktree.mkdir()
    table = CommandAgent(
        command=("true",),
        network=True,
        strict=True,
        needs=("~/.config/x", "~", "/opt/~y"),
        writable=("/var/cache/x", "~/.cache"),
        max_file_bytes=1000,
        max_scratch_bytes=2000,
    )
    environment = {"PATH": os.environ["PATH"], "HOME": "/home/me"}

    def told(**changes: Any) -> Confinement:  # noqa: ANN401  # fields of a table
        runner = an_agent(msgspec.structs.replace(table, **changes), environment, sandbox, Starter())
        asyncio.run(runner.run(assignment, place, lambda _stream, _line: None))
        return sandbox.asked.pop()

    assert told() == Confinement(
        worktree=place.worktree,
        scratch=place.scratch,
        git=place.git,
        checkouts=place.checkouts,
        hidden=place.hidden,
        home=Path("/home/me"),
        path=os.environ["PATH"],
        needs=(Path("/home/me/.config/x"), Path("/home/me"), Path("/opt/~y")),
        writable=(Path("/var/cache/x"), Path("/home/me/.cache")),
        network=Network.ALL,
        strict_output=tmp_path / "tree/out/a.md",
        limits=ProcessLimits(file_bytes=1000, scratch_bytes=2000),
    )
    assert told(strict=False).strict_output is None


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("cat; echo Done.", a_reply("Done.")),
        ("echo why >&2; exit 3", a_failure("why (exit 3)", ("why",))),
    ],
)
def test_it_runs_behind_the_launcher_of_a_real_sandbox(
    bench: Bench, script: str, expected: Reply | Failure
) -> None:
    bench.sandbox = NoSandbox()
    bench.prompt = "Write a.\n\n"
    assert bench.sh(script) == expected


# what it says


@pytest.mark.rule("F1")
@pytest.mark.parametrize(
    ("where", "stream"), [("", OUTPUT), (">&2", ERROR), ('>>"$GITBATCH_PROGRESS"', PROGRESS)]
)
@either
def test_a_line_is_shown_while_the_program_runs(bench: Bench, where: str, stream: OutputStream) -> None:
    heard = bench.worktree / "heard"
    bench.listen = lambda _: heard.touch()
    answer = bench.sh(f"echo working {where}; until [ -e heard ]; do sleep 0.01; done; echo; echo Done.")
    assert bench.shown == [(stream, "working"), (OUTPUT, "Done.")]
    assert answer == a_reply("Done.")


def test_lines_are_harmless_whole_and_not_empty(bench: Bench) -> None:
    bench.sh(
        r"printf '\033[31mred\033[0m\r\n\n \t\n\033[2J\n'; printf 'a \342\200\256 b\n'; printf 'caf\351\n';"
        r"printf 'ha'; sleep 0.05; printf 'lf\nno end'"
    )
    assert bench.shown == [(OUTPUT, line) for line in ("red", "a b", "caf\ufffd", "half", "no end")]


@pytest.mark.rule("F1")
@either
def test_the_progress_file_is_shown_to_its_end(bench: Bench) -> None:
    bench.sh(
        'seq 1 3000 | sed "s/$/ ................................../" >>"$GITBATCH_PROGRESS"; printf last >>"$GITBATCH_PROGRESS"'
    )
    assert bench.lines(PROGRESS) == [*(f"{n} {'.' * 34}" for n in range(1, 3001)), "last"]


@pytest.mark.rule("F1")
@pytest.mark.parametrize(
    "make",
    [
        'ln -s "$SECRET" "$GITBATCH_PROGRESS"',
        'ln "$SECRET" "$GITBATCH_PROGRESS"',
        'mkfifo "$GITBATCH_PROGRESS"',
        'mkdir "$GITBATCH_PROGRESS"',
        "true",
        'd=$(dirname "$GITBATCH_PROGRESS"); mv "$d" moved; ln -s "$(dirname "$SECRET")" "$d"',
    ],
    ids=["symlink", "hard link", "FIFO", "folder", "nothing", "folder is a symlink"],
)
def test_a_progress_file_that_is_no_file_is_not_followed(
    bench: Bench, make: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_POLL", 0.01)
    (tmp_path / "secrets").mkdir()
    secret = tmp_path / "secrets" / "progress"
    secret.write_text("secret\n")
    bench.environment["SECRET"], bench.pass_env = str(secret), ("SECRET",)
    bench.listen = lambda _: (bench.worktree / "heard").touch()
    wait = "until [ -e heard ]; do sleep 0.01; done"
    bench.sh(
        f'echo before >>"$GITBATCH_PROGRESS"; {wait}; rm "$GITBATCH_PROGRESS"; {make}; sleep 0.1; echo Done.'
    )
    assert bench.shown == [(PROGRESS, "before"), (OUTPUT, "Done.")]


@either
def test_a_flood_of_lines_is_cut_and_its_end_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_SHOWN_LINES", 50)
    answer = bench.sh("seq 1 200000; seq 1 200000 >&2; exit 3")
    assert answer == a_failure("exit code 3", tuple(str(n) for n in range(199_981, 200_001)))
    assert len(bench.shown) == 51
    assert bench.shown[-1][1] == "… more than 50 lines: the rest is not shown"


@pytest.mark.parametrize("where", ["", ">&2", '>"$GITBATCH_PROGRESS"'], ids=["output", "error", "progress"])
@either
def test_output_without_a_line_break_takes_no_memory(bench: Bench, where: str) -> None:
    tracemalloc.start()
    bench.sh(f"head -c 30000000 /dev/zero | tr '\\0' x {where}")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [line for _, line in bench.shown] == ["x" * 599 + "…"]
    assert peak < 4_000_000


KEY = "sk-0123456789abcdefghijklmnop"


@pytest.mark.parametrize(
    "script",
    [
        'printf "%.10s" "$KEY"; sleep 0.1; echo "${KEY#??????????}"',
        'head -c 65530 /dev/zero | tr "\\0" x; echo "$KEY"; echo',
        'head -c 65530 /dev/zero | tr "\\0" x; printf "$KEY"; head -c 65530 /dev/zero | tr "\\0" y; echo',
        'head -c 590 /dev/zero | tr "\\0" x; echo "$KEY"',
        'echo "$KEY" >>"$GITBATCH_PROGRESS"',
        'echo "{\\"a\\": \\"$KEY\\"}"',
    ],
)
@pytest.mark.parametrize("end", ["exit 0", "exit 3"])
def test_no_part_of_a_key_is_shown_or_kept_wherever_it_is_cut(bench: Bench, script: str, end: str) -> None:
    bench.environment["KEY"], bench.pass_env = KEY, ("KEY",)
    bench.prompt = ""
    answer = bench.sh(f"echo start >&2; {script}; {end}")
    whole = f"{bench.shown} {answer}"
    assert not any(KEY[at : at + 8] in whole for at in range(len(KEY) - 7))


def test_json_is_shown_short(bench: Bench) -> None:
    long = (
        '{"type": "assistant", "message": {"content": [{"type": "text", "text": "' + "word " * 100 + '"}]}}'
    )
    bench.prompt = f'{long}\n{{"type": "system", "subtype": "init", "tools": []}}\n'
    assert bench.sh("cat") == SAID_NOTHING
    first, second = bench.lines(OUTPUT)
    assert first == f"assistant: {'word ' * 29}wor…"
    assert second == "system init"


# what it replies


@either
def test_a_reply_is_read_from_its_file(bench: Bench) -> None:
    reply = {
        "summary": "Wrote a. It is short.",
        "decisions": ["Kept it short."],
        "contributions": [{"artifact": "inventory.md", "text": "a exists"}],
    }
    bench.prompt = json.dumps(reply)
    assert bench.sh('cat >"$GITBATCH_REPLY"; echo "Not this."') == a_reply(
        "Wrote a. It is short.", ("Kept it short.",), (("inventory.md", "a exists"),)
    )


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("true", SAID_NOTHING),
        ("echo One. >&2", SAID_NOTHING),
        ("printf 'First.\\n\\nOne.\\nTwo.\\n\\n'", a_reply("One. Two.")),
        ("printf 'One.\\n\\n\\033[0m\\n'", a_reply("One.")),
        ("echo One. Two. Three. Four.", a_reply("One. Two. Three.", flags=(ReplyFlag.SUMMARY_CUT,))),
        ("seq 1 100000; echo; echo Done.", a_reply("Done.")),
        ('echo One.; rm -r "$(dirname $GITBATCH_REPLY)"', a_reply("One.")),
        ("""echo Hello.; echo; echo '{"type": "result", "result": "Done."}'""", SAID_NOTHING),
        ("""echo '{"a": 1}'; echo Done.""", a_reply("Done.")),
        ("""head -c 100000 /dev/zero | tr '\\0' x; echo '", "usage": {"in": 3}}'""", SAID_NOTHING),
        (r"""echo '{"summary": "{\\"a\\": 1}"}' >"$GITBATCH_REPLY" """, SAID_NOTHING),
    ],
)
@either
def test_without_a_reply_the_last_paragraph_is_the_summary(
    bench: Bench, script: str, expected: Reply
) -> None:
    assert bench.sh(script) == expected


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ('echo "{" >"$GITBATCH_REPLY"', "invalid reply JSON: "),
        (': >"$GITBATCH_REPLY"', "invalid reply JSON: "),
        ('echo "[[[" >"$GITBATCH_REPLY"', "invalid reply JSON: "),
        (
            f'head -c {REPLY_BYTES + 1} /dev/zero >"$GITBATCH_REPLY"',
            f"the reply is larger than {REPLY_BYTES} bytes",
        ),
        ('echo "{}" >r; ln -s "$PWD/r" "$GITBATCH_REPLY"', "cannot read the reply: it is a symbolic link"),
        ('echo "{}" >r; ln r "$GITBATCH_REPLY"', "cannot read the reply: reply.json has 2 names"),
        ('mkfifo "$GITBATCH_REPLY"', "cannot read the reply: reply.json is not a regular file"),
        ('mkdir "$GITBATCH_REPLY"', "cannot read the reply: reply.json is not a regular file"),
    ],
)
def test_a_reply_that_is_none_is_a_failure(bench: Bench, script: str, reason: str) -> None:
    answer = bench.sh(script)
    assert isinstance(answer, Failure)
    assert answer.reason.startswith(reason)


def test_what_a_program_said_whose_reply_is_none_is_told(bench: Bench) -> None:
    answer = bench.sh('echo "{" >"$GITBATCH_REPLY"; echo "I am done."')
    assert isinstance(answer, Failure)
    assert answer.details == ("I am done.",)


def test_the_largest_reply(bench: Bench) -> None:
    bench.prompt = '{"summary": "One."}'.ljust(REPLY_BYTES)
    assert bench.sh('cat >"$GITBATCH_REPLY"') == a_reply("One.")


# how it ends


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 1", "last words (exit 1)"),
        ("exit 255", "last words (exit 255)"),
        ("exit 137", "last words (exit 137, signal 9)"),
        ("kill -9 $$", "last words (signal 9)"),
        ("kill -TERM $$", "last words (signal 15)"),
        ("kill -SEGV $$", "last words (signal 11)"),
    ],
)
def test_any_other_end_is_a_failure_with_its_last_words(bench: Bench, script: str, reason: str) -> None:
    answer = bench.sh(
        f"echo '{{}}' >\"$GITBATCH_REPLY\"; echo out; seq 1 30 >&2; printf 'last words' >&2; {script}"
    )
    assert answer == a_failure(reason, (*(str(n) for n in range(12, 31)), "last words"))


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        ("exit 1", a_failure("exit code 1")),
        ("exit 137", a_failure("exit code 137 (signal 9)")),
        ("echo; echo 'KeyError: x'; exit 3", a_failure("KeyError: x (exit 3)", ("KeyError: x",))),
        ("echo out; echo err >&2; exit 3", a_failure("err (exit 3)", ("err",))),
        ("echo out; printf '\\033[0m\\n \\n' >&2; exit 3", a_failure("out (exit 3)", ("out",))),
        (
            "seq 1 30; echo '----'; exit 3",
            a_failure("exit code 3", (*(str(n) for n in range(12, 31)), "----")),
        ),
        (
            """echo '{"type": "error", "error": {"data": {"message": "No key"}}}'; exit 1""",
            a_failure("error: No key (exit 1)", ("error: No key",)),
        ),
        (
            "echo 'API Error: Rate limit'; exit 1",
            busy("API Error: Rate limit (exit 1)", "API Error: Rate limit"),
        ),
        ("echo noise >&2; echo 'HTTP 429'; exit 1", busy("noise (exit 1)", "noise")),
        ("""echo '{"type": "x", "error": "no", "code": 429}'; exit 1""", busy("x: no (exit 1)", "x: no")),
        ("echo 'overloaded'; seq 5; exit 3", a_failure("overloaded (exit 3)", ("overloaded", *"12345"))),
        ("echo busy; exit 75", a_failure("busy (exit 75)", ("busy",), Cause.BUSY)),
    ],
)
@either
def test_why_it_failed_is_what_it_said_last_on_either_stream(
    bench: Bench, script: str, failure: Failure
) -> None:
    assert bench.sh(script) == failure


@pytest.mark.parametrize(
    ("patterns", "said", "is_busy"),
    [
        (True, "try again later", True),
        (False, "try again later", False),
        ((), "try again later", False),
        (("quota",), "Quota exceeded", True),
        (("quota",), "try again later", False),
    ],
)
def test_what_counts_as_busy_is_configured(
    bench: Bench, *, patterns: bool | tuple[str, ...], said: str, is_busy: bool
) -> None:
    bench.busy_patterns = patterns
    answer = bench.sh(f"echo '{said}'; exit 1")
    assert isinstance(answer, Failure)
    assert (answer.cause is Cause.BUSY, answer.is_guess) == (is_busy, is_busy)


def test_a_program_that_succeeds_or_takes_too_long_is_not_busy(bench: Bench) -> None:
    assert bench.sh("echo rate limit") == a_reply("rate limit")
    bench.timeout = 0.5
    answer = bench.sh("echo rate limit; sleep 60")
    assert answer == a_failure("it took longer than 0.5 seconds", ("rate limit",), Cause.TIMEOUT)


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (("no-such-program",), "no-such-program: No such file or directory"),
        (("./no-such-program", "{output}"), "./no-such-program: No such file or directory"),
        (("./plain-file",), "./plain-file: Permission denied"),
        (("/",), "/: Permission denied"),
        (("sh", "x" * 3_000_000), "sh: Argument list too long"),
    ],
    ids=["name", "path", "not executable", "folder", "too long"],
)
def test_a_program_that_cannot_be_started(bench: Bench, argv: tuple[str, ...], reason: str) -> None:
    (bench.worktree / "plain-file").write_text("")
    cause = Cause.FAILED if "too long" in reason else Cause.FATAL
    assert bench.run(*argv) == a_failure(f"the agent cannot be started: {reason}", cause=cause)


def test_a_place_where_nothing_can_be_started(bench: Bench) -> None:
    bench.worktree.rmdir()
    assert bench.sh("true") == a_failure(
        f"the agent cannot be started: {bench.worktree}: {os.strerror(errno.ENOENT)}"
    )


def test_a_scratch_folder_that_is_a_link_is_not_used(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    bench.scratch.parent.mkdir()
    bench.scratch.symlink_to(tmp_path / "elsewhere")
    assert bench.sh("true") == a_failure(f"the agent cannot be started: {bench.scratch}: File exists")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@either
def test_a_time_out_lets_the_program_clean_up(bench: Bench, tether: Tether) -> None:
    bench.timeout = 1
    answer = bench.sh(f"{tether.hold}; trap 'echo cleaned up >&2; exit 0' TERM; echo ready; sleep 60 & wait")
    assert answer == a_failure("it took longer than 1 seconds", ("cleaned up",), Cause.TIMEOUT)
    assert bench.lines(OUTPUT) == ["ready"]
    tether.assert_loose()


def signals_sent(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The signals that a program's group gets, and the seconds of grace where they pass without its end."""
    sent: list[float] = []
    really_signal, really_wait = program._signal_group, program._wait_for

    def signal_group(group: int, number: signal.Signals) -> None:
        sent.append(number)
        really_signal(group, number)

    async def wait_for(event: asyncio.Event, seconds: float) -> None:
        await really_wait(event, seconds)
        if not event.is_set():
            sent.append(seconds)

    monkeypatch.setattr(program, "_signal_group", signal_group)
    monkeypatch.setattr(program, "_wait_for", wait_for)
    return sent


def test_a_time_out_ends_grandchildren_and_who_ignores_it(
    bench: Bench, tether: Tether, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_GRACE", 0.2)
    sent = signals_sent(monkeypatch)
    bench.timeout = 1
    answer = bench.sh(f"{tether.hold}; trap '' TERM; (sleep 60 & sleep 60) & echo ready; sleep 60; true")
    assert answer == a_failure("it took longer than 1 seconds", ("ready",), Cause.TIMEOUT)
    assert sent == [signal.SIGTERM, 0.2, signal.SIGKILL]
    assert bench.lines(OUTPUT) == ["ready"]
    tether.assert_loose()


@either
def test_what_a_program_leaves_running_ends_with_it(bench: Bench, tether: Tether) -> None:
    assert bench.sh(f"{tether.hold}; trap '' TERM HUP; sleep 60 & echo Done.") == a_reply("Done.")
    tether.assert_loose()


DAEMON = """\
import os, sys
ready, left = os.pipe()
if os.fork():
    os.read(ready, 1)
    print("Done.", flush=True)
    os._exit(int(sys.argv[1]))
os.setsid()
sys.stderr.write(f"{os.getpid()}\\nunfinished")
sys.stderr.flush()
os.write(left, b".")
os.execvp("sleep", ["sleep", "60"])
"""


@pytest.mark.parametrize("code", [0, 3])
def test_a_child_that_has_left_the_group_and_holds_the_pipes_holds_nobody_up(
    bench: Bench, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_PIPE_PATIENCE", 0.5)
    bench.prompt = "x" * 1_000_000
    answer = bench.run(sys.executable, "-c", DAEMON, str(code))
    pid, unfinished = bench.lines(ERROR)
    os.kill(int(pid), signal.SIGKILL)  # it still runs
    assert unfinished == "unfinished"
    assert answer == (a_failure("unfinished (exit 3)", (pid, unfinished)) if code else a_reply("Done."))


def test_what_such_a_child_says_soon_after_is_heard(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_PIPE_PATIENCE", NEVER)
    late = DAEMON.replace('"sleep", ["sleep", "60"]', '"sh", ["sh", "-c", "sleep 0.2; echo Late."]')
    assert bench.run(sys.executable, "-c", late, "0") == a_reply("Done. Late.")
    assert bench.lines(OUTPUT) == ["Done.", "Late."]


def cancel(bench: Bench, script: str, *, again: bool = False) -> None:
    """Cancel a program when it shows its first line, and once more when it shows the next."""

    async def whole() -> None:
        task = bench.start("sh", "-c", script)
        said: asyncio.Queue[str] = asyncio.Queue()
        bench.listen = said.put_nowait
        async with asyncio.timeout(NEVER / 2):
            await said.get()
            task.cancel()
            if again:
                await said.get()
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(whole())
    gc.collect()


@either
def test_cancelling_ends_the_whole_group(
    bench: Bench, tether: Tether, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_GRACE", NEVER)
    cancel(bench, f"{tether.hold}; (sleep 60 & sleep 60) & echo ready; sleep 60")
    tether.assert_loose()


@either
def test_cancelling_gives_the_program_its_time(bench: Bench, tether: Tether) -> None:
    script = f"{tether.hold}; trap 'sleep 0.3; echo cleaned up; exit' TERM; echo ready; sleep 60 & wait"
    cancel(bench, script)
    assert bench.lines(OUTPUT) == ["ready", "cleaned up"]
    tether.assert_loose()


def test_cancelling_twice_ends_a_program_that_ignores_it(
    bench: Bench, tether: Tether, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "_GRACE", NEVER)
    script = f"{tether.hold}; trap 'echo heard' TERM; echo ready; while :; do sleep 60 & wait; done"
    cancel(bench, script, again=True)
    assert bench.lines(OUTPUT) == ["ready", "heard"]
    tether.assert_loose()


def test_cancelling_reports_what_was_used_until_then(bench: Bench) -> None:
    reply = '{"usage": {"input": 7, "cost": 0.5}}'

    async def whole() -> None:
        task = bench.start("sh", "-c", f"echo '{reply}' >\"$GITBATCH_REPLY\"; echo ready; sleep 60")
        said: asyncio.Queue[str] = asyncio.Queue()
        bench.listen = said.put_nowait
        await said.get()
        task.cancel()
        with pytest.raises(AttemptInterruptedError) as interrupted:
            await task
        assert interrupted.value.usage == Usage(input=7, requests=1, cost=0.5)

    asyncio.run(whole())


@pytest.mark.parametrize("is_known", [True, False])
@either
def test_what_has_ended_when_it_is_cancelled_has_its_reply(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, is_known: bool
) -> None:
    """The cancellation comes in the turn of the loop in which the end of the program is noted, before or after that."""
    answers: list[Reply | Failure] = []
    tasks: list[asyncio.Task[None]] = []
    noted = OutputWatch.process_exited

    def end(watch: OutputWatch) -> None:
        tasks[0].cancel()
        if is_known:
            noted(watch)
        else:
            asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, noted, watch)

    async def attempt() -> None:
        answers.append(await bench.attempt("sh", "-c", "echo Done."))
        await loop_turns()

    async def whole() -> None:
        tasks.append(asyncio.ensure_future(attempt()))
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]

    monkeypatch.setattr(OutputWatch, "process_exited", end)
    asyncio.run(whole())
    gc.collect()
    assert answers == [a_reply("Done.")]


@pytest.mark.parametrize("turns", range(1, 9))
@either
def test_cancelling_while_it_starts_ends_its_children_too(bench: Bench, tether: Tether, turns: int) -> None:
    """Its end of a pipe is held by a child as well, so that the pipe closes only with both."""
    begun = bench.worktree / "begun"

    async def whole() -> None:
        task = bench.start("sh", "-c", f"{tether.hold}; sleep 600 & : >'{begun}'; wait")
        await loop_turns(turns)
        with suppress(AssertionError):  # it has not been started yet
            wait_until(begun.exists, "the start", patience=0.3)
        task.cancel()
        async with asyncio.timeout(NEVER / 2):
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(whole())
    gc.collect()
    if begun.exists():
        tether.assert_loose()


def test_many_at_once(tmp_path: Path) -> None:
    """None of them ends before all of them run."""
    benches = [Bench(tmp_path / str(number)) for number in range(20)]
    for bench in benches:
        bench.worktree.mkdir(parents=True)
        bench.prompt = f"{bench.root.name}. " * 20_000
    script = f"tail -c 4; : >'{tmp_path}'/runs.$$; until set -- '{tmp_path}'/runs.*; [ $# = 20 ]; do sleep 0.05; done"

    async def whole() -> list[Reply | Failure]:
        async with asyncio.timeout(NEVER):
            return await asyncio.gather(*(bench.start("sh", "-c", script) for bench in benches))

    assert asyncio.run(whole()) == [a_reply(f"{bench.prompt[-4:].strip()}") for bench in benches]
