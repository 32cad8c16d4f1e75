"""What a program shows while it runs: harmless lines, in bounded memory, without keys."""

import tracemalloc
from pathlib import Path

import pytest
from agents.process_bench import ERROR, OUTPUT, PROGRESS, SAID_NOTHING, Bench, either
from agents.values import a_failure, a_reply

from gitbatch.agents.process import watch
from gitbatch.agents.protocol import OutputStream


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
