"""The reviewer at the terminal: keys and view leave it before a question, they and the signal handlers come back after."""

import asyncio

import pytest
from view.events import CHECKPOINT

from gitbatch.batch.events import Event
from gitbatch.batch.session import Session
from gitbatch.cli import questions
from gitbatch.cli.frontend import PromptReviewer

SETTLED = Session(None, None, resumed=False)


class Recorder:
    """A view, signal handlers and keys that write down what they are called for."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, event: Event) -> None:
        raise AssertionError(event)

    def close(self) -> None:
        self.calls.append("close")

    def listen(self) -> None:
        self.calls.append("listen")

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")


@pytest.mark.parametrize("question", ["ask_to_continue", "ask_to_end", "ask_to_accept_now"])
def test_screen_and_signals(question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()

    async def answer(*_: object, **__: object) -> bool:
        recorder.calls.append("ask")
        return True

    monkeypatch.setattr(questions, question, answer)
    reviewer = PromptReviewer(SETTLED, recorder, recorder, recorder, can_ask=True)
    asked = {
        "ask_to_continue": lambda: reviewer.review_checkpoint(CHECKPOINT),
        "ask_to_end": lambda: reviewer.review_last(CHECKPOINT, is_earlier=False),
        "ask_to_accept_now": reviewer.accept_config,
    }
    assert asyncio.run(asked[question]())
    assert recorder.calls == ["stop", "close", "ask", "listen", "start"]


def test_without_a_terminal_nothing_is_asked() -> None:
    recorder = Recorder()
    reviewer = PromptReviewer(SETTLED, recorder, recorder, recorder, can_ask=False)
    assert not asyncio.run(reviewer.review_checkpoint(CHECKPOINT))
    assert asyncio.run(reviewer.review_last(CHECKPOINT, is_earlier=False)), "the batch ends"
    assert not asyncio.run(reviewer.accept_config())
    assert recorder.calls == []
