"""Lazy commands: known by name, imported when used."""

import sys

import pytest
from typer.testing import CliRunner

from gitbatch.cli.lazy import load_command
from gitbatch.cli.main import app


def test_listing_imports_no_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [
        name for name in sys.modules if name.startswith("gitbatch.cli.") and name != "gitbatch.cli.main"
    ]:
        monkeypatch.delitem(sys.modules, name)
    CliRunner().invoke(app, ["--help"])
    assert not {"gitbatch.cli.run", "gitbatch.cli.demo"} & sys.modules.keys()
    CliRunner().invoke(app, ["help"])
    assert "gitbatch.cli.help" in sys.modules


def test_missing_name_is_an_error() -> None:
    with pytest.raises(AttributeError):
        load_command("x", "gitbatch.cli.help:nothing")
