"""The view of a program for nested paths: the deepest rule wins, in any order."""

import json
import os
from pathlib import Path

import pytest
from sandbox.arena import SECRET, Arena, Listeners, Wall, behind
from sandbox.layouts import LAYOUTS, Layout

from gitbatch.sandbox.filesystem_view import Access, build_view, strict_output

LOOK = """
import json, os, sys
seen = {}
for path in json.load(sys.stdin):
    try:
        with open(path, "rb") as file: seen[path] = "read" if file.read() else ""
        with open(path, "ab") as file: seen[path] = "write"
    except OSError: pass
json.dump(seen, sys.stdout)
"""


@behind(Wall.BUBBLEWRAP, Wall.LANDLOCK)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.sample(12)
def test_deepest_rule_wins(arena: Arena, layout: Layout) -> None:
    (arena.home / ".bashrc").write_text("# mine")
    confined, expected = layout(arena.usual, arena.base)
    if arena.wall is Wall.LANDLOCK:  # it can't take a right to a folder back for a file in it
        expected = {path: "write" if path.endswith("/.git") else access for path, access in expected.items()}
    files = [file for file in arena.base.rglob("*") if file.is_file() and "/objects/" not in str(file)]
    asked = {str(file) for file in files} | {str(arena.base / path) for path in expected}
    done = arena.run(*arena.wall.python, "-c", LOOK, stdin=json.dumps(sorted(asked)), confinement=confined)
    assert done.returncode == 0, done.stderr
    seen = {
        str(Path(path).relative_to(arena.base)): access for path, access in json.loads(done.stdout).items()
    }
    assert {path: seen.get(path, "") for path in expected} == expected
    private = {path for path in seen if path.startswith(("home/", "shop/other/")) and seen[path]}
    assert private <= set(expected)


@behind(Wall.BUBBLEWRAP)
def test_listed_socket_works(arena: Arena, listeners: Listeners) -> None:
    assert not listeners.reached()
    listed = arena.usual._replace(needs=(Path(arena.environment["SOCKET"]),))
    assert SECRET in arena.attack("connect_by_path", confinement=listed).stdout


@behind(Wall.BUBBLEWRAP, Wall.LANDLOCK)
def test_program_in_worktree(arena: Arena) -> None:
    for folder in ("bin", "lib"):
        (arena.worktree / folder).mkdir()
    program = arena.worktree / "bin/agent"
    program.write_text("#!/bin/sh\necho x > lib/output.md && rm bin/agent")
    program.chmod(0o755)
    assert arena.run("./bin/agent", str(arena.scratch / "prompt.md")).returncode == 0
    assert not program.exists()


@behind(Wall.BUBBLEWRAP)
def test_no_redundant_mounts(arena: Arena) -> None:
    needed, kept = arena.git[0] / "HEAD", arena.elsewhere / "secret"
    confined = arena.usual._replace(needs=(needed, kept))
    command = arena.command("cat", "README.md", confinement=confined)
    assert (command.count(str(needed)), command.count(str(kept))) == (0, 2)
    assert arena.run("cat", str(needed), str(kept), confinement=confined).returncode == 0


@behind(Wall.BUBBLEWRAP, Wall.LANDLOCK)
def test_strict_output_outside_worktree(arena: Arena) -> None:
    (arena.worktree / "docs").symlink_to(arena.repo)
    strict = arena.usual._replace(strict_output=arena.worktree / "docs/output.md")
    with pytest.raises(OSError, match="is outside the worktree"):
        arena.command("true", confinement=strict)


@behind(Wall.CONTROL)
def test_strict_output_symlink(arena: Arena) -> None:
    (arena.worktree / "output.md").symlink_to("README.md")
    with pytest.raises(OSError, match="is outside the worktree"):
        strict_output(arena.usual._replace(strict_output=arena.worktree / "output.md"))


@behind(Wall.BUBBLEWRAP, Wall.LANDLOCK)
def test_strict_output_is_created(arena: Arena) -> None:
    output = arena.worktree / "docs/deep/output.md"
    done = arena.run(
        "sh", "-c", f"echo done > {output}", confinement=arena.usual._replace(strict_output=output)
    )
    assert (done.returncode, output.read_text()) == (0, "done\n")


@behind(Wall.CONTROL)
def test_last_rule_wins(arena: Arena) -> None:
    both = arena.usual._replace(needs=(arena.elsewhere,), hidden=(arena.elsewhere,), writable=(arena.repo,))
    places = dict(build_view(["sh"], both).rules)
    assert places[arena.elsewhere] is Access.HIDDEN
    assert places[arena.repo] is Access.WRITE


@behind(Wall.CONTROL)
def test_view_is_deterministic(arena: Arena) -> None:
    assert build_view(["sh"], arena.usual) == build_view(["sh"], arena.usual)
    assert list(build_view(["sh"], arena.usual).rules) == sorted(build_view(["sh"], arena.usual).rules)
    assert os.path.realpath("/etc/resolv.conf") in {
        str(path) for path, _ in build_view(["sh"], arena.usual).rules
    }
