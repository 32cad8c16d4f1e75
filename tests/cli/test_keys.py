"""What the keys of the live view do."""

from dataclasses import dataclass, field
from io import StringIO

import pytest

from gitbatch.batch.session import Session
from gitbatch.cli.keys import KeyCommands, TerminalKeys
from gitbatch.plan.model import ItemKey
from gitbatch.view.brief import BriefView
from gitbatch.view.page import PlainPage

NAMES = {"T1": ItemKey("1-t1"), "T10": ItemKey("1-t10"), "T11": ItemKey("1-t11"), "out/ü.md": ItemKey("1-u")}


@dataclass
class Heard:
    """A view and a session that write down what the keys ask for."""

    running_names: dict[str, ItemKey] = field(default_factory=NAMES.copy)
    shown: dict[str, object] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    is_drawing: bool = True
    can_stop: bool = True

    def set_asking(self, **changes: object) -> None:
        self.shown |= changes

    def request_pause(self) -> None:
        self.asked.append("pause")

    def stop_item(self, key: ItemKey) -> bool:
        self.asked.append(f"stop {key}")
        return self.can_stop

    def notify(self, text: str) -> None:
        self.asked.append(text)

    @property
    def question(self) -> str:
        return str(self.shown.get("question"))


def press(heard: Heard, *texts: str) -> Heard:
    commands = KeyCommands(heard, heard)  # type: ignore[arg-type]  # the part of both that keys use
    for text in texts:
        commands.follow_keys(text)
    return heard


def test_pause() -> None:
    heard = press(Heard(), "p")
    assert (heard.asked, heard.shown) == (["pause"], {"is_pausing": True})


def test_help_is_shown_and_hidden() -> None:
    assert press(Heard(), "?").shown == {"shows_help": True}
    assert press(Heard(), "?", "?").shown == {"shows_help": False}


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ("kT10\r", "1-t10"),
        ("kT2\x7f10\n", "1-t10"),
        ("kout\x1b[A/ü\r", "1-u"),
        ("kT1\r", "1-t1"),
    ],
    ids=["name", "corrected", "beginning and an arrow", "a name that is the beginning of others"],
)
def test_one_item_is_stopped(keys: str, key: str) -> None:
    heard = press(Heard(), keys)
    assert heard.asked[0] == f"stop {key}"
    assert heard.asked[1].endswith(": stopping it")
    assert heard.shown["question"] is None


@pytest.mark.parametrize(
    ("keys", "question"),
    [
        ("k", "stop which item? _  (Enter; Esc: none)"),
        ("kT1", "stop which item? T1_  (Enter; Esc: none)"),
        ("kT1\x00", "stop which item? T1_  (Enter; Esc: none)"),
        ("kT9\r", "0 running items are called T9…: stop which item? _  (Enter; Esc: none)"),
        ("kT\r", "3 running items are called T…: stop which item? _  (Enter; Esc: none)"),
        ("kT1\x1b", "None"),
        ("k\r", "None"),
    ],
)
def test_question(keys: str, question: str) -> None:
    heard = press(Heard(), keys)
    assert (heard.question, heard.asked) == (question, [])


def test_item_without_an_agent_cannot_be_stopped() -> None:
    heard = press(Heard(can_stop=False), "kT11\r")
    assert heard.asked == ["stop 1-t11", "T11: cannot be stopped now: neither its agent nor a check runs"]


@pytest.mark.parametrize("keys", ["x", "\r", "\x1b", "\x1b[B", "\x1bOP", "\x1b[200~"])
def test_other_keys_do_nothing(keys: str) -> None:
    heard = press(Heard(), keys)
    assert (heard.asked, heard.shown) == ([], {})


def test_nothing_is_asked_where_nothing_runs() -> None:
    assert press(Heard(running_names={}), "k").shown == {}


@pytest.mark.parametrize("can_ask", [False, True])
def test_views_without_keys_read_none(*, can_ask: bool) -> None:
    """Not even a terminal or an event loop is needed."""
    session = Session(None, None, resumed=False)
    view = BriefView(PlainPage(StringIO()))
    keys = TerminalKeys(view, session, can_ask=can_ask)
    keys.start()
    keys.stop()
