"""What becomes of an item does not depend on the kind of worktree; an overlay also says what was deleted."""

import pytest
from conftest import Workspace
from sessions import run_here

NAMES = ("same", "touched", "opened", "mode", "gone", "plan", "scope", "folder", "link")
AGENT = """
name=$(basename "$GITBATCH_OUTPUT" .md)
case $name in
touched) touch "$GITBATCH_OUTPUT" ;;
opened) : >>"$GITBATCH_OUTPUT" ;;
mode) chmod 755 "$GITBATCH_OUTPUT"; echo new >>"$GITBATCH_OUTPUT" ;;
gone) rm "$GITBATCH_OUTPUT" ;;
plan) rm task.md; echo new >"$GITBATCH_OUTPUT" ;;
scope) echo more >>CLAUDE.md; echo new >"$GITBATCH_OUTPUT" ;;
folder) rm -r docs notes.txt; mkdir docs; echo x >docs/new.md; echo new >"$GITBATCH_OUTPUT" ;;
link) rm -r out; ln -s docs out; echo new >"$GITBATCH_OUTPUT" ;;
esac
echo '{"summary": "Did it. It is done."}' >"$GITBATCH_REPLY"
"""
UNCHANGED = "failed: the agent changed nothing: out/{0}.md is as it was"
BECAME = {
    "same": UNCHANGED,
    "touched": UNCHANGED,
    "opened": UNCHANGED,
    "mode": "succeeded: ",
    "gone": "failed: no output file was written",
    "plan": "refused: the agent modified task.md outside its assigned output",
    "scope": "refused: the agent modified CLAUDE.md outside its assigned output",
    "folder": "succeeded: ",
    "link": "failed: cannot take the output: a folder on the way to it is a symbolic link, or not a folder",
}
STRAYS = {
    "copy": ["docs/new.md"],
    "overlay": ["docs/new.md", "notes.txt (deleted)", "docs/ (replaced)"],
}


@pytest.mark.parametrize("kind", STRAYS)
def test_outcomes(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    items = "".join(f"- [ ] {name} (output: out/{name}.md)\n" for name in NAMES)
    workspace.write("task.md", f"## Work Packages\n\n### All\n{items}")
    workspace.write("CLAUDE.md", "# Rules\n")
    config = '[batch]\nretries = 0\n[agents.a]\nkind = "command"\ncommand = ["sh", "tools/agent.sh"]\n'
    workspace.write("gitbatch.toml", config)
    workspace.write("tools/agent.sh", AGENT)
    for path in (*(f"out/{name}.md" for name in NAMES), "docs/old.md", "notes.txt"):
        workspace.write(path, "base\n")
    workspace.commit()
    workspace.environment["GITBATCH_WORKTREE"] = kind
    _, events = run_here(workspace, monkeypatch)
    outcomes = {
        event["outcome"]["item"]["title"]: event["outcome"]
        for event in events
        if event["event"] == "item-finished"
    }
    became = {
        name: f"{each['status']}: {each['reason'].partition('; ')[0]}" for name, each in outcomes.items()
    }
    assert became == {name: text.format(name) for name, text in BECAME.items()}
    assert sorted(outcomes["folder"]["strays"]) == sorted(STRAYS[kind])
    assert workspace.git("show", "main:out/mode.md") == "base\nnew"
    assert workspace.git("ls-tree", "main", "out/mode.md").startswith("100644 ")
