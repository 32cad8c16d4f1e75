"""Holding a review: what is recorded, what is asked again, and the editor; the person is a list of answers."""

import asyncio
import errno
import io
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from types import FrameType

import pytest
from conftest import Here, Workspace
from msgspec.structs import replace
from prompt_toolkit.application import create_app_session
from reviews import APPROVE, REJECT, decide
from sessions import run_here, session_settings
from view.sheets import DONE, review_of

from gitbatch.batch.history.decisions import DecisionKind
from gitbatch.batch.history.reads import read_recorded_items
from gitbatch.batch.review.rerun import RerunChecks
from gitbatch.cli import review_desk, review_prompts, review_screen, terminal
from gitbatch.cli.editor import find_editor, open_editor, write_comment
from gitbatch.cli.interruption import cancelled_by_signals
from gitbatch.cli.keys import is_in_foreground
from gitbatch.cli.review_desk import ReviewDesk
from gitbatch.cli.reviewing import HeldReview, describe_recorded, hold_review
from gitbatch.errors import ExitCode, GitbatchError
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository
from gitbatch.view.block import Block
from gitbatch.view.review_screen.keys import Step, press_key
from gitbatch.view.review_screen.state import (
    Mode,
    ReviewState,
    ScreenRequest,
    start_review,
)

Read = Callable[[ReviewState], Block]


@pytest.fixture
def opened(paused: Workspace) -> Iterator[tuple[Workspace, Repository]]:
    """A batch at its first pause, and its repository, opened in this process."""
    repo = open_repository(paused.root)
    yield paused, repo
    repo.close()


class Person:
    """Types keys; each time that they are asked, the next ones."""

    def __init__(self, *keys: Sequence[str]) -> None:
        self.left = list(keys)
        self.notices: list[str] = []
        self.shown: list[Block] = []

    async def ask(self, state: ReviewState, read: Read) -> Step:
        self.notices.append(state.notice)
        request = None
        for key in self.left.pop(0):
            assert request is None
            state, request = press_key(state, {"\r": "enter", "\x1b": "escape"}.get(key, key))
            self.shown.append(read(state))
        return state, request


def hold(workspace: Workspace, repo: Repository, person: Person, **variables: str) -> HeldReview:
    desk = ReviewDesk(repo, {**workspace.environment, **variables}, Path())
    return asyncio.run(hold_review(desk, "run what is left", person.ask))


def editor(workspace: Workspace, script: str) -> str:
    path = workspace.home / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.mark.rule("F7")
def test_all_that_is_chosen_is_one_commit(opened: tuple[Workspace, Repository]) -> None:
    """With a comment from the editor that shows the item below it, and pages that are read on the way."""
    workspace, repo = opened
    wrote = editor(
        workspace,
        f'cp "$1" {workspace.home}/shown; printf "# Title\\n\\nBe short.\\n" | cat - "$1" >x && mv x "$1"',
    )
    person = Person("\r\x1bd\x1bv", "Acy")

    async def ask(state: ReviewState, read: Read) -> Step:
        after, request = await person.ask(state, read)
        return after, ScreenRequest.WRITE_COMMENT if after.mode is Mode.COMMENT else request

    desk = ReviewDesk(repo, {**workspace.environment, "GIT_EDITOR": wrote}, Path())
    held = asyncio.run(hold_review(desk, "run what is left", ask))
    assert person.left == []
    assert held.continues
    assert held.recorded
    assert held.recorded.commit == workspace.git("rev-parse", "main")
    assert workspace.subjects()[-1] == "gitbatch: review 1/3: 3 approved, 1 sent back"
    assert "\n    # Title\n\n    Be short.\n" in workspace.git("log", "-1", "--format=%B")
    template = (workspace.home / "shown").read_text(encoding="utf-8")
    assert template.startswith("\n# ----")
    assert "# T101  Write a\n# summary: Wrote out/letters/a.md. It has one heading.\n" in template
    told = describe_recorded(held)[0]
    assert told.endswith("T101 sent back, T102 approved, T103 approved, T104 approved")


def test_a_review_reads_what_items_have_read_once(opened: tuple[Workspace, Repository]) -> None:
    """It is most of the work where a batch has many items."""
    calls = 0

    def count_call(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code is read_recorded_items.__code__

    desk = ReviewDesk(opened[1], {}, Path())
    sys.setprofile(count_call)
    try:
        sheet = desk.read_sheet()
    finally:
        sys.setprofile(None)
    assert (calls, len(sheet.recorded)) == (1, 4)


def test_what_was_decided_elsewhere_is_asked_again(opened: tuple[Workspace, Repository]) -> None:
    """The other decision stands; what is chosen about other items is still chosen."""
    workspace, repo = opened
    elsewhere = iter([lambda: decide(workspace, (REJECT, "T101"))])
    person = Person("axjacy", "cy")

    async def ask(state: ReviewState, read: Read) -> Step:
        step = await person.ask(state, read)
        next(elsewhere, lambda: None)()
        return step

    held = asyncio.run(hold_review(ReviewDesk(repo, workspace.environment, Path()), "run", ask))
    assert "decided elsewhere meanwhile: T101 (rejected)" in person.notices[1]
    assert "choose again: T101" in person.notices[1]
    assert held.decisions == (("approved", "T102"),)
    assert workspace.subjects()[-2:] == [
        "gitbatch: review 1/3: 1 rejected",
        "gitbatch: review 1/3: 1 approved",
    ]


def test_what_cannot_run_is_said_before_it_is_recorded(opened: tuple[Workspace, Repository]) -> None:
    """Going on is refused on the screen, where it can be asked for again; to stop, nothing has to run."""
    workspace, repo = opened
    workspace.write("status.md", "mine\n")
    checks = RerunChecks(session_settings(workspace), can_ask=True)
    person = Person("acy", "qy")
    desk = ReviewDesk(repo, workspace.environment, Path(), before_run=checks.require_start)
    held = asyncio.run(hold_review(desk, "run what is left", person.ask))
    assert "uncommitted changes in status.md" in person.notices[1]
    assert (held.continues, held.decisions) == (False, (("approved", "T101"),))
    assert held.recorded
    assert held.recorded.before == workspace.git("rev-parse", "main~1")


def test_all_changes_go_to_the_users_pager(
    opened: tuple[Workspace, Repository], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a terminal would obey is spelled in them, and no program of the repository is started."""
    workspace, repo = opened
    workspace.write("out/letters/a.md", "\x1b[8mhidden\n")
    workspace.commit()
    for name in ("core.pager", "pager.diff", "diff.external"):
        workspace.git("config", name, f"touch {workspace.home}/evil; cat")
    parent, child = pty.openpty()
    with os.fdopen(child, "w") as screen:
        monkeypatch.setattr(review_desk, "open_screen", lambda: nullcontext(screen))
        monkeypatch.setenv("PAGER", f"cat >{workspace.home}/usual")
        for inherited in ({"GIT_PAGER": f"cat >{workspace.home}/shown"}, {}):
            desk = ReviewDesk(repo, inherited, Path())
            asyncio.run(asyncio.to_thread(desk.show_all, start_review(desk.read_sheet(), "")))
    os.close(parent)
    shown = (workspace.home / "shown").read_text(encoding="utf-8")
    assert (workspace.home / "usual").read_text(encoding="utf-8") == shown
    assert "^[" in shown
    assert "[8mhidden" in shown
    assert "\x1b[8m" not in shown
    assert not (workspace.home / "evil").exists()


def test_what_an_undo_brings_with_it_is_shown_and_recorded(
    three: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written from the item is undone too, as with --with-dependants; a retry brings what the item blocks."""
    three.edit("task.md", "Write a →", "Write a do: fail →")
    three.commit()
    run_here(three, monkeypatch)
    for name, value in three.environment.items():
        monkeypatch.setenv(name, value)
    with closing(open_repository(three.root)) as repo:
        desk = ReviewDesk(repo, three.environment, Path())
        state = start_review(desk.read_sheet(), "")
        workspaces = {each.item.name: at for at, each in enumerate(state.sheet.items)}
        readers = ["T202", "T301", "T302", "T303", "T304"]
        for key in "uwA":
            state, _ = press_key(replace(state, selected=workspaces["T102"]), key)
        chosen = [each for each in state.choices if each.kind is DecisionKind.UNDO]
        assert {each.item.name: each.runs_again for each in chosen} == {"T102": False} | dict.fromkeys(
            readers, True
        ), "approving the rest leaves them undone"
        assert state.runs_again == len(readers)
        dropped, _ = press_key(replace(state, selected=workspaces["T102"]), "backspace")
        assert {each.kind for each in dropped.choices} == {DecisionKind.APPROVE}
        changed, _ = press_key(replace(state, selected=workspaces["T102"]), "x")
        assert {each.kind for each in changed.choices} == {DecisionKind.APPROVE, DecisionKind.REJECT}
        held = hold(three, repo, Person(["r", *["j"] * workspaces["T102"], *"uwcy"]))
        again = [("retried", name) for name in ("T101", "T201", "T204")]
        undone = [("undone", name) for name in ("T102", *readers)]
        assert sorted(held.decisions) == again + undone
    assert "gitbatch: review 3/3: 8 retried, 6 undone" in three.subjects()[-1]


def test_nothing_is_recorded_where_nothing_is_wanted(opened: tuple[Workspace, Repository]) -> None:
    workspace, repo = opened
    before = workspace.state()
    for keys in ("q", "aqn", ["c-c"], ["a", "c-c", "c-c"]):
        held = hold(workspace, repo, Person(keys))
        assert (held.continues, held.recorded, describe_recorded(held)) == (False, None, ())
    unchanged = Person("jo", "q")
    hold(workspace, repo, unchanged, GIT_EDITOR="true")
    assert unchanged.notices[1] == "T102: nothing was changed"
    failing = Person("jo", "q")
    assert hold(workspace, repo, failing, GIT_EDITOR="exit 3;").recorded is None
    assert failing.notices[1].startswith("the editor failed (3)")
    assert workspace.state() == before
    assert hold(workspace, repo, Person("aqy")).recorded


def test_a_comment_is_written_for_one_item_by_a_command(
    opened: tuple[Workspace, Repository], here: Here
) -> None:
    workspace, _ = opened
    workspace.environment["GIT_EDITOR"] = editor(workspace, 'sed -i "1i Say more." "$1"')
    assert here("review", "T101", "--edit")[0] == 0
    assert "\nrevise 1 out/letters/a.md:\n    Say more.\n" in workspace.git("log", "-1", "--format=%B")
    workspace.environment["GIT_EDITOR"] = "true"
    code, _, said = here("review", "T102", "--edit")
    assert (code, "the comment is empty" in said) == (2, True)
    decide(workspace, (APPROVE, "T103"))


@pytest.mark.parametrize(
    ("variables", "inherited", "found"),
    [
        ({"TERM": "xterm", "VISUAL": "v", "EDITOR": "e"}, {"GIT_EDITOR": "g"}, "g"),
        ({"TERM": "xterm", "VISUAL": "v", "EDITOR": "e"}, {}, "v"),
        ({"TERM": "xterm", "EDITOR": "e"}, {}, "e"),
        ({"TERM": "xterm"}, {}, "vi"),
        ({"TERM": "dumb", "VISUAL": "v", "EDITOR": "e"}, {}, "e"),
        ({"TERM": "dumb"}, {}, None),
    ],
)
def test_the_editor_is_chosen_as_git_does(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], inherited: dict[str, str], found: str | None
) -> None:
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    own = {**inherited, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    if found is None:
        with pytest.raises(GitbatchError, match="no editor is set"):
            find_editor(own)
    else:
        assert find_editor(own) == found


def test_no_editor_of_a_repository_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its configuration may come from anybody; the user's own counts."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "mine")
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "config", "core.editor", "theirs"], check=True)
    monkeypatch.chdir(tmp_path)
    own = {"GIT_CONFIG_GLOBAL": str(tmp_path / "global"), "GIT_CONFIG_NOSYSTEM": "1"}
    assert find_editor(own) == "mine"
    (tmp_path / "global").write_text("[core]\neditor = global\n", encoding="utf-8")
    assert find_editor(own) == "global"


def test_an_editor_that_fails_says_so(tmp_path: Path) -> None:
    with pytest.raises(GitbatchError, match=r"the editor failed \(3\)"):
        open_editor("exit 3;", tmp_path / "x")
    with pytest.raises(GitbatchError, match="cannot read the comment"):
        write_comment("printf '\\377' >", DONE[0], "", "")
    assert write_comment("true", DONE[0], "", "begun") == "begun"


def test_a_line_that_the_terminal_has_cut_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    parent, child = pty.openpty()
    seen = bytearray()

    def type_lines() -> None:
        for number, line in enumerate((b"x" * 5_000 + b"\n", b"short\n"), 1):
            while seen.count(b"say: ") < number:
                seen.extend(os.read(parent, 65_536))
            os.write(parent, line)

    with os.fdopen(child, "r+b", buffering=0) as raw, open(child, closefd=False) as stdin:
        screen = io.TextIOWrapper(raw, write_through=True)
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(review_prompts, "open_screen", lambda: nullcontext(screen))
        typing = threading.Thread(target=type_lines)
        typing.start()
        assert asyncio.run(review_prompts.ask_line("say: ")) == "short"
        typing.join()
    os.close(parent)
    assert b"cut by the terminal: nothing was taken" in b" ".join(seen.split())


def test_ctrl_c_in_the_moment_of_a_prompt_is_an_answer_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prompt is all that a person waits for: Ctrl-C may follow it before anything else is done."""

    class Interrupted(io.StringIO):
        def flush(self) -> None:
            signal.raise_signal(signal.SIGINT)

    parent, child = pty.openpty()
    with os.fdopen(child) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(review_prompts, "open_screen", lambda: nullcontext(Interrupted()))
        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(review_prompts.LineInterruptedError):
            asyncio.run(review_prompts.ask_line("say: ", is_asked=True))
        assert signal.getsignal(signal.SIGINT) is before
    os.close(parent)


def test_a_closed_terminal_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal that ends the run is not lost to the error that a closed terminal gives meanwhile."""
    monkeypatch.setattr(review_screen, "_SIGNAL_SECONDS", 0.0)
    state, gone = review_of(), OSError(errno.EIO, "gone")
    assert asyncio.run(review_screen.leave_closed(state, gone)) == (state, ScreenRequest.LEAVE)

    async def leave_cancelled() -> Step:
        task = asyncio.current_task()
        assert task
        task.cancel()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            return await review_screen.leave_closed(state, gone)
        return state, None

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(leave_cancelled())


class SignalledScreen(io.TextIOWrapper):
    """A terminal in which a key is typed whenever something was drawn, and a signal arrives at one of these times."""

    def __init__(self, raw: io.FileIO, keyboard: int, drawings: int) -> None:
        super().__init__(raw, "utf-8")
        self._keyboard, self._left = keyboard, drawings

    def flush(self) -> None:
        super().flush()
        self._left -= 1
        os.write(self._keyboard, b"jk"[self._left % 2 :][:1])
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("drawings", [1, 2, 3])
def test_a_signal_in_the_middle_of_drawing_gives_the_terminal_back(
    monkeypatch: pytest.MonkeyPatch, drawings: int
) -> None:
    """Also in that of the first frame, which the screen has to know as drawn."""
    parent, child = pty.openpty()
    usual, heard = termios.tcgetattr(child), bytearray()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("PROMPT_TOOLKIT_NO_CPR", "1")

    def read_screen() -> None:
        with suppress(OSError):  # the terminal is closed
            while read := os.read(parent, 65_536):
                heard.extend(read)

    async def show() -> None:
        with create_app_session(), cancelled_by_signals():
            await review_screen.show_review(review_of(), lambda _: ())

    reading = threading.Thread(target=read_screen)
    reading.start()
    with os.fdopen(child, "r+b", buffering=0) as raw, open(child, closefd=False) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        screen = SignalledScreen(raw, parent, drawings)
        monkeypatch.setattr(terminal, "open_screen", lambda: nullcontext(screen))
        with pytest.raises(SystemExit) as ended:
            asyncio.run(show())
        assert (ended.value.code, termios.tcgetattr(child)) == (ExitCode.TERMINATED, usual)
    reading.join()
    os.close(parent)
    for mode in (b"1049", b"2004"):
        assert 0 < heard.rfind(b"\x1b[?" + mode + b"h") < heard.rfind(b"\x1b[?" + mode + b"l")


def test_a_terminal_that_is_gone_is_not_in_the_foreground() -> None:
    master, child = os.openpty()
    os.close(master)
    assert not is_in_foreground(child)
    os.close(child)
