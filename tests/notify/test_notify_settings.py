"""The user's own configuration, and the variable that stands in its place."""

from pathlib import Path

import pytest

from gitbatch.errors import UsageError
from gitbatch.notify.settings import NotifySettings, read_notify_settings

HOOK = "https://example.org/hook"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gitbatch" / "config.toml"


def write(file: Path, text: str) -> Path:
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    return file


def test_nothing_is_sent_without_a_file(file: Path) -> None:
    assert read_notify_settings(file, None) == NotifySettings()


def test_every_setting(file: Path) -> None:
    text = f'[notify]\ncommand = ["notify-send", "x"]\nwebhook = "{HOOK}"\nsummaries = true\nbell = false\n'
    expected = NotifySettings(("notify-send", "x"), HOOK, summaries=True, bell=False)
    assert read_notify_settings(write(file, text), None) == expected


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("", NotifySettings(summaries=True)),
        ("say -v 'a b'", NotifySettings(("say", "-v", "a b"), summaries=True)),
        (HOOK, NotifySettings(webhook=HOOK, summaries=True)),
        ("http://127.0.0.1:8080/x", NotifySettings(webhook="http://127.0.0.1:8080/x", summaries=True)),
        (f"curl {HOOK}", NotifySettings(("curl", HOOK), summaries=True)),
    ],
)
def test_variable_replaces_the_receivers(file: Path, named: str, expected: NotifySettings) -> None:
    write(file, '[notify]\ncommand = ["other"]\nwebhook = "https://other.example"\nsummaries = true\n')
    assert read_notify_settings(file, named) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[notify", "invalid user configuration .*config.toml"),
        ("[notify]\ncomand = []\n", "unknown field `comand`"),
        ('[notify]\ncommand = "a b"\n', "Expected `array`"),
        ("[other]\n", "unknown field `other`"),
        (
            '[notify]\nwebhook = "http://example.org"\n',
            "invalid webhook in .*config.toml: not an https address",
        ),
        ('[notify]\nwebhook = "https://"\n', "not an https address"),
        ('[notify]\nwebhook = "https://[::1"\n', "not an https address"),
        ('[notify]\nwebhook = "file:///etc/passwd"\n', "not an https address"),
        ('[notify]\ncommand = [""]\n', "the program is empty"),
    ],
)
def test_invalid_file(file: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_notify_settings(write(file, text), None)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("ftp://example.org", "invalid webhook in GITBATCH_NOTIFY"),
        ("say 'x", "invalid command in GITBATCH_NOTIFY: No closing quotation"),
    ],
)
def test_invalid_variable(file: Path, named: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_notify_settings(file, named)
