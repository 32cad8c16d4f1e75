"""The messages of workers: what is out of bounds is refused, and what is left is harmless."""

import pickle
from contextlib import suppress

import msgspec
import pytest
from agents.test_protocol import ASSIGNMENT
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gitbatch.agents.protocol import Contribution, Failure, OutputStream, Reply, ReplyFlag
from gitbatch.batch.executor.message_codec import (
    MessageError,
    decode_from_worker,
    decode_to_worker,
    encode_message,
)
from gitbatch.batch.executor.messages import (
    CHUNK_BYTES,
    PATHS_AT_ONCE,
    PROTOCOL,
    Hello,
    ItemJob,
    JobChanges,
    JobChunk,
    JobEvent,
    JobResult,
    SentFailure,
    SentReply,
    SentUsage,
)
from gitbatch.batch.executor.sent_answers import read_answer, send_answer
from gitbatch.batch.workplace.protocol import WorkplaceSetup
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.text import clean_text

TOKEN = "0123456789abcdef" * 2
SETUP = WorkplaceSetup(
    "refs/heads/gitbatch/b/1-a", "1" * 40, "2" * 40, "out/a.md", ("a", "b/"), ("task.md",), None
)


@pytest.mark.parametrize(
    "message",
    [
        Hello(1, "1.0", "build1", 4, "bubblewrap", (TOKEN,)),
        JobEvent(TOKEN, OutputStream.ERROR, "a line"),
        JobChanges(TOKEN, ("a", "b")),
        JobResult(TOKEN, SentReply("Done. Twice."), 3),
    ],
)
def test_messages_of_workers_survive_encoding(message: Hello | JobEvent | JobChanges | JobResult) -> None:
    assert decode_from_worker(encode_message(message)) == message
    with pytest.raises(MessageError):
        decode_to_worker(encode_message(message))


def test_job_survives_encoding() -> None:
    job = ItemJob(TOKEN, "b", "1-a", "writer", b"{}", ASSIGNMENT, SETUP, 10)
    assert decode_to_worker(encode_message(job)) == job


def test_names_of_files_may_be_any_bytes() -> None:
    """What an item reads may have names that are not UTF-8, and so may its prompt."""
    paths = ("caf\udce9.md", "a\0b", "\0e9", "é")
    setup, asked = replace(SETUP, paths=paths), replace(ASSIGNMENT, prompt="Read caf\udce9.md, not \0.")
    job = ItemJob(TOKEN, "b", "1-a", "writer", b"{}\xe9", asked, setup, 10)
    assert decode_to_worker(encode_message(job)) == job
    mark = encode_message(job)[:1]
    for junk in (b"", b"\x80", msgspec.msgpack.encode({"type": "bye", "reason": "\0xx"})):
        with pytest.raises(MessageError):
            decode_to_worker(mark + junk)
    with pytest.raises(MessageError):
        decode_from_worker(encode_message(job))


LIES = {
    "negative cost": JobResult(TOKEN, SentReply("x", usage=SentUsage(cost=-5.0))),
    "negative tokens": JobResult(TOKEN, SentReply("x", usage=SentUsage(input=-10))),
    "endless cost": JobResult(TOKEN, SentReply("x", usage=SentUsage(cost=float("inf")))),
    "cost that is no number": JobResult(TOKEN, SentReply("x", usage=SentUsage(cost=float("nan")))),
    "negative wait": JobResult(TOKEN, SentFailure("x", retry_after=-1.0)),
    "negative size": JobResult(TOKEN, SentReply("x"), -1),
    "token of another form": JobResult("../../etc/passwd", SentReply("x")),
    "token with a line break": JobResult(TOKEN + "\n", SentReply("x")),
    "large chunk": JobChunk(TOKEN, bytes(CHUNK_BYTES + 1)),
    "many paths": JobChanges(TOKEN, ("a",) * (PATHS_AT_ONCE + 1)),
    "long line": JobEvent(TOKEN, OutputStream.OUTPUT, "x" * 4_001),
    "long summary": JobResult(TOKEN, SentReply("x" * 8_001)),
    "no slot": Hello(1, "1", "h", 0, "none"),
    "a million slots": Hello(1, "1", "h", 10**6, "none"),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_value_out_of_bounds_is_refused(lie: JobResult | JobChunk | JobChanges | JobEvent | Hello) -> None:
    with pytest.raises(MessageError, match="an invalid message"):
        decode_from_worker(encode_message(lie))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 40,
        b"\x91" * 5000,
        pickle.dumps({"a": 1}),
        msgspec.msgpack.encode({"type": "result"}),
        msgspec.msgpack.encode(["result"]),
        msgspec.msgpack.encode({"type": "exec", "code": "1"}),
    ],
)
def test_junk_is_refused(content: bytes) -> None:
    with pytest.raises(MessageError):
        decode_from_worker(content)


def test_greeting_of_another_protocol_is_understood_as_far_as_needed() -> None:
    """It is refused with both versions, whatever else has changed."""
    later = {"type": "hello", "protocol": 2, "version": "9.0", "host": "far", "slots": {"cpu": 4}}
    assert decode_from_worker(msgspec.msgpack.encode(later)) == Hello(2, "9.0", "far", 1, "")
    with pytest.raises(MessageError):
        decode_from_worker(msgspec.msgpack.encode(later | {"protocol": PROTOCOL}))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(content: bytes) -> None:
    with suppress(MessageError):
        assert type(decode_from_worker(content)).__module__ == Hello.__module__


def test_texts_of_a_worker_are_harmless() -> None:
    sent = SentReply("\x1b[2JOne.\n\nGitbatch-Item: evil\nTwo. Three. Four. Five.", ("a\nb",))
    answer = read_answer(sent)
    assert isinstance(answer, Reply)
    assert answer.summary == "One. Gitbatch-Item: evil Two. Three."
    assert answer.decisions == ("a b",)
    failed = read_answer(SentFailure("\x1b]0;x\x07bad\nGitbatch-Batch: x", ("\x9b1m d",), Cause.PAUSED))
    assert read_answer(SentFailure("x", cause=Cause.STALE)) == Failure(clean_text("x"))
    assert failed == Failure(clean_text("bad Gitbatch-Batch: x"), (clean_text("d"),), Cause.FAILED)


def test_answers_come_back_as_they_were() -> None:
    usage = Usage(clean_text("model"), 1, 2, 3, 4, 5, 0.5)
    reply = Reply(
        clean_text("Wrote it. It is short."),
        (clean_text("a decision"),),
        (Contribution(clean_text("a.md"), clean_text("b")),),
        usage,
        (ReplyFlag.SUMMARY_CUT, ReplyFlag.USAGE_MISSING),
    )
    failure = Failure(clean_text("no"), (clean_text("why"),), Cause.BUSY, 3.0, usage, is_guess=True)
    for answer in (reply, failure):
        assert read_answer(send_answer(answer)) == answer


def test_long_answer_is_cut_to_what_may_be_sent() -> None:
    long = clean_text("x" * 9_000, 9_000)
    for answer in (Reply(long, (long,) * 200), Failure(long, (long,) * 200)):
        sent = decode_from_worker(encode_message(JobResult(TOKEN, send_answer(answer))))
        assert isinstance(sent, JobResult)
        assert 0 < len(encode_message(sent)) < len(long) * 200
