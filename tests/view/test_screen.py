"""The lines of the live view, for sizes, numbers of items and lengths of lines."""

import pytest
from msgspec.structs import replace

from gitbatch.batch.model import ItemStatus
from gitbatch.plan.model import ItemKey
from gitbatch.text import display_width
from gitbatch.view.block import StyledLine, plain_text
from gitbatch.view.encoding import ASCII_FORMS
from gitbatch.view.live_state import EndedItem, LiveState, RunningItem
from gitbatch.view.screen import Asking, Look, format_clock, render_screen

NOW = 1000.0
SIZES = [(80, 24), (40, 12), (160, 50)]
LINES = ["x" * 10, "x" * 67, "x" * 78, "x" * 300, "日本語" * 40]


def running(count: int, line: str = "") -> LiveState:
    """Items T100, T101, …, each of which began one second after the one before."""
    items = {
        ItemKey(f"k{number}"): RunningItem(f"T{100 + number}", NOW - 300 + number, line, NOW)
        for number in range(count)
    }
    return LiveState(items=max(count, 3), done=0, jobs=count, began=NOW - 300, running=items)


def drawn(state: LiveState, width: int = 80, height: int = 24, asking: Asking = Asking()) -> list[str]:  # noqa: B008 - a value
    return texts(render_screen(state, Look(width, height, has_colour=False), NOW, asking))


def texts(lines: tuple[StyledLine, ...]) -> list[str]:
    return [plain_text(line.parts) for line in lines]


@pytest.mark.parametrize("line", LINES, ids=[str(display_width(line)) for line in LINES])
@pytest.mark.parametrize("count", [1, 4, 40, 256])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_row_has_its_id_and_fits(width: int, height: int, count: int, line: str) -> None:
    overall, *rows = drawn(running(count, line), width, height)
    assert f"0 of {max(count, 3)} items" in overall
    assert 1 + len(rows) <= height - 4
    assert all(display_width(text) < width for text in (overall, *rows))
    is_cut = count > height - 5
    names = [row.split()[1] for row in (rows[:-1] if is_cut else rows)]
    assert names == [f"T{100 + number}" for number in range(len(names))]
    assert len(names) == min(count, height - 6 if is_cut else count)
    whole = display_width(line) < width - 15
    assert all(row.endswith(line if whole else "…") for row in rows[: len(names)])
    if is_cut:
        hidden = count - len(names)
        slowest = 100 + len(names)
        clock = format_clock(300 - len(names))
        assert rows[-1] == f"… and {hidden} more (slowest: T{slowest} {clock})"


@pytest.mark.parametrize("width", range(1, 31))
def test_id_is_the_last_to_go(width: int) -> None:
    rows = drawn(running(2, "a line"), width, 24)
    assert all(display_width(row) <= max(1, width - 1) for row in rows)
    if width >= 7:
        assert rows[1].split()[1] == "T100"


@pytest.mark.parametrize("height", range(1, 8))
def test_low_terminals_keep_the_overall_line(height: int) -> None:
    rows = drawn(running(9), 80, height)
    assert len(rows) == max(1, height - 4)
    assert "0 of 9 items" in rows[0]


def test_long_names_are_cut_at_their_start() -> None:
    """Items without an id are called by their path, whose end differs."""
    state = LiveState(
        running={
            ItemKey("a"): RunningItem("docs/reference/modules/alpha.md", NOW, "reading", NOW),
            ItemKey("b"): RunningItem("docs/reference/modules/beta.md", NOW, "reading", NOW),
        }
    )
    rows = drawn(state, 40)[1:]
    assert [row.split()[1] for row in rows] == ["…e/modules/alpha.md", "…ce/modules/beta.md"]


def test_spinner_moves_and_time_passes() -> None:
    look = Look(80, 24, has_colour=False)
    first, second = (texts(render_screen(running(1), look, now, Asking())) for now in (NOW, NOW + 1))
    assert first[1][0] != second[1][0]
    assert "5:00" in first[1]
    assert "5:01" in second[1]


def test_silent_agent_is_marked_after_a_minute() -> None:
    state = LiveState(
        items=3,
        running={
            ItemKey("a"): RunningItem("T1", NOW - 300, "thinking", NOW - 60),
            ItemKey("b"): RunningItem("T2", NOW - 300, "thinking", NOW - 59),
            ItemKey("c"): RunningItem("T3", NOW - 300, "check links"),
        },
    )
    _, silent, heard, check = drawn(state)
    assert silent.startswith("! T1")
    assert "silent 1:00" in silent
    assert "silent" not in heard
    assert "silent" not in check


def test_overall_line_has_waits_failures_time_and_cost() -> None:
    state = LiveState(
        items=12,
        done=4,
        jobs=2,
        began=NOW - 125,
        failures={ItemKey("f"): EndedItem("T9", ItemStatus.FAILED, "it broke")},
        costs={ItemKey("f"): 0.25},
        cost_before=0.5,
        opens=NOW + 12,
        wait_reason="the server is busy",
        seconds=40.0,
        timed=4,
    )
    overall = drawn(state, 160, 24, Asking(has_keys=True, is_pausing=True))[0]
    assert overall[2:].strip() == (
        "[##########--------------------] 4 of 12 items  waiting 12 s: the server is busy  pausing  1 failed"
        "  2:05  ~0:52 left  $0.75  ? help"
    )
    assert "waiting 12 s" in drawn(state, 80)[0]


def test_failures_stay_below_the_overall_line() -> None:
    failures = {
        ItemKey(str(n)): EndedItem(f"T{n}", ItemStatus.REFUSED, "modified a.md\u2026" * 20) for n in range(3)
    }
    rows = drawn(replace(running(2), failures=failures), 60)[1:]
    assert [row.split()[:3] for row in rows[:3]] == [["✗", f"T{n}", "refused"] for n in range(3)]
    assert [row.split()[1] for row in rows[3:]] == ["T100", "T101"]


def test_many_failures_leave_room_for_what_runs() -> None:
    failures = {ItemKey(str(n)): EndedItem(f"T{n}", ItemStatus.FAILED, "it broke") for n in range(50)}
    rows = drawn(replace(running(40), failures=failures))[1:]
    assert rows[0] == "… and 45 more failed"
    assert [row.split()[1] for row in rows[1:6]] == [f"T{n}" for n in range(45, 50)]
    assert len(rows) == 19
    assert rows[-1].startswith("… and 28 more (slowest: T112 4:48)")


def test_cost_of_earlier_attempts_is_in_the_row() -> None:
    state = LiveState(items=1, running={ItemKey("a"): RunningItem("T1", NOW - 5, "reading", NOW, 0.1234)})
    assert drawn(state)[1].split() == [drawn(state)[1][0], "T1", "0:05", "$0.1234", "reading"]


def test_question_and_help_take_rows_of_their_own() -> None:
    asking = Asking(has_keys=True, shows_help=True, question="stop which item? T1")
    rows = drawn(running(40), 80, 24, asking)
    assert rows[1] == "stop which item? T1"
    assert [row[0] for row in rows[2:5]] == ["p", "k", "?"]
    assert len(rows) == 20


def test_limited_terminal_gets_ascii() -> None:
    def fit(text: str) -> str:
        return text.encode("ascii", ASCII_FORMS).decode()

    state = replace(running(40, "“é” → " + "x" * 90))
    state = replace(state, failures={ItemKey("f"): EndedItem("Tß", ItemStatus.FAILED, "…" * 90)})
    lines = texts(render_screen(state, Look(60, 12, is_limited=True, fit=fit), NOW, Asking()))
    assert all(line.isascii() and len(line) < 60 for line in lines)
    assert "[#" in lines[0] or "[-" in lines[0]


def test_bar_in_colour_has_two_styles() -> None:
    parts = render_screen(LiveState(items=4, done=1), Look(80, 24), NOW, Asking())[0].parts
    assert ("━" * 3, "green") in parts
    assert ("━" * 9, "bright_black") in parts


@pytest.mark.parametrize(
    ("seconds", "clock"), [(-1.0, "0:00"), (7.9, "0:07"), (125, "2:05"), (3725, "1:02:05")]
)
def test_clock(seconds: float, clock: str) -> None:
    assert format_clock(seconds) == clock
