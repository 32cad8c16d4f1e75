"""The options that every command has: `-C` before the verb, `-q`, `-v`, `-V`, `-j`, and `help TOPIC`."""

import sys
from pathlib import Path

import pytest
from conftest import Here, Workspace

from gitbatch import __version__
from gitbatch.cli.verbosity import show_prose
from gitbatch.cli.verbs import VERBS

WARNING = "## Work Packages\n\n### G\n\n- [ ] a <!-- sequental -->\n"
RUN = ("run", "--items", "T101", "--checkpoint", "at-end")


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_version(here: Here, option: str) -> None:
    assert here(option) == (0, f"gitbatch {__version__}\n", "")


@pytest.mark.parametrize(
    "words",
    [("-C", "repo", "lint"), ("lint", "-C", "repo"), ("-C", "repo", "lint", "-C", "."), ("-Crepo", "lint")],
)
def test_folder_before_the_verb(
    here: Here, three: Workspace, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(three.root.parent)
    code, said, _ = here(*words)
    assert (code, said.strip().rpartition(": ")[2]) == (0, "12 items in 3 groups")


def test_second_folder_is_below_the_first(
    here: Here, three: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(three.root.parent)
    assert here("-C", "repo", "status", "-C", "missing")[0] == 1
    assert here("-C", "repo", "status", "-C", "../repo")[0] == 0


def test_demo_is_made_below_the_folder(here: Here, workspace: Workspace) -> None:
    workspace.write("below/gitbatch-demo/a", "")
    code, _, said = here("-C", "below", "demo")
    assert code == 2
    assert "below/gitbatch-demo exists" in said


def test_every_verb_has_them(here: Here) -> None:
    for verb in (name for name, _, _ in VERBS if name not in {"hooks", "rescue"}):
        said = here(verb, "--help")[1]
        assert {"--quiet", "--verbose", "--json"} <= set(said.split()), verb


def test_quiet_and_verbose(here: Here, three: Workspace) -> None:
    three.edit("task.md", "T101", "<!-- sequental --> T101")
    assert "GB301" in here("lint")[1]
    assert here("lint", "-q")[:2] == here("-q", "lint")[:2] == (0, "")
    three.git("checkout", "-q", "task.md")
    three.write("task.md", three.read("task.md") + "\n")
    assert "uncommitted changes" in here("plan")[2]
    assert here("-q", "plan")[2] == ""
    three.git("checkout", "-q", "task.md")
    code, said, _ = here(*RUN, "-j", "1", "-v")
    assert code == 0
    assert "1 at a time" in said
    assert "  reads       T101: " in said
    assert here("run", "--items", "T102", "--checkpoint", "at-end", "--quiet")[:2] == (0, "")
    assert here("-q", "gc", "--keep", "0")[:2] == (0, "")
    assert "removed" not in here("hooks", "uninstall", "-q")[1]


def test_progress_none_shows_checkpoints_only(here: Here, three: Workspace) -> None:
    code, said, _ = here(*RUN, "--progress", "none")
    assert code == 0
    assert three.git("log", "--format=%s", "-1").startswith("gitbatch: checkpoint")
    assert "checkpoint 1/1" in said
    assert "finished" in said
    assert "start " not in said
    assert "working on" not in said


def test_live_progress_needs_a_terminal(here: Here, three: Workspace) -> None:
    code, _, said = here(*RUN, "--progress", "live", "-C", str(three.root))
    assert code == 2
    assert "--progress live needs a terminal" in said


def test_help_of_a_command(here: Here, workspace: Workspace) -> None:
    code, said, _ = here("help", "run")
    assert code == 0
    assert "gitbatch run [OPTIONS]" in said
    assert "--checkpoint" in said
    code, _, said = here("help", "paln")
    assert code == 2
    assert "did you mean plan?" in said
    assert "init" in said
    assert Path(workspace.root, ".git").is_dir()


def test_prose_is_wrapped_in_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The columns are those of the terminal; without one, a line stays a line."""
    monkeypatch.setenv("COLUMNS", "30")
    text = "one two three four five six seven: gitbatch rescue take ITEM"
    show_prose(text)
    assert capsys.readouterr().out == f"{text}\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    show_prose(text)
    assert capsys.readouterr().out == "one two three four five six\n  seven:\n  gitbatch rescue take ITEM\n"
