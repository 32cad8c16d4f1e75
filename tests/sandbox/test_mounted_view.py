"""The view that the launcher mounts for bubblewrap: it is the one that bubblewrap would make by itself."""

from collections.abc import Sequence

import pytest
from sandbox.arena import Arena, Wall, behind
from sandbox.test_overlay_worktree import make_layers

from gitbatch.sandbox.bubblewrap import Bubblewrap
from gitbatch.sandbox.command_line import launcher_arguments
from gitbatch.sandbox.launcher import view
from gitbatch.sandbox.model import Confinement

OPTIONS = {view.READ: "--ro-bind", view.WRITE: "--bind", view.EMPTY: "--tmpfs", view.LINK: "--symlink"}
DEVICES = ("--dev", "/dev", "--size", str(256 * 1024 * 1024), "--tmpfs", "/dev/shm", "--remount-ro", "/dev")  # noqa: S108
SEEN = r"""
sed 's#/newroot / #/ / #; s# - overlay .*# overlay#; s#\( / / .*\),mode=755#\1#' /proc/self/mountinfo | cut -d' ' -f4- | sort
find / -xdev -printf '%p %m %U %y %l\n' | sort
find "$HOME" /tmp /dev /etc/ssl/private -printf '%p %m %y %l\n' | sort
grep -E 'Cap|NoNew|Seccomp|Groups' /proc/self/status; id; umask; pwd
"""


def let_bubblewrap_make_it(command: list[str]) -> list[str]:
    """Returns a command whose view is made by options of bubblewrap, as without an overlay."""
    start, end = command.index("--view"), command.index("--worktree")
    root, steps = command[start + 1], command[start + 2 : end]
    made = list(zip(steps[1::6], steps[3::6], steps[5::6], strict=True))
    options = [word for kind, source, path in made for word in (OPTIONS[kind], source, path) if word]
    closed = ["/", *(path for kind, _, path in made if kind == view.EMPTY)]
    options += [word for path in closed for word in ("--remount-ro", path)]
    whole = [*command[:start], *command[end:]]
    shown, at = whole.index("--dev-bind"), whole.index("--chdir")
    assert whole[shown : shown + 3] == ["--dev-bind", root, "/"]
    return [*whole[:shown], *whole[shown + 3 : at], *DEVICES, *options, *whole[at:]]


@behind(Wall.BUBBLEWRAP, Wall.USERS_BUBBLEWRAP)
@pytest.mark.parametrize("is_strict", [False, True])
def test_view_is_that_of_bubblewrap(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, *, is_strict: bool
) -> None:
    really = Bubblewrap.wrap_command

    def wrapped(self: Bubblewrap, argv: Sequence[str], confinement: Confinement) -> list[str]:
        return let_bubblewrap_make_it(really(self, argv, confinement))

    confinement = make_layers(arena, arena.repo)
    if is_strict:
        confinement = confinement._replace(strict_output=arena.repo / "new/folder/out.md")
    seen = []
    for way in (really, wrapped):
        monkeypatch.setattr(Bubblewrap, "wrap_command", way)
        done = arena.run("sh", "-c", SEEN, confinement=confinement)
        assert (done.returncode, done.stderr) == (0, "")
        seen.append(done.stdout.splitlines())
    assert seen[0] == seen[1]
    assert len(seen[0]) > 80


@behind(Wall.BUBBLEWRAP, Wall.USERS_BUBBLEWRAP)
def test_no_link_of_a_program_is_followed(arena: Arena) -> None:
    """An earlier program may have put one where the next one gets a path of the machine."""
    confinement = make_layers(arena, arena.repo)
    assert confinement.overlay
    (confinement.overlay.upper / ".git").unlink()
    (confinement.overlay.upper / ".git").symlink_to("/etc")
    done = arena.run("sh", "-c", "echo started; ls -A .git", confinement=confinement)
    assert (done.returncode, done.stdout) == (126, "")
    assert done.stderr == f"gitbatch: {arena.repo}/.git: Too many levels of symbolic links\n"


@behind(Wall.BUBBLEWRAP)
def test_missing_source_is_named(arena: Arena) -> None:
    confinement = make_layers(arena, arena.repo)
    command = arena.command("true", confinement=confinement)
    at = command.index("/usr")
    asked = launcher_arguments([*command[:at], "/usr/gone", *command[at + 1 :]])
    done = arena.programs.run(asked or (), arena.repo, arena.environment, None)
    assert (done.returncode, done.stderr) == (126, "gitbatch: /usr/gone: No such file or directory\n")
