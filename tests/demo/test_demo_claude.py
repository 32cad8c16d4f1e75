"""The demo of the Claude agent: a whole run without a key, and nobody can take it for one with a model."""

from pathlib import Path

from conftest import Workspace


def test_the_demo_runs_claude_against_a_server_that_says_what_it_is(workspace: Workspace) -> None:
    done = workspace.gitbatch("demo", "--agent", "anthropic", "made", code=0)
    assert done.stdout.count("SCRIPTED") == 2
    assert "waits 1.0 s: 429" in done.stdout
    assert "finished  13 done" in done.stdout
    made = Workspace(workspace.root / "made", workspace.home, workspace.environment)
    assert len(made.git("log", "--format=%H", "--grep", "^Gitbatch-Item").splitlines()) == 13
    for page in Path(made.root / "docs/reference").glob("*.md"):
        assert "not a model" in page.read_text(encoding="utf-8")
    assert made.git("status", "--porcelain") == ""
