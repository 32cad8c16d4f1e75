"""The reviewer at the terminal: keys and view leave it before a question, they and the signal handlers come back after."""

import asyncio

import pytest
from view.events import CHECKPOINT

from gitbatch.batch.events import CheckpointReached, Event
from gitbatch.batch.session import Session
from gitbatch.cli import questions
from gitbatch.cli.frontend import PromptReviewer

ENDED = Session(None, None, resumed=False)


class Recorder:
    """A view, signal handlers and keys that write down what they are called for."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, event: Event) -> None:
        assert isinstance(event, CheckpointReached)
        self.calls.append(f"show {event.checkpoint.number}")

    def close(self) -> None:
        self.calls.append("close")

    def listen(self) -> None:
        self.calls.append("listen")

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")


class Answering:
    """Prompts that a person answers with yes."""

    def __init__(self, recorder: Recorder, *, can_ask: bool = True) -> None:
        self.can_ask = can_ask
        self._recorder = recorder

    async def hold_review(self, _: Session, consent: str) -> bool:
        self._recorder.calls.append(consent)
        return True


@pytest.mark.parametrize("question", ["continue with the next group", "end the batch", "accept"])
def test_screen_and_signals(question: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()

    async def accept() -> bool:
        recorder.calls.append("accept")
        return True

    monkeypatch.setattr(questions, "ask_to_accept_now", accept)
    reviewer = PromptReviewer(ENDED, recorder, recorder, recorder, Answering(recorder))
    asked = {
        "continue with the next group": lambda: reviewer.review_checkpoint(CHECKPOINT),
        "end the batch": lambda: reviewer.review_last(CHECKPOINT, is_earlier=False),
        "accept": reviewer.accept_config,
    }
    assert asyncio.run(asked[question]())
    assert recorder.calls == ["stop", "close", question, "listen", "start"]


def test_a_checkpoint_that_an_earlier_start_has_shown_is_shown_again() -> None:
    recorder = Recorder()
    reviewer = PromptReviewer(ENDED, recorder, recorder, recorder, Answering(recorder))
    assert asyncio.run(reviewer.review_last(CHECKPOINT, is_earlier=True))
    assert recorder.calls == [
        f"show {CHECKPOINT.number}",
        "stop",
        "close",
        "end the batch",
        "listen",
        "start",
    ]


def test_without_a_terminal_nothing_is_asked() -> None:
    recorder = Recorder()
    prompts = Answering(recorder, can_ask=False)
    reviewer = PromptReviewer(ENDED, recorder, recorder, recorder, prompts)
    assert not asyncio.run(reviewer.review_checkpoint(CHECKPOINT))
    assert asyncio.run(reviewer.review_last(CHECKPOINT, is_earlier=True)), "the batch ends"
    assert not asyncio.run(reviewer.accept_config())
    assert recorder.calls == []
