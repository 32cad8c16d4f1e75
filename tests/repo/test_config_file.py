"""What a configuration file certainly does not have."""

from pathlib import Path

import pytest

from gitbatch.repo.config_file import may_have

WORDS = (b"include", b"hookspath")
NEW = b"[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (NEW, False),
        (b"", False),
        (b"[include]\n\tpath = x\n", True),
        (b'[IncludeIf "gitdir:~/x/"] path = x', True),
        (b"\xef\xbb\xbf[CORE]HooksPath=.husky\r\n", True),
        (b"[core]\n\thooksPath", True),
        (b"[core]\n\teditor = hooks \\\n path\n", False),
    ],
)
def test_names_in_any_case(tmp_path: Path, text: bytes, *, answer: bool) -> None:
    """Names of settings stand in a file as they are, in any case."""
    (tmp_path / "config").write_bytes(text)
    assert may_have((tmp_path / "config.worktree", tmp_path / "config"), WORDS) is answer


@pytest.mark.parametrize(
    ("more", "answer"),
    [(b"", False), (b"\tbare = true\n", True), (b"\tbare\n", True), (b"\tworktree = ../x\n", True)],
)
def test_usual_line(tmp_path: Path, more: bytes, *, answer: bool) -> None:
    """The line that every repository has does not count, whatever comes after it."""
    (tmp_path / "config").write_bytes(NEW + more)
    assert may_have((tmp_path / "config",), (b"worktree", b"bare"), b"\tbare = false\n") is answer


def test_unreadable_file(tmp_path: Path) -> None:
    """It may have any setting."""
    assert may_have((tmp_path,), WORDS)
