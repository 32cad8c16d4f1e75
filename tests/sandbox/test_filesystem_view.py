"""The view of a program for nested paths: the deepest rule wins, in any order."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox.arena import SECRET, Arena, Listeners, Wall, behind

from gitbatch.sandbox.filesystem_view import Access, build_view, strict_output
from gitbatch.sandbox.model import Confinement

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

Layout = Callable[[Confinement, Path], tuple[Confinement, dict[str, str]]]


def as_usual(usual: Confinement, _base: Path) -> tuple[Confinement, dict[str, str]]:
    return usual, {
        "shop/item/README.md": "write",
        "shop/item/.git": "read",
        "shop/item.io/prompt.md": "write",
        "shop/item.git/HEAD": "read",
        "repo/README.md": "",
        "repo/.env": "",
        "repo/.git/config": "",
    }


def everything_below_home(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    confined, seen = as_usual(usual, base)
    return confined._replace(home=base), seen


def home_is_the_repository(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    return usual._replace(home=base / "repo"), as_usual(usual, base)[1]


def home_inside_the_repository(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    confined = usual._replace(checkouts=(base,), needs=(base / "home/.bashrc",))
    return confined, {**as_usual(usual, base)[1], "elsewhere/secret": "", "home/.bashrc": "read"}


def all_inside_a_needed_place(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    """Listed first, and hidden later: the order does not decide."""
    confined, seen = as_usual(usual._replace(needs=(base,)), base)
    return confined, {**seen, "elsewhere/secret": "read"}


def the_checkout_is_needed(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    """Its files become visible, and git's configuration does not."""
    confined, seen = as_usual(usual._replace(needs=(base / "repo",)), base)
    return confined, {**seen, "repo/README.md": "read", "repo/.env": "read"}


def a_folder_of_the_checkout_is_needed(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    (base / "repo/data").mkdir()
    (base / "repo/data/x").write_text("x")
    confined, seen = as_usual(usual._replace(needs=(base / "repo/data",)), base)
    return confined, {**seen, "repo/data/x": "read"}


def a_program_in_the_checkout(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    """Its prefix is visible; of the checkout's own `bin`, only that folder."""
    seen = {"repo/.venv/lib/x.py": "read", "repo/node_modules/x/x.js": "read", "repo/bin/x": "read"}
    for name in (*seen, "repo/.venv/bin/x", "repo/node_modules/.bin/x", "repo/lib/x"):
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text("x")
    folders = ":".join(str(base / "repo" / name) for name in (".venv/bin", "node_modules/.bin", "bin", ""))
    confined, usually = as_usual(usual._replace(path=f"{folders}:{usual.path}"), base)
    return confined, {**usually, **seen, "repo/lib/x": ""}


def a_hidden_file(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    confined, seen = as_usual(usual, base)
    return confined._replace(hidden=(*usual.hidden, base / "repo/README.md")), {**seen, "repo/README.md": ""}


def a_hidden_place_that_is_not_there(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    confined, seen = as_usual(usual, base)
    return confined._replace(hidden=(*usual.hidden, base / "none"), needs=(base / "none",)), seen


def a_link_in_home(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    (base / "home/link").symlink_to("../elsewhere")
    confined, seen = as_usual(usual, base)
    needs = (base / "home/link/secret",)
    return confined._replace(needs=needs), {**seen, "home/link/secret": "read", "elsewhere/secret": "read"}


def links_that_lead_nowhere(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    (base / "run").mkdir()
    (base / "run/loop").symlink_to("loop")
    (base / "run/broken").symlink_to("none")
    confined, seen = as_usual(usual, base)
    return confined._replace(needs=(base / "run/loop", base / "run/broken")), seen


def named_through_links(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    """As if /home were a symlink, or the user's cache folder one to a larger disk; symlinks lead to symlinks."""
    (base / "run").mkdir()
    (base / "run/to").symlink_to(base)
    (base / "run/again").symlink_to("to/run/../home")
    way = base / "run/to"
    confined = usual._replace(
        worktree=way / "shop/item",
        scratch=way / "shop/item.io",
        git=(way / "shop/item.git", *(way / "shop" / path.name for path in usual.git[1:-1]), usual.git[-1]),
        checkouts=(way / "repo", way / "repo/.git"),
        hidden=(way / "shop",),
        home=base / "run/again",
        needs=(way / "home/.bashrc",),
    )
    seen = {**as_usual(usual, base)[1], "home/.bashrc": "read"}
    return confined, {**seen, **{f"run/to/{path}": access for path, access in seen.items()}}


@behind(Wall.BUBBLEWRAP, Wall.LANDLOCK)
@pytest.mark.parametrize(
    "layout",
    [
        as_usual,
        everything_below_home,
        home_is_the_repository,
        home_inside_the_repository,
        all_inside_a_needed_place,
        the_checkout_is_needed,
        a_folder_of_the_checkout_is_needed,
        a_program_in_the_checkout,
        a_hidden_file,
        a_hidden_place_that_is_not_there,
        a_link_in_home,
        links_that_lead_nowhere,
        named_through_links,
    ],
)
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
    assert SECRET in arena.attack("connect_by_path", listed).stdout


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
