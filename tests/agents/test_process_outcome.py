"""What a program that has ended has said: its reply, its summary, or why it failed."""

import json

import pytest
from agents.process_bench import REPLY_BYTES, SAID_NOTHING, Bench, busy, either
from agents.values import a_failure, a_reply

from gitbatch.agents.protocol import Failure, Reply, ReplyFlag
from gitbatch.limits.causes import Cause


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


def test_a_program_that_succeeds_or_takes_too_long_is_not_busy(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bench.sh("echo rate limit") == a_reply("rate limit")
    bench.timeout = 0.5
    bench.expire_at(monkeypatch, "rate limit")
    answer = bench.sh("echo rate limit; sleep 60")
    assert answer == a_failure("it took longer than 0.5 seconds", ("rate limit",), Cause.TIMEOUT)
