"""`gitbatch help`: every page of the documentation for users is a topic."""

from pathlib import Path

import pytest

from gitbatch.cli.help import find_title, read_pages, show_help
from gitbatch.errors import UsageError

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_topics_are_the_pages(capsys: pytest.CaptureFixture[str]) -> None:
    show_help()
    listed = [line.split()[0] for line in capsys.readouterr().out.split("\n\n")[0].splitlines()]
    assert listed == sorted(path.stem for path in DOCS.glob("*.md"))
    assert "configuration" in listed


def test_page_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    show_help("configuration")
    assert capsys.readouterr().out == (DOCS / "configuration.md").read_text(encoding="utf-8")


def test_unknown_topic_names_the_topics() -> None:
    with pytest.raises(UsageError, match="unknown help topic 'nonsense'") as raised:
        show_help("nonsense")
    assert ", ".join(read_pages()) in raised.value.advice


@pytest.mark.parametrize(
    ("text", "title"), [("# Agents\n\nText", "Agents"), ("x\n# Late\n", "Late"), ("x", "")]
)
def test_title(text: str, title: str) -> None:
    assert find_title(text) == title
