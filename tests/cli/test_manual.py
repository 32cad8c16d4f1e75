"""The manual page: the file that is installed is what the commands say, and man can show it."""

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from conftest import Here, Workspace

from gitbatch.cli.manual import escape_text, render_manual
from gitbatch.cli.verbs import VERBS

FOLDER = Path(__file__).parent.parent.parent / "man"


def test_file_is_up_to_date(here: Here) -> None:
    assert here("help", "--man")[1] == render_manual()
    text = (FOLDER / "git-batch.1").read_text(encoding="utf-8")
    assert text == render_manual(), "write it again: gitbatch help --man > man/git-batch.1"
    assert (FOLDER / "gitbatch.1").read_text(encoding="utf-8") == ".so man1/git-batch.1\n"


def test_every_command_is_there() -> None:
    text = render_manual()
    assert [name for name, _, _ in VERBS if name != "hooks" and f"\n.SS {name}" not in text] == []


def test_options_and_exit_codes() -> None:
    text = render_manual()
    assert "\n.B \\-j, \\-\\-jobs JOBS\nItems that run at the same time.\n" in text
    assert "\n.B \\-\\-sandbox auto|bubblewrap|landlock|seatbelt|none\n" in text
    assert text.count("\\-\\-quiet") == 1
    assert "\\-\\-line" not in text, "it is for the scripts of completion"
    assert "\n.B 75\n" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a-b", "a\\-b"), (".x", "\\&.x"), ("a\\b\n c", "a\\eb c"), ("→ “x”", "\\(-> \\(lqx\\(rq")],
)
def test_escaped(text: str, expected: str) -> None:
    assert escape_text(text) == expected


@pytest.mark.skipif(not shutil.which("groff"), reason="man is not installed")
def test_groff_has_no_complaint() -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tascii", "-ww", str(FOLDER / "git-batch.1")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert "git-batch" in done.stdout


@pytest.mark.skipif(not shutil.which("man"), reason="man is not installed")
def test_git_opens_it(workspace: Workspace, tmp_path: Path) -> None:
    """`git batch --help` where the files are as the wheel installs them."""
    root = FOLDER.parent
    table = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    installed = table["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    for source, target in installed.items():
        (tmp_path / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / source, tmp_path / target)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git-batch").symlink_to(shutil.which("true") or "/bin/true")
    path = f"{tmp_path / 'bin'}:{workspace.environment['PATH']}"
    for command in (["git", "batch", "--help"], ["man", "gitbatch"]):
        done = subprocess.run(
            command,
            env={**workspace.environment, "PATH": path, "MANPAGER": "cat"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "run a plan of agents" in done.stdout, done.stderr
