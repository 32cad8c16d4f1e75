"""Included files and prepared worktrees in whole runs: what agents find, what they leave, and who pays when it fails."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Workspace
from history import audit
from sessions import run_here

from gitbatch.batch.extras.include import IncludeSizeError
from gitbatch.batch.extras.prepare import PrepareError
from gitbatch.batch.workplace import kinds
from gitbatch.fs import cloning, copying
from gitbatch.fs.disk import DiskError

KINDS = ("copy", "overlay")

PLAN = "## Work Packages\n\n### First\n- [ ] One (output: out/one.md)\n- [ ] Two (output: out/two.md)\n\n### Second\n- [ ] Three (output: out/three.md)\n"
CONFIG = """
[batch]
jobs = 2
retries = 0
{batch}
[agents.writer]
kind = "command"
command = ["sh", "tools/agent.sh"]
timeout = "30s"
"""
AGENT = """
set -e
node_modules/.bin/run-tests >log
[ "$(cat .venv/home)" = "$EXPECTED" ] || true
mkdir -p "$(dirname "$GITBATCH_OUTPUT")"
{ cat log; cat prepared.txt 2>/dev/null || echo "not prepared"; ls -A; } >"$GITBATCH_OUTPUT"
echo mine >>node_modules/lib/shared.js
rm node_modules/lib/other.js
echo '{"summary": "Ran the tests. They pass."}' >"$GITBATCH_REPLY"
"""
RUN_TESTS = """#!/bin/sh
grep -q original node_modules/lib/shared.js && ! grep -q mine node_modules/lib/shared.js && [ -e node_modules/lib/other.js ] || exit 9
echo "tests pass"
"""


PREPARE = 'prepare = [["mkdir", "-p", "out"], ["sh", "tools/prepare.sh"]]\nprepare-on = ["package-lock.json"]'
PREPARING = """
test -e node_modules/lib/other.js
echo "$HOME" >prepared.txt
echo x >>task.md
echo here already >out/three.md
"""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> str:
    kind: str = request.param
    if kind == "clone":  # everywhere: by copies, where the file system has no reflinks
        monkeypatch.setattr(cloning, "_cloning_call", lambda: shutil.copy)
    workspace.environment["GITBATCH_WORKTREE"] = kind
    return kind


def lay_out(workspace: Workspace, batch: str = "", **files: str) -> None:
    workspace.write("task.md", PLAN)
    workspace.write("gitbatch.toml", CONFIG.format(batch=batch))
    workspace.write("tools/agent.sh", AGENT)
    workspace.write(".gitignore", "node_modules\n.env*\nprepared.txt\nstate/\nlog\n")
    workspace.write(".worktreeinclude", "node_modules/\n.env*\n")
    for path, text in files.items():
        workspace.write(path, text)
    workspace.commit()
    workspace.write("node_modules/.bin/run-tests", RUN_TESTS)
    (workspace.root / "node_modules/.bin/run-tests").chmod(0o755)
    workspace.write("node_modules/lib/shared.js", "original")
    workspace.write("node_modules/lib/other.js", "original")
    workspace.write(".env", "SECRET=1")
    workspace.write(".env.test", "MODE=test")


def notices(events: list[dict[str, str]]) -> list[str]:
    return [event["text"] for event in events if event["event"] == "notice"]


def outputs_of_first(workspace: Workspace) -> list[str]:
    return workspace.git("show", "main:out/one.md").split()


def outputs(workspace: Workspace) -> dict[str, str]:
    return {name: workspace.git("show", f"main:out/{name}.md") for name in ("one", "two", "three")}


@pytest.mark.parametrize("kind", [*KINDS, "clone"], indirect=True)
def test_included_test_suite(workspace: Workspace, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each agent runs a suite out of an included folder, and changes it for itself alone."""
    lay_out(workspace, 'include = [".env.test"]')
    result, events = run_here(workspace, monkeypatch)
    assert (result.succeeded, result.failed) == (3, 0), events[-3:]
    for text in outputs(workspace).values():
        assert text.startswith("tests pass\nnot prepared")
        assert ".env.test" in text
        assert ".env\n" not in text
    assert (workspace.root / "node_modules/lib/shared.js").read_text() == "original"
    assert (workspace.root / "node_modules/lib/other.js").exists()
    said = notices(events)
    assert any(text.startswith("worktrees get .env.test, node_modules/ of your checkout") for text in said)
    assert "agents can read .env.test, which batch.include names" in said
    assert any(text.startswith("not included, as the names look like secrets: .env (") for text in said)
    assert events[0]["worktrees"].startswith(kind)
    strays = [event["outcome"]["strays"] for event in events if event["event"] == "item-finished"]
    assert all("node_modules/lib/shared.js" in each for each in strays)
    assert len(audit(workspace).items) == 3


@pytest.mark.usefixtures("kind")
def test_prepared_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands run once for all items and groups, in a home of their own; the next batch finds the result."""
    lay_out(workspace, PREPARE, **{"package-lock.json": "1", "tools/prepare.sh": PREPARING})
    result, events = run_here(workspace, monkeypatch)
    assert (result.succeeded, result.failed) == (3, 0), events[-3:]
    found = set(outputs(workspace).values())
    homes = {text.splitlines()[1] for text in found}
    assert len(homes) == 1, "one result for all"
    assert workspace.environment["HOME"] != homes.pop()
    assert (
        sum(
            text.startswith("preparing worktrees, once for all: mkdir -p out; sh tools/")
            for text in notices(events)
        )
        == 1
    )
    workspace.edit("task.md", "[x] Three", "[ ] Three")
    workspace.commit()
    _, again = run_here(workspace, monkeypatch)
    assert [text for text in notices(again) if "prepar" in text] == [], "the next batch finds it"


HIDING_AGENT = """
mkdir -p out
cat out/*.md >"$GITBATCH_OUTPUT" 2>&1
echo '{"summary": "Read the outputs. They are there."}' >"$GITBATCH_REPLY"
"""


def test_prepared_worktrees_show_outputs(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that the commands made, where groups write later, hides nothing that a group has written."""
    lay_out(workspace, 'prepare = ["mkdir", "-p", "out/deep"]', **{"tools/agent.sh": HIDING_AGENT})
    workspace.environment["GITBATCH_WORKTREE"] = "overlay"
    workspace.edit("tools/agent.sh", "mkdir", "echo words >words\nmkdir")
    workspace.edit("tools/agent.sh", "cat out/*.md", "cat words out/o*.md")
    workspace.commit()
    result, _ = run_here(workspace, monkeypatch)
    assert result.succeeded == 3
    assert outputs(workspace)["three"].count("words") > 1


COMMITTED_AGENT = """
mkdir -p out
cat dist/made.txt dist/sub/other.txt node_modules/lib/shared.js >"$GITBATCH_OUTPUT" 2>&1
git status --short | grep -v out/ >>"$GITBATCH_OUTPUT"
echo '{"summary": "Read the files. They are there."}' >"$GITBATCH_REPLY"
"""


@pytest.mark.usefixtures("kind")
def test_commit_counts_where_a_layer_has_a_file_too(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user commits a file that was prepared; the next batch finds the layer in the cache."""
    prepare = (
        'prepare = ["sh", "-c", "mkdir -p dist/sub; echo made >dist/made.txt; echo made >dist/sub/other.txt"]'
    )
    lay_out(workspace, f'{prepare}\nprepare-on = ["no"]', **{"tools/agent.sh": COMMITTED_AGENT})
    workspace.edit(".gitignore", "log", "log\ndist")
    workspace.commit()
    run_here(workspace, monkeypatch, items="group:1")
    assert outputs_of_first(workspace) == ["made", "made", "original"]
    workspace.write("dist/made.txt", "committed\n")
    workspace.git("add", "--force", "dist")
    workspace.edit("task.md", "[x] One", "[ ] One")
    workspace.git("commit", "-qam", "what was made")
    _, events = run_here(workspace, monkeypatch, items="group:1")
    assert outputs_of_first(workspace) == ["committed", "made", "original"]
    (said,) = [text for text in notices(events) if text.startswith("agents see ")]
    assert said.startswith("agents see dist/made.txt as the commit has it")


def test_files_that_cannot_be_included(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are too large together, or one cannot be read: nothing has run, and the next start takes it up."""
    lay_out(workspace, 'worktree = "copy"\ninclude-max = 10')
    with pytest.raises(IncludeSizeError, match=r"the largest: node_modules/ \("):
        run_here(workspace, monkeypatch)
    workspace.edit("gitbatch.toml", "include-max = 10\n", "")
    workspace.commit()
    real = copying._copy_file

    def fail(*given: Any) -> None:  # noqa: ANN401 - as the real one
        real(*given)
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), "node_modules/lib/shared.js")

    with monkeypatch.context() as patch:
        patch.setattr(copying, "_copy_file", fail)
        with pytest.raises(DiskError) as caught:
            run_here(workspace, monkeypatch)
    assert (
        caught.value.message
        == "cannot include files of the checkout: node_modules/lib/shared.js: Permission denied"
    )

    def fill_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(copying, "clone_or_copy", fill_disk)
        with pytest.raises(DiskError, match=r"checkout: .*/gitbatch/layers/[^:]*: No space left on device"):
            run_here(workspace, monkeypatch)
    result, _ = run_here(workspace, monkeypatch)
    assert result.succeeded == 3


def test_prepare_fails(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(workspace, 'prepare = ["sh", "-c", "echo the registry is away >&2; exit 3"]')
    workspace.environment["GITBATCH_WORKTREE"] = "copy"
    with pytest.raises(PrepareError) as caught:
        run_here(workspace, monkeypatch)
    assert "batch.prepare failed: sh -c" in caught.value.message
    assert "the registry is away" in f"{caught.value.message}{caught.value.details}"
    assert "it has no network (batch.prepare-network)" in caught.value.advice
    assert caught.value.code == 1
    assert not workspace.git("for-each-ref", "refs/heads/gitbatch/"), "no agent has started"


VENV_AGENT = """
set -e
echo 'NAME = "agent"' >src/thing.py
mkdir -p out
.venv/bin/tool >"$GITBATCH_OUTPUT"
pwd >>"$GITBATCH_OUTPUT"
echo '{"summary": "Ran the tool. It works."}' >"$GITBATCH_REPLY"
"""


def test_real_virtual_environment(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """An included .venv has absolute paths, and an editable install: both lead to the agent's worktree, not to the checkout."""
    lay_out(workspace, **{"tools/agent.sh": VENV_AGENT, "src/thing.py": 'NAME = "checkout"\n'})
    workspace.write(".gitignore", ".venv\n")
    workspace.write(".worktreeinclude", ".venv\n")
    workspace.commit()
    venv = workspace.root / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "editable.pth").write_text(f"{workspace.root}/src\n")
    workspace.write(
        ".venv/bin/tool", f"#!{venv}/bin/python\nimport thing, sys\nprint(thing.NAME, sys.prefix)\n"
    )
    (venv / "bin/tool").chmod(0o755)
    workspace.environment["GITBATCH_WORKTREE"] = "overlay"
    result, events = run_here(workspace, monkeypatch)
    assert (result.succeeded, result.failed) == (3, 0), events[-3:]
    assert set(outputs(workspace).values()) == {f"agent {venv}\n{workspace.root}"}
    assert (workspace.root / "src/thing.py").read_text() == 'NAME = "checkout"\n'
    assert not list(venv.rglob("__pycache__/thing*"))


CHECK = """
[checks.suite]
command = ["sh", "-c", "node_modules/.bin/run-tests && git ls-files --error-unmatch out/one.md && [ -z \\"$(git status --short)\\" ]"]
sandbox = "landlock"
on = ["out/one.md"]
[checks.part]
command = ["sh", "-c", "node_modules/.bin/run-tests && test ! -e tools && [ -z \\"$(git status --short)\\" ]"]
sandbox = "none"
checkout = "context"
on = ["out/one.md"]
[gates.whole]
command = ["sh", "-c", "node_modules/.bin/run-tests && [ -z \\"$(git status --short)\\" ]"]
sandbox = "none"
"""


def test_checks_have_the_layers(workspace: Workspace, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check runs the suite of the included folder; what an agent has changed there is not to be seen. No layer is left of it."""
    lay_out(workspace, **{"gitbatch.toml": CONFIG.format(batch="") + CHECK})
    asked: list[frozenset[str]] = []
    real = kinds._find_overlay_problem

    def ask(sandboxes: tuple[str, ...], *folders: Path) -> str:
        asked.append(frozenset(sandboxes))
        return real(sandboxes, *folders)  # type: ignore[arg-type]

    monkeypatch.setattr(kinds, "_find_overlay_problem", ask)
    result, events = run_here(workspace, monkeypatch, items="group:1", sandbox=None)
    assert (result.succeeded, result.failed) == (2, 0), events[-3:]
    gates = [event["result"] for event in events if event["event"] == "gate-finished"]
    assert gates == ["pass"]
    checks = [event["result"]["verdict"] for event in events if event["event"] == "check-finished"]
    assert checks == ["pass", "pass"], events
    if kind == "overlay":
        assert asked[0] >= {"landlock", "none"}, "a mount is tried in the sandboxes of all programs"
        layers = [path.name for path in (workspace.home / "cache/gitbatch/layers").glob("*/*")]
        assert len([name for name in layers if not name.startswith("include-")]) == 1, layers


AGAIN_PLAN = """## Work Packages

### First
- [ ] One (output: package-lock.json)

### Second
- [ ] Two (output: out/two.md)
"""
AGAIN_AGENT = """
[ ! -e prepared.txt ] || cat prepared.txt >seen
echo 2 >package-lock.json.new
case $GITBATCH_OUTPUT in
*package-lock.json) mv package-lock.json.new "$GITBATCH_OUTPUT" ;;
*) mkdir -p out; cp seen "$GITBATCH_OUTPUT" ;;
esac
echo '{"summary": "Wrote it. It is short."}' >"$GITBATCH_REPLY"
"""
AGAIN_PREPARE = """
cat package-lock.json >prepared.txt
grep -c : /proc/net/dev >>prepared.txt
[ "$(cat package-lock.json)" != bad ] || { echo "cannot read the lock"; exit 4; }
"""


@pytest.mark.parametrize("written", ["2", "bad"])
def test_prepared_again(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    """An item wrote what the result depends on: the commands run again for this batch, without a network."""
    settings = 'worktree = "copy"\nprepare = ["sh", "tools/prepare.sh"]\nprepare-on = ["package-lock.json"]\nprepare-network = true'
    lay_out(workspace, settings)
    workspace.write("task.md", AGAIN_PLAN)
    workspace.write("tools/agent.sh", AGAIN_AGENT.replace("echo 2", f"echo {written}"))
    workspace.write("tools/prepare.sh", AGAIN_PREPARE)
    workspace.write("package-lock.json", "1")
    workspace.commit()
    if written == "bad":
        with pytest.raises(PrepareError, match="cannot read the lock"):
            run_here(workspace, monkeypatch)
        assert workspace.git("show", "main:package-lock.json") == "bad", "what was done stays"
        return
    result, events = run_here(workspace, monkeypatch)
    assert (result.succeeded, result.failed) == (2, 0), events[-3:]
    lock, interfaces = workspace.git("show", "main:out/two.md").split()
    assert (lock, interfaces) == ("2", "1"), "only the loopback is there"
    again = "package-lock.json changed in this batch: batch.prepare runs again, for this batch alone and without a network"
    assert again in notices(events)
    layers = list((workspace.home / "cache/gitbatch/layers").glob("*/prepare-*"))
    assert len(layers) == 2
