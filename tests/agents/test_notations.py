"""Notations of a value: found in text whatever a program does to print it."""

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitbatch.agents import notations
from gitbatch.agents.anthropic.api_key import ApiKey
from gitbatch.agents.notations import replace_simple, simple_forms, simplify
from gitbatch.agents.secrets import Secrets
from gitbatch.text import clean_text

ESCAPES = "C:\\new\\table\\x41bc%20defg"
"""A value that looks as if it had escapes in it."""
VALUES = (
    "sk+abc/def=ghi$jkl&mno'pq",
    "it's-a+pass\"wo/rd\\\\é-abc$defg",
    "plain-key-0123456789abcdef",
    ESCAPES,
    "two words 'and' a \"third\" one",
    "\U0001f511 astral key 0123",
)
NOTATIONS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": json.dumps,
    "JSON twice": lambda value: json.dumps(json.dumps(value)),
    "JSON as PHP writes it": lambda value: json.dumps(value).replace("/", "\\/"),
    "JSON as Go writes it": lambda value: json.dumps(value, ensure_ascii=False).replace("&", "\\u0026"),
    "repr": repr,
    "ascii": ascii,
    "repr of bytes": lambda value: repr(value.encode()),
    "percent": quote,
    "percent, all": lambda value: quote(value, safe=""),
    "percent, plus": quote_plus,
    "percent, small": lambda value: "".join(f"%{byte:02x}" for byte in value.encode()),
    "shell": shlex.quote,
    "shell, as bash traces it": lambda value: "'" + value.replace("'", "'\\''") + "'",
}
BREAKS = ("\n", "\r\n", "\t", "\x00", "\x08", "\x1b[0m", "\x1b[31m", "\u200b", "\xad", "\u2028", " ")


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("notation", NOTATIONS)
def test_a_value_is_masked_in_each_notation(value: str, notation: str) -> None:
    written = NOTATIONS[notation](value)
    secrets = Secrets.from_environment({"K": value}, "K")
    for masked in (secrets.mask_text(f"<{written}>"), secrets.mask_bytes(f"<{written}>".encode()).decode()):
        assert masked.strip("<>'\"b\\") == "[value of K]"


@pytest.mark.parametrize("between", BREAKS, ids=ascii)
@pytest.mark.parametrize("notation", [str, json.dumps], ids=["as it is", "JSON"])
def test_a_value_is_masked_where_it_is_broken(between: str, notation: Callable[[str], str]) -> None:
    for value in set(VALUES) - {ESCAPES}:
        secrets = Secrets.from_environment({"K": value}, "K")
        for at in range(1, len(value)):
            broken = f"{value[:at]}{between}{value[at:]}"
            assert secrets.mask_text(notation(broken)).strip("'\"\\t") == "[value of K]"
            assert secrets.mask_text(clean_text(broken)).strip("'\"\\") == "[value of K]"


def test_a_shell_trace_is_masked() -> None:
    value = VALUES[0]
    traced = subprocess.run(
        ["bash", "-xc", ': "$K"'], env={"K": value}, capture_output=True, text=True, check=True
    ).stderr
    assert value not in traced
    assert Secrets.from_environment({"K": value}, "K").mask_text(traced) == "+ : '[value of K]'\n"


@given(text=st.text(max_size=200))
def test_a_text_without_a_value_stays_as_it_is(text: str) -> None:
    value = "sk-" + "q0" * 20
    assert Secrets.from_environment({"K": value}, "K").mask_text(text) == text


@given(data=st.binary(max_size=300), before=st.binary(max_size=20))
def test_bytes_around_a_value_stay(data: bytes, before: bytes) -> None:
    form = b"sk-q0q0q0q0q0"
    assert replace_simple(data, form, b"x") == data or form in simplify(data)
    assert (
        b"[x]" in replace_simple(before + b" " + form + b" " + data, form, b"[x]") or b"\\" in before + data
    )


def test_quotes_are_left_out_wherever_they_come_from() -> None:
    assert simplify(rb"""{"a": 'b', "\"c\u0022\u0041": "%41%22d"}""") == b"{a:b,cA:Ad}"


def test_quotes_of_json_take_no_call_each(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bytes] = []
    really_decode = notations._decode_notation

    def count_call(found: re.Match[bytes]) -> bytes:
        calls.append(found[0])
        return really_decode(found)

    monkeypatch.setattr(notations, "_decode_notation", count_call)
    assert simplify(b'{"type": "assistant", "n": 1}\n' * 100)
    assert calls == []


def test_a_form_that_is_too_short_is_not_looked_for() -> None:
    assert simple_forms("'+'+'+\"+\"abc") == frozenset()


@pytest.mark.parametrize("notation", NOTATIONS)
def test_the_key_of_the_claude_agent_is_cut_out(notation: str) -> None:
    key = ApiKey(VALUES[0])
    written = NOTATIONS[notation](VALUES[0])
    assert key.remove_from(written).strip("'\"b\\") == "[the key]"
    assert key.is_in(b"x" + written.encode()) or notation in {
        "JSON twice",
        "JSON as Go writes it",
        "percent, small",
    }
