"""Completion: the words that may follow, and the scripts that ask for them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Here, Workspace

from gitbatch.cli.completion import FORMATS, Shell
from gitbatch.cli.completion_words import complete_line
from gitbatch.cli.verbs import VERBS


def values(line: str) -> list[str]:
    return [word.value for word in complete_line(line)]


WORDS: tuple[tuple[str, list[str]], ...] = (
    ("gitbatch ru", ["run"]),
    ("git batch ru", ["run"]),
    ("/usr/bin/git-batch ru", ["run"]),
    ("gitbatch run --items T10", ["T101", "T102", "T103", "T104"]),
    ("gitbatch run --items T101,T20", [f"T101,T20{n}" for n in (1, 2, 3, 4)]),
    ("gitbatch run --items 'group:", ["group:1", "group:2", "group:3"]),
    ("gitbatch run -j 2 --agent ", ["scripted"]),
    ("gitbatch run --checkpoint at", ["at-end"]),
    ("gitbatch run --progress l", ["live"]),
    ("gitbatch plan --branch ", ["main"]),
    ("gitbatch check T20", [f"T20{n}" for n in (1, 2, 3, 4)]),
    ("gitbatch check --gate ", []),
    ("gitbatch -C below run --items T1", []),
    ("gitbatch -C below -C ../below/.. run --items T104", ["T104"]),
    ("gitbatch run --no-i", ["--no-input"]),
    ("gitbatch -C below --ver", ["--verbose", "--version"]),
    ("gitbatch hooks un", ["uninstall"]),
    ("gitbatch hooks install --js", ["--json"]),
    ("gitbatch rescue take ", []),
    ("gitbatch init --agent co", ["codex", "command"]),
    ("gitbatch agents t", ["try"]),
    ("gitbatch schema stat", ["status"]),
    ("gitbatch help confi", ["configuration"]),
    ("gitbatch completion z", ["zsh"]),
    ("gitbatch init --lang d", ["de"]),
    ("gitbatch run ", []),
    ("gitbatch run --sandbox ", ["auto", "bubblewrap", "landlock", "seatbelt", "none"]),
    ("gitbatch nonsense ", []),
    ("gitbatch run --items \"T101' '", []),
)


def test_words(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    three.write("below/task.md", "nothing")
    three.write("below/CLAUDE.md", "nothing")
    (three.root / "below" / ".git").mkdir()
    monkeypatch.chdir(three.root)
    for line, expected in WORDS:
        assert values(line) == expected, line


def test_verbs_have_their_summary() -> None:
    assert [(word.value, word.note) for word in complete_line("gitbatch ")] == [
        (name, summary) for name, _, summary in VERBS
    ]


@pytest.mark.parametrize(
    ("shell", "line", "expected"),
    [
        (Shell.BASH, "gitbatch run --items group:", "1"),
        (Shell.BASH, "gitbatch run --items gr", "group:1"),
        (Shell.ZSH, "gitbatch run --items gr", "group\\:1:Letters"),
        (Shell.FISH, "gitbatch run --items gr", "group:1\tLetters"),
    ],
)
def test_forms(shell: Shell, line: str, expected: str) -> None:
    assert FORMATS[shell]("group:1", "Letters", line) == expected


@pytest.mark.parametrize("shell", Shell)
def test_scripts_are_shown(here: Here, shell: Shell) -> None:
    code, said, _ = here("completion", shell)
    assert code == 0
    assert f"gitbatch completion {shell} --line" in said
    assert "#" not in said, "an interactive zsh would run a comment that it evaluates"
    assert here("completion", shell, "--line", "gitbatch ru")[1].startswith("run")


def test_bash_completes(three: Workspace) -> None:
    """The script in bash itself, which splits words at colons."""
    bin_dir = Path(sys.executable).parent
    assert shutil.which("gitbatch", path=str(bin_dir))
    ask = """eval "$(gitbatch completion bash)"
    COMP_LINE='git batch run --items group:' COMP_POINT=28 _git_batch; echo "${COMPREPLY[*]}"
    COMP_LINE='gitbatch run --items T104,T2' COMP_POINT=26 _gitbatch; echo "${COMPREPLY[*]}"
    complete -p gitbatch"""
    done = subprocess.run(
        ["bash", "-c", ask],
        cwd=three.root,
        env={**three.environment, "PATH": f"{bin_dir}:{three.environment['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    groups, items, kind = done.stdout.splitlines()
    assert groups == "1 2 3"
    assert items.startswith("T104,T101 T104,T102"), "the cursor is before the 2"
    assert "-F _gitbatch gitbatch" in kind
