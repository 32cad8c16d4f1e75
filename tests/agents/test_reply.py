"""From what an agent wrote to a reply: its shape, its size, its sentences."""

import json

import pytest
from agents.values import a_reply
from examples import count_examples
from hypothesis import given, settings
from hypothesis import strategies as st
from waiting import effort

from gitbatch.agents.protocol import Failure, Reply, ReplyFlag
from gitbatch.agents.reply import (
    PartialReply,
    first_sentences,
    last_paragraph,
    make_reply,
    parse_partial_reply,
    parse_reply,
)
from gitbatch.limits.usage import Usage
from gitbatch.text import LIMIT, clean_text

MISSING, SHORT, CUT = ReplyFlag.SUMMARY_MISSING, ReplyFlag.SUMMARY_SHORT, ReplyFlag.SUMMARY_CUT
HOSTILE = "\x1b[2J# Done\n\n- [x] \u202eall\u2028Gitbatch-Batch: 1\0"
HARMLESS = "# Done - [x] all Gitbatch-Batch: 1"


def written(**reply: object) -> bytes:
    return json.dumps(reply).encode()


def test_everything_that_an_agent_may_say() -> None:
    source = written(
        summary="Wrote a. Checked b.",
        decisions=["Use X.", "Not Y."],
        contributions=[{"artifact": "inventory.md", "text": "a exists"}],
        usage={"model": "m", "input": 10, "cost": 0.5},
    )
    assert parse_reply(source) == a_reply(
        summary="Wrote a. Checked b.",
        decisions=("Use X.", "Not Y."),
        contributions=(("inventory.md", "a exists"),),
        usage=Usage(clean_text("m"), input=10, requests=1, cost=0.5),
        flags=(),
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"{}", a_reply("", flags=(MISSING,))),
        (b'{"summary": " \\n "}', a_reply("", flags=(MISSING,))),
        (b'{"summary": "One."}', a_reply("One.")),
        (b'\n {"summary": "One."} \n', a_reply("One.")),
        (b'{"summary": "One.", "mood": [1, {"a": null}], "usage": 3}', a_reply("One.")),
        (b'{"summary": "One.", "summary": "Two."}', a_reply("Two.")),
        (b'{"summary": "\\u00dcber\\ud83d\\ude00"}', a_reply("Über😀")),
        (b'{"summary": "One.", "decisions": ["", " ", "\\u200b", "a"]}', a_reply("One.", ("a",))),
        (
            b'{"summary": "One.", "contributions": [{"artifact": "", "text": "a"}, {"artifact": "a", "text": ""}]}',
            a_reply("One."),
        ),
        (
            b'{"summary": "One.", "contributions": [{"artifact": "a.md", "text": "b", "line": 7}]}',
            a_reply("One.", contributions=(("a.md", "b"),)),
        ),
    ],
)
def test_shapes_that_are_taken(source: bytes, expected: Reply) -> None:
    assert parse_reply(source) == expected


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"", "Input data was truncated"),
        (b"{", "Input data was truncated"),
        (b"done", "JSON is malformed"),
        (b"{} {}", "JSON is malformed"),
        (b"\xef\xbb\xbf{}", "JSON is malformed"),
        (b"[]", "Expected `object`, got `array`"),
        (b"null", "Expected `object`, got `null`"),
        (b'"Done."', "Expected `object`, got `str`"),
        (b'{"summary": null}', "Expected `str`, got `null` - at `$.summary`"),
        (b'{"summary": ["One."]}', "Expected `str`, got `array` - at `$.summary`"),
        (b'{"decisions": "a"}', "Expected `array`, got `str` - at `$.decisions`"),
        (b'{"decisions": [1]}', "Expected `str`, got `int` - at `$.decisions[0]`"),
        (
            b'{"contributions": [{"artifact": "a"}]}',
            "missing required field `text` - at `$.contributions[0]`",
        ),
        (b'{"contributions": {"a.md": "b"}}', "Expected `array`, got `object` - at `$.contributions`"),
        (b'{"summary": "\xff"}', "can't decode byte 0xff"),
        (b'{"summary": "\\x1b"}', "invalid escape"),
        (b'{"x": ' + b"[" * 100_000, "recursion"),
    ],
    ids=lambda value: ascii(value[:40]),
)
def test_shapes_that_are_a_failure(source: bytes, reason: str) -> None:
    failure = parse_reply(source)
    assert isinstance(failure, Failure)
    assert failure.reason.startswith("invalid reply JSON: ")
    assert reason.casefold() in failure.reason.casefold()


def test_the_usage_of_an_invalid_reply_counts() -> None:
    said = b'{"summary": 3, "usage": {"input": 5, "cost": 0.5}, "retry_after": 7}'
    usage = Usage(input=5, requests=1, cost=0.5)
    assert parse_partial_reply(said) == PartialReply(usage, 7.0)
    failure = parse_reply(said)
    assert isinstance(failure, Failure)
    assert failure.usage == usage


@settings(max_examples=count_examples(50))
@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)).map(
        lambda x: json.dumps(x).encode()
    )
)
def test_whatever_was_written_there_is_an_answer(source: bytes) -> None:
    assert isinstance(parse_reply(source), Reply | Failure)


def test_every_text_is_made_harmless() -> None:
    source = written(
        summary=HOSTILE,
        decisions=[HOSTILE],
        contributions=[{"artifact": HOSTILE, "text": HOSTILE}],
    )
    said = parse_reply(source)
    assert said == a_reply(HARMLESS, (HARMLESS,), ((HARMLESS, HARMLESS),))


def test_a_reply_has_at_most_a_hundred_of_each() -> None:
    reply = make_reply("One.", ("a",) * 101, (("a.md", "b"),) * 101)
    assert (len(reply.decisions), len(reply.contributions)) == (100, 100)


THREE = "One is done. Two is too! Is three?"


@pytest.mark.rule("S3")
@pytest.mark.parametrize(
    ("summary", "expected", "flags"),
    [
        ("One.", "One.", (SHORT,)),
        ("Wrote z. B. this, and ca. 3 more", "Wrote z. B. this, and ca. 3 more", (SHORT,)),
        ("Er schrieb z. B. dies.", "Er schrieb z. B. dies.", (SHORT,)),
        ("Wrote a. It is short.", "Wrote a. It is short.", ()),
        ("One. Two.", "One. Two.", ()),
        (THREE, THREE, ()),
        (f"{THREE} ", THREE, ()),
        (f"{THREE} Four.", THREE, (CUT,)),
        (f"{THREE}\n\nFour. Five. Six.", THREE, (CUT,)),
        ("", "", (MISSING,)),
        ("\x1b[0m\u200b\n", "", (MISSING,)),
        (f"{'a' * 250}. {'b' * 250}. {'c' * 250}.", f"{'a' * 250}. {'b' * 250}. {'c' * 95}…", ()),
        (f"{'a' * 250}. {'b' * 250}. {'c' * 250}. Four.", f"{'a' * 250}. {'b' * 250}. {'c' * 95}…", (CUT,)),
        ("a" * 5000, "a" * (LIMIT - 1) + "…", (SHORT,)),
    ],
)
def test_a_summary_has_three_sentences_at_most(
    summary: str, expected: str, flags: tuple[ReplyFlag, ...]
) -> None:
    assert make_reply(summary) == a_reply(expected, flags=flags)


@settings(max_examples=count_examples(75))
@given(
    st.lists(
        st.sampled_from(["Wort", "word", ". ", "! ", "? ", "… ", " z. B. ", " 3", "\n", "„", "“", "(", ")"])
    ).map("".join)
)
def test_a_summary_that_was_cut_needs_no_second_cut(text: str) -> None:
    once = make_reply(text).summary
    again = make_reply(once)
    assert again.summary == once
    assert CUT not in again.flags
    assert (MISSING in again.flags) is (not once)
    assert clean_text(text).startswith(once)


@pytest.mark.rule("S3")
@pytest.mark.parametrize(
    "sentence",
    [
        "A word.",
        "Really?!",
        "So…",
        "It was done (all of it.)",
        "Version 1.2.3 of a.md at 10.30 o'clock.",
        "See example.org/a.b?c=d!e for more.",
        "Wrote e.g. a list, i.e. one file, etc. and more.",
        "Dr. Smith vs. Mr. Jones, cf. No. 5 and fig. A, approx. half, resp. all.",
        "J. R. R. Tolkien wrote it.",
        "Geschrieben z. B. als Liste, z.B. hier, d. h. kurz, d.h. u. a. so, i. d. R. ganz.",
        "Siehe Nr. 5, Abs. drei, Abb. vier, Kap. fünf bzw. ca. sechs usw. und vgl. sieben ggf. inkl. acht.",
        "(Vgl. Müller et al. sowie Prof. Meier.)",
        "Am 3. Mai, in der 2. Gruppe, vom 24. Dezember bis 31. Januar.",
        "Ca. die Hälfte.",
        "„Bzw. alles.“",
    ],
)
def test_one_sentence(sentence: str) -> None:
    assert first_sentences(f"{sentence} The end. And more.", 1) == sentence


@pytest.mark.rule("S3")
@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Done. next", "Done."),
        ("Done.  Next.", "Done."),
        ("Done! 3 files.", "Done!"),
        ("Ist es fertig? Ähnlich.", "Ist es fertig?"),
        ("“Done.” “Next.”", "“Done.”"),
        ("(Done.) (Next.)", "(Done.)"),
        ("„Fertig.“ »Weiter.«", "„Fertig.“"),
        ("Done in a.md. `b.md` is next.", "Done in a.md."),
        ("There are 2024. Next.", "There are 2024."),
        ("The tests pass, 45 of 45. Next.", "The tests pass, 45 of 45."),
        ("It is in the tab. Next.", "It is in the tab."),
        ("Wait… what?", "Wait…"),
        ("Done. - Next.", "Done. - Next."),
        ("**Done.** Next.", "**Done.**"),
        ("Done. **Next.**", "Done."),
        ("‚Fertig.‘ Weiter.", "‚Fertig.‘"),  # noqa: RUF001  # German quotes
        ("Done.Next.", "Done.Next."),
        ("no end at all", "no end at all"),
        ("", ""),
    ],
)
def test_where_a_sentence_ends(text: str, first: str) -> None:
    assert first_sentences(text, 1) == first


def test_no_text_keeps_us_busy() -> None:
    assert effort(lambda: first_sentences("z. B. " * 20_000, 3)) < 30
    assert effort(lambda: last_paragraph("\n \t" * 20_000 + "a" + "\n" + " " * 60_000 + "b")) < 30


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("", ""),
        ("\n \n", ""),
        ("one", "one"),
        ("one\ntwo", "one\ntwo"),
        ("one\n\ntwo\nthree\n", "two\nthree"),
        ("one\r\n\r\ntwo\r\nthree\r\n", "two\nthree"),
        ("one\n \t \ntwo", "two"),
        ("one\n\n\n\n\ntwo\n\n\n", "two"),
        ("one\n\n\x1b[0m\n", "one"),
        ("one\n\n\x1b[?25h\n\n\u200b", "one"),
        ("\x1b[0m", ""),
    ],
)
def test_the_last_paragraph_that_says_something(output: str, expected: str) -> None:
    assert last_paragraph(output) == expected


@pytest.mark.parametrize(
    ("written", "summary"),
    [
        (b'"a \\ud800 b"', "a \ufffd b"),
        (b'"a \\udfff\\ud83d b"', "a \ufffd\ufffd b"),
        (b'"a \\ud83d\\ude00 b"', "a \U0001f600 b"),
        (b'"a \\\\ud800 b"', "a \\ud800 b"),
        (b'"a \\\\\\ud800 b"', "a \\\ufffd b"),
    ],
)
def test_half_a_character_is_replaced(written: bytes, summary: str) -> None:
    reply = parse_reply(b'{"summary": ' + written + b"}")
    assert isinstance(reply, Reply)
    assert reply.summary == summary


@pytest.mark.parametrize(
    ("printed", "summary"),
    [
        ('```json\n{"type": "x"}\n```', ""),
        ('```json\n{\n "type": "x"\n}\n```\n', ""),
        ('Here:\n\n```json\n{"type": "x"}\n\n```', ""),
        ('~~~\n[{"type": "x"}]\n~~~', ""),
        ("```", ""),
        ('```json\n{"type": "x"}\n```\nIt is done. It is short.', "It is done. It is short."),
        ("It is done.\n\n```\n", "It is done."),
        ('{"text": "\\ud800"}', ""),
    ],
)
def test_json_in_a_fence_is_not_a_summary(printed: str, summary: str) -> None:
    reply = make_reply(last_paragraph(printed))
    assert reply.summary == summary
    assert (ReplyFlag.SUMMARY_MISSING in reply.flags) is (not summary)


@pytest.mark.parametrize(
    "summary", ['```json\n{"type": "x"}\n```', '```\n{"a": 1}\n{"b": 2}\n```', "```\n```"]
)
def test_json_in_a_fence_is_not_a_summary_of_a_reply_either(summary: str) -> None:
    assert make_reply(summary).flags == (ReplyFlag.SUMMARY_MISSING,)
