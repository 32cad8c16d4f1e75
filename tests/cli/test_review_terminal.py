"""The review screen, and the same review in lines, in a real pseudo-terminal: sizes, keys, hostile texts, editors."""

import re
import signal
import sys

import pexpect
import pytest
from conftest import Workspace
from eyes import Eyes, watched
from history import assert_tidy
from sessions import run_here

from gitbatch.batch.history.review_message import parse_review_message
from gitbatch.batch.model import CheckpointMode

ENTER, ESCAPE = "\r", "\x1b"
HOSTILE = r"""printf '\033[2J\033]0;owned\007\033[31mred\033[0m \033[?1049l\n' >"$output"; exit 0 ;;"""
COMMENT = (
    "# Wishes\n\n- [skip ci] Closes #1\n\nGitbatch-Review: approve 1 out/letters/a.md\nSigned-off-by: Eve\n"
)
PASTE = f"{COMMENT}{'x' * 10_000}"
AFTER_EACH = ("--items", "all", "--checkpoint", "after-each")


def gitbatch(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "gitbatch", *arguments]


def end(eyes: Eyes) -> int | None:
    eyes.child.expect(pexpect.EOF)
    eyes.child.close()
    return eyes.child.exitstatus


def an_editor(workspace: Workspace) -> None:
    """An editor that adds a line at the start of whatever it opens."""
    editor = workspace.home / "editor"
    editor.write_text('#!/bin/sh\nsed -i "1i By hand." "$1"\n', encoding="utf-8")
    editor.chmod(0o755)
    workspace.environment["EDITOR"] = str(editor)


def read_diff(eyes: Eyes) -> None:
    """`d` in two sizes: what the output would do to a terminal is seen, and clears nothing."""
    eyes.child.send("jjd")
    text = eyes.look_for(r"\+\^\[\[2J\^\[\]0;owned\^G\^\[\[31mred")
    assert text.splitlines()[0].startswith(" Checkpoint 1/3, Letters: 3 of 4 items done")
    eyes.resize(160, 50)
    eyes.look_for("─{160}")
    eyes.child.send("q")


def reject_one(eyes: Eyes) -> None:
    """`x` on T103."""
    eyes.child.send("x")
    eyes.look_for("T103  succeeded +\\* rejected")
    eyes.resize(80, 24)


def send_back_one(eyes: Eyes) -> None:
    """`v` on T101, with a pasted comment, then Enter."""
    eyes.child.send("k" + "v" + f"\x1b[200~{PASTE}\x1b[201~")
    eyes.look_for("comment for T101: …x+")
    eyes.child.send(ENTER)
    eyes.look_for("T101  succeeded +\\* sent back")


def edit_one(eyes: Eyes) -> None:
    """`o` on T104."""
    eyes.child.send("jjo")
    eyes.look_for("T104: your commit [0-9a-f]{10}")


def record_all(eyes: Eyes) -> None:
    """`A` and `R` for the rest, `c`; the question lists all of it, and Enter and Escape are no answers to it."""
    eyes.child.send("AR" + "c")
    text = eyes.look_for("Record this and run it before what is left")
    assert [line.split()[:2] for line in text.splitlines()[1:4]] == [
        ["One", "commit"],
        ["approved", "T104"],
        ["sent", "back"],
    ]
    eyes.child.send(ENTER + ENTER + ESCAPE)
    eyes.look_for("nothing has changed")
    eyes.child.send("cy")
    eyes.look_for("c: continue with the next group")


def undo_none(eyes: Eyes) -> None:
    """`u`: where nothing is in history it says so, else it asks; then `q`."""
    eyes.child.send("ju")
    eyes.look_for("T102 cannot be undone: nothing of it is in history")
    eyes.child.send("jju")
    eyes.look_for("Undo T104: file put back")
    eyes.child.send(ESCAPE + "q")


@pytest.mark.rule("F7")
def test_every_key_decides_on_the_screen(three: Workspace) -> None:
    """80 by 24 and 160 by 50: failures first, a hostile diff, a pasted comment of 10,000 characters, one commit, the rerun."""
    an_editor(three)
    three.edit("tools/agent.sh", "fail) echo", f"hostile) {HOSTILE}\nfail) echo")
    three.edit("task.md", "Write b →", "Write b do: fail →")
    three.edit("task.md", "Write c →", f"Write {'漢字' * 12} do: hostile →")
    three.commit()
    with watched(three, gitbatch("run", *AFTER_EACH), 80, 24) as eyes:
        text = eyes.look_for("c: continue with the next group")
        assert text.splitlines()[1].startswith("> T102  failed "), "the failure comes first"
        assert "  T101  succeeded   -          +1 " in text
        eyes.child.send(ENTER + ESCAPE)
        for press in (read_diff, reject_one, send_back_one, edit_one, record_all, undo_none):
            press(eyes)
        assert end(eyes) == 3
    assert_decided_by_keys(three)


def assert_decided_by_keys(workspace: Workspace) -> None:
    """All that the keys have chosen is one commit, with the comment as it was pasted; the edit is another."""
    subjects = workspace.subjects()
    assert "gitbatch: review 1/3: 1 approved, 1 sent back, 1 rejected, 1 retried" in subjects
    assert "Edit out/letters/d.md in the review of T104" in subjects
    message = workspace.git("log", "-1", "--format=%B", "--grep=^gitbatch: review 1/3")
    decided = {decision.item.output[-4:]: decision for decision in parse_review_message(message)}
    assert {name: decision.kind for name, decision in decided.items()} == {
        "a.md": "revise",
        "b.md": "retry",
        "c.md": "reject",
        "d.md": "approve",
    }
    assert decided["a.md"].comment.startswith("# Wishes\n\n- (skip ci) Closes №1\n\nGitbatch-Review: approve")
    assert len(decided["a.md"].comment) == len(PASTE)
    assert workspace.read("out/letters/d.md").startswith("By hand.\n")
    assert_tidy(workspace)


@pytest.mark.rule("F7")
@pytest.mark.parametrize(("terminal", "size", "options"), [("xterm", (40, 12), ()), ("dumb", (80, 24), ()), ("xterm", (80, 24), ("--progress", "plain"))])  # fmt: skip
@pytest.mark.sample(2)
def test_the_same_in_lines(
    three: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    terminal: str,
    size: tuple[int, int],
    options: tuple[str, ...],
) -> None:
    """`gitbatch review` in a small or a dumb terminal, and where plain lines are wanted; then what is left runs."""
    an_editor(three)
    run_here(three, monkeypatch, items="T101,T102,T301", checkpoint=CheckpointMode.parse("after-each"))
    with watched(three, gitbatch("review", *options), *size, TERM=terminal) as eyes:
        child = eyes.child
        child.expect("2 undecided")
        child.expect("what else\\): ")
        child.send(f"d t101{ENTER}")
        child.expect("# out/letters/a.md")
        child.expect("what else\\): ")
        child.send(f"v T101{ENTER}")
        child.expect("in your editor; a dot: nothing\\): ")
        child.send(ENTER)
        child.expect("T101: sent back, not recorded yet")
        child.expect("what else\\): ")
        child.send(f"x T102{ENTER}")
        child.expect("T102: rejected, not recorded yet")
        child.expect("what else\\): ")
        child.sendintr()
        child.expect("Stop here: record this\\? .*\\) ")
        child.send(f".{ENTER}")
        child.expect("nothing has changed")
        child.expect("what else\\): ")
        child.sendeof()
        child.expect("Stop here: record this\\? .*\\) ")
        child.send(f".{ENTER}")
        child.expect("nothing has changed")
        child.expect("what else\\): ")
        child.send(f"c{ENTER}")
        child.expect("By hand\\.")
        child.expect("what is left\\? \\(y, n\\) ")
        child.send(ENTER)
        child.expect("what is left\\? \\(y, n\\) ")
        child.send(f"y{ENTER}")
        child.expect("review recorded")
        child.expect("continue with the next group, q stop here")
        child.send(f"q{ENTER}")
        assert end(eyes) == 3
    assert "\x1b[?1049h" not in eyes.heard
    assert three.subjects()[-1].startswith("gitbatch: checkpoint 1/2, revision 1: Letters ")
    assert "gitbatch: review 1/2: 1 sent back, 1 rejected" in three.subjects()
    assert_tidy(three)


@pytest.mark.rule("F7")
def test_signals_leave_the_terminal_as_it_was(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-Z and `fg`: what was chosen is still chosen, and nothing is recorded; SIGTERM ends the review."""
    run_here(three, monkeypatch, items="T101,T102", checkpoint=CheckpointMode.parse("after-each"))
    before = three.state()
    shell = (
        f"set -m; {' '.join(gitbatch('review'))}; stty -a; echo ready; read line; fg; stty -a; echo code $?"
    )
    with watched(three, ["sh", "-c", shell], 80, 24) as eyes:
        eyes.look_for("a approve")
        eyes.child.send("a")
        eyes.look_for("1 chosen")
        assert "\x1b[?2004h" in eyes.heard, "pasted text is told apart"
        eyes.child.send("\x1a")
        text = eyes.look_for("ready")
        assert re.search(r" icanon .*\n?.* echo ", text)
        assert "a approve" not in text, "the screen of before"
        for mode in ("1049", "2004"):
            assert eyes.heard.rfind(f"\x1b[?{mode}l") > eyes.heard.rfind(f"\x1b[?{mode}h")
        eyes.child.send(ENTER)
        eyes.look_for("1 chosen")
        eyes.child.send("qn")
        eyes.look_for("code 0")
        assert end(eyes) == 0
    with watched(three, gitbatch("review"), 80, 24) as eyes:
        eyes.look_for("a approve")
        eyes.child.kill(signal.SIGTERM)
        eyes.look_until(lambda text: "a approve" not in text)
        assert end(eyes) == 143
    assert three.state() == before
