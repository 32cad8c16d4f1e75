"""Values that no text and no output may hold: their forms, and how they are replaced by their variable's name."""

import json

import pytest
from agents.values import a_failure, a_reply

from gitbatch.agents.anthropic.table import AnthropicAgent
from gitbatch.agents.command.table import CommandAgent
from gitbatch.agents.protocol import Failure, OutputStream
from gitbatch.agents.secrets import Secrets
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.text import CleanText

KEY = "sk-Ab3+x/9=zz"
PEM = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nshort1\n-----END KEY-----\n"
ACCOUNT = json.dumps({"type": "service_account", "private_key": PEM}, indent=1)


def secrets(**values: str) -> Secrets:
    return Secrets.from_environment(values, values)


@pytest.mark.parametrize(
    ("value", "text", "masked"),
    [
        (KEY, f"the key is {KEY}.", "the key is [value of K]."),
        (f" {KEY}\n", f"{KEY}{KEY}", "[value of K][value of K]"),
        ("1234567", "1234567", "1234567"),
        ("", "anything", "anything"),
        ('with "quotes"', 'with \\"quotes\\"', "[value of K]"),
        ("Schlüssel-1", json.dumps({"k": "Schlüssel-1"}), '{"k": "[value of K]"}'),
        ("two  words here", "two words here", "[value of K]"),
        (PEM, PEM.strip(), "[value of K]"),
        (PEM, " ".join(PEM.split()), "[value of K]"),
        (PEM, json.dumps(PEM.strip()), '"[value of K]"'),
        (PEM, "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "[value of K]"),
        ("one line of it\nanother line", "another line", "[value of K]"),
    ],
)
def test_a_value_is_replaced_in_text_and_in_bytes(value: str, text: str, masked: str) -> None:
    assert secrets(K=value).mask_text(text) == masked
    assert secrets(K=value).mask_bytes(text.encode()) == masked.encode()


def test_of_two_values_the_longer_one_is_replaced_first() -> None:
    assert (
        secrets(A=KEY, B=f"{KEY}-and-more").mask_text(f"{KEY}-and-more {KEY}") == "[value of B] [value of A]"
    )


def test_bytes_that_are_no_text_stay_what_they_are() -> None:
    assert secrets(K=KEY).mask_bytes(b"\xff\x00" + KEY.encode()) == b"\xff\x00[value of K]"
    assert secrets(K="caf\udce9-caf\udce9").mask_bytes(b"<caf\xe9-caf\xe9>") == b"<[value of K]>"


def test_what_was_cleaned_away_inside_of_a_value_does_not_save_it() -> None:
    assert secrets(K=KEY).mask_line(CleanText(f"a {KEY} b")) == "a [value of K] b"


def found(value: str, content: str) -> bool:
    """Whether the value would be found in an output, line by line."""
    lines = content.split("\n")
    made = secrets(K=value)
    return bool(made.found_by(lambda forms: any(form in line for form in forms for line in lines)))


@pytest.mark.parametrize(
    ("value", "content", "is_held"),
    [
        (KEY, f"x\nkey: {KEY}\n", True),
        (KEY, KEY[:-1], False),
        (PEM, PEM, True),
        (PEM, "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", True),
        (PEM, "A text about -----BEGIN KEY----- and -----END KEY-----\n", False),
        (ACCOUNT, ACCOUNT, True),
        (ACCOUNT, PEM, True),
        (ACCOUNT, ' "type": "service_account",\n', False),
        ("one line of it\nanother line", "another line", True),
    ],
)
def test_what_is_looked_for_in_outputs(value: str, content: str, *, is_held: bool) -> None:
    assert found(value, content) is is_held


def test_forms_for_outputs_have_one_line_each() -> None:
    for value in (KEY, PEM, ACCOUNT, "a\\nb and more"):
        for secret in secrets(K=value).every:
            assert secret.in_outputs
            assert all(form and "\n" not in form for form in secret.in_outputs)


def test_an_output_is_asked_for_once_if_nothing_is_in_it() -> None:
    asked: list[tuple[str, ...]] = []

    def search(forms: tuple[str, ...]) -> bool:
        asked.append(forms)
        return "B-value-1" in forms

    assert Secrets().found_by(search) == ()
    assert asked == []
    assert secrets(A="A-value-1").found_by(search) == ()
    assert asked == [("A-value-1",)]
    assert secrets(A="A-value-1", B="B-value-1").found_by(search) == ("B",)


def test_everything_in_an_answer_is_masked() -> None:
    masked, mine = "[value of K]", secrets(K=KEY)
    usage = Usage(CleanText(KEY))
    reply = a_reply(KEY, (KEY,), ((KEY, KEY),), usage)
    assert mine.mask_answer(reply) == a_reply(
        masked, (masked,), ((masked, masked),), Usage(CleanText(masked))
    )
    failure = mine.mask_answer(a_failure(f"{KEY} (exit 1)", ("x", KEY), Cause.BUSY))
    assert failure == Failure(
        CleanText(f"{masked} (exit 1)"), (CleanText("x"), CleanText(masked)), Cause.BUSY
    )
    assert Secrets().mask_answer(reply) is reply


def test_progress_is_masked() -> None:
    shown: list[str] = []
    secrets(K=KEY).mask_progress(lambda _, line: shown.append(line))(
        OutputStream.OUTPUT, CleanText(f"at {KEY}")
    )
    assert shown == ["at [value of K]"]


def test_a_value_is_in_no_representation() -> None:
    made = secrets(K=KEY)
    assert KEY not in repr(made)
    assert KEY not in repr(made.every)


def test_which_variables_of_an_agent_are_secret() -> None:
    table = CommandAgent(
        command=("x",), pass_env=("A_KEY", "HOME", "LC_ALL", "MODEL"), public_env=("MODEL", "URL")
    )
    assert table.secret_variables == ("A_KEY",)
    assert AnthropicAgent(api_key_env="MY_KEY").secret_variables == ("MY_KEY",)
