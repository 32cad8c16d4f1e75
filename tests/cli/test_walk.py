"""A new user's first walk: init, lint, plan, run, review and status, in English and in German."""

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from conftest import Workspace
from screens import COLUMNS, ENTER, Terminal

AGENT = """\
#!/bin/sh
echo "reading the sources of $GITBATCH_OUTPUT" >>"$GITBATCH_PROGRESS"
while [ ! -e "$HOME/go" ]; do sleep 0.05; done
mkdir -p "$(dirname "$GITBATCH_OUTPUT")"
printf '# A page\\n' >"$GITBATCH_OUTPUT"
case $GITBATCH_OUTPUT in *second* | *zweiter*) echo "the source is not there" >&2; exit 3 ;; esac
printf '\\nIt says what the part does.\\n' >>"$GITBATCH_OUTPUT"
echo "Wrote $GITBATCH_OUTPUT. It has one heading and a sentence."
"""
CONFIG = """
[agents.writer]
kind = "command"
command = ["sh", "agent.sh"]
sandbox = "none"
"""
QUICK = '[batch]\nretry-pause = "0s"\n'


@pytest.fixture
def terminal(workspace: Workspace) -> Iterator[Terminal]:
    workspace.write("agent.sh", AGENT)
    workspace.write("README.md", "# A project\n")
    workspace.commit("A project")
    opened = Terminal(workspace)
    yield opened
    opened.close()


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.sample(1)
def test_walk(workspace: Workspace, terminal: Terminal, language: str) -> None:
    try:
        walk(workspace, terminal, language)
    finally:
        terminal.save(language)
    screens = dict(terminal.screens)
    for title, seen in screens.items():
        assert find_broken_words(seen) == [], title
    first = "P1" if language == "en" else "S1"
    assert len(re.findall(r"\d:\d\d  reading the sources of docs/", screens["agents run"])) == 2
    review = screens["the review"]
    assert re.findall(r"^[> ] \S+ +(failed|succeeded) ", review, re.MULTILINE) == ["failed", "succeeded"]
    assert re.search(rf"^  {first}  succeeded +- +\+3 ", review, re.MULTILINE)
    assert "again: gitbatch run --items failed" in screens["the end of the run"]
    assert "wrote docs/" in screens["rescue take"]
    second = screens["status in a second terminal, while agents run"]
    assert "(running) on main: 0 of 2 groups, 0 of 3 items" in second
    assert second.count("  1  running  ") == 2
    assert "gitbatch run" not in second
    assert "(ended) on main: 2 of 2 groups, 2 of 3 items" in screens["status"]


def find_broken_words(screen: str) -> list[str]:
    """Returns the lines that the terminal, and not gitbatch, has broken: in the middle of a word."""
    lines = screen.splitlines()
    return [
        line
        for line, below in pairwise(lines)
        if len(line) == COLUMNS and line[-1].isalnum() and below[:1].isalnum()
    ]


def walk(workspace: Workspace, terminal: Terminal, language: str) -> None:
    terminal.run(f"gitbatch init --lang {language}")
    terminal.look("init asks for the form", "What do you start with?")
    terminal.type_keys(ENTER)
    terminal.finish("init has written a plan")
    terminal.run("gitbatch lint")
    terminal.finish("lint, before an agent is named")
    workspace.write("gitbatch.toml", workspace.read("gitbatch.toml").replace("[batch]\n", QUICK) + CONFIG)
    terminal.run("gitbatch lint")
    terminal.finish("lint, with an agent")
    terminal.run("git add --all && git commit --quiet -m Plan && gitbatch plan --brief")
    terminal.finish("plan --brief")
    terminal.run("gitbatch plan")
    terminal.look("plan, in the pager", ":")
    terminal.type_keys("q")
    terminal.run("gitbatch run")
    terminal.look("run asks which items", "Which items?")
    terminal.type_keys(ENTER)
    terminal.look("run asks when to pause", "Pause for a review?")
    terminal.type_keys(ENTER)
    terminal.wait_for(
        "reading the sources of docs/pages/first.md" if language == "en" else "docs/seiten/erster.md"
    )
    terminal.look("agents run", "docs/pages/second.md" if language == "en" else "docs/seiten/zweiter.md")
    look_from_another_terminal(workspace, terminal)
    (workspace.home / "go").touch()
    terminal.look("the review", "stop here")
    terminal.type_keys("jd")
    terminal.look("the diff", "diff --git")
    terminal.type_keys("q")
    terminal.look("the review again", "a approve")
    terminal.type_keys("c")
    terminal.look("what will be recorded", "(y, n)")
    terminal.type_keys("y")
    terminal.look("the last review", "end the batch")
    terminal.type_keys("c")
    terminal.look("the end is asked about", "(y, n)")
    terminal.type_keys("y")
    terminal.finish("the end of the run")
    terminal.run("gitbatch status")
    terminal.finish("status")
    terminal.run("gitbatch rescue")
    terminal.finish("rescue")
    terminal.run(f"gitbatch rescue take {'P2' if language == 'en' else 'S2'}")
    terminal.finish("rescue take")


def look_from_another_terminal(workspace: Workspace, terminal: Terminal) -> None:
    other = Terminal(workspace)
    try:
        other.run("gitbatch status")
        other.finish("status in a second terminal, while agents run")
    finally:
        other.close()
    terminal.screens.extend(other.screens)
