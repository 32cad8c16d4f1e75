"""The traceback of an internal error is in a file that can be found, and holds nothing that may not be kept."""

import errno
import tempfile
from pathlib import Path

import platformdirs
import pytest

from gitbatch.crash import write_traceback


def raised(text: str) -> ValueError:
    with pytest.raises(ValueError) as found:  # noqa: PT011 - whatever it says
        raise ValueError(text)
    return found.value


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(platformdirs, "user_log_path", lambda *_args, **_kwargs: tmp_path)
    return tmp_path


def test_each_error_has_a_file_of_its_own(logs: Path) -> None:
    first, second = write_traceback(raised("one")), write_traceback(raised("two \udc80"))
    assert {first, second} == set(logs.iterdir())
    text = first.read_text()
    assert text.startswith("gitbatch ")
    assert "Traceback (most recent call last)" in text
    assert text.endswith("ValueError: one\n")
    assert second.read_text().endswith("ValueError: two \\udc80\n")


def test_what_may_not_be_kept_is_masked() -> None:
    path = write_traceback(raised("the key"), lambda text: text.replace("key", "[K]"))
    assert path.read_text().endswith("ValueError: the [K]\n")


def test_where_the_log_folder_can_not_be_written_it_is_a_temporary_file(
    logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_kwargs: object) -> Path:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(platformdirs, "user_log_path", refuse)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(logs))
    path = write_traceback(raised("one"))
    assert path.parent == logs
    assert path.name.startswith("gitbatch-bug-")
