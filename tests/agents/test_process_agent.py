"""What a program is given when it is started, and what happens if it cannot be started."""

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from agents.process_bench import (
    NEVER,
    OUTPUT,
    Bench,
    Unwrapped,
    an_agent,
    either,
)
from agents.values import a_failure, a_reply

from gitbatch.agents.command.table import CommandAgent, ExitMeaning
from gitbatch.agents.process.confine import confinement_of
from gitbatch.agents.process.starter import Starter
from gitbatch.agents.protocol import AgentFolders, Assignment, Failure, Reply, ReplyFlag
from gitbatch.limits.causes import Cause
from gitbatch.plan.model import ItemKey
from gitbatch.project.context import ContextFile, ContextReason
from gitbatch.sandbox.model import Confinement, Network, ProcessLimits
from gitbatch.sandbox.none import NoSandbox

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
        "GITBATCH_SLOT": "0",
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
    place = AgentFolders(
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
    certificates = {"SSL_CERT_FILE": "/home/me/ca.pem", "NODE_EXTRA_CA_CERTS": "relative.pem"}
    environment = {"PATH": os.environ["PATH"], "HOME": "/home/me", **certificates}

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
        needs=(Path("/home/me/.config/x"), Path("/home/me"), Path("/opt/~y"), Path("/home/me/ca.pem")),
        writable=(Path("/var/cache/x"), Path("/home/me/.cache")),
        network=Network.ALL,
        strict_output=tmp_path / "tree/out/a.md",
        limits=ProcessLimits(file_bytes=1000, scratch_bytes=2000),
    )
    assert told(strict=False).strict_output is None
    without = confinement_of(table, environment, place, "out/a.md", Network.NONE)
    assert Path("/home/me/ca.pem") not in without.needs


def test_program_with_a_network_gets_its_certificates(bench: Bench) -> None:
    bench.environment |= {"SSL_CERT_FILE": "/ca.pem"}
    assert bench.sh('echo "$SSL_CERT_FILE"') == a_reply("/ca.pem")


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


def test_a_folder_where_nothing_can_be_started(bench: Bench) -> None:
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
