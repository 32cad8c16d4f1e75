"""Each attack runs without a sandbox, where it must succeed (else the test proves nothing), and in each sandbox."""

import os
from pathlib import Path

import pytest
from sandbox.arena import SECRET, Arena, Listeners, Wall, answers, behind, has_daemons
from sandbox.attacks import ATTACKS, WON
from waiting import wait_until

from gitbatch.sandbox.model import Confinement, Network, ProcessLimits

WALLS = (Wall.CONTROL, Wall.BUBBLEWRAP, Wall.LANDLOCK)
USERS_WALLS = (Wall.USERS_CONTROL, Wall.USERS_BUBBLEWRAP, Wall.USERS_LANDLOCK)
MEBIBYTE = 1024 * 1024
LANDLOCKS = frozenset({Wall.LANDLOCK, Wall.USERS_LANDLOCK})
BUBBLEWRAPS = frozenset({Wall.BUBBLEWRAP, Wall.USERS_BUBBLEWRAP})

HOLES = {
    "change_a_mode": LANDLOCKS,
    "change_times": LANDLOCKS,
    "see_that_a_key_exists": LANDLOCKS,
    "overwrite_the_pointer": LANDLOCKS,
    "replace_the_pointer": LANDLOCKS,
    "delete_the_pointer": LANDLOCKS,
}
"""The attacks that a sandbox does not prevent, as its module's docstring and the security page say."""

OVER_SOCKETS = (
    "connect_by_tcp",
    "send_by_udp",
    "connect_by_path",
    "connect_by_path_in_the_checkout",
    "connect_by_abstract_name",
    "send_by_half_a_pair",
)
DAEMONS = ("leave_a_daemon", "leave_daemons_that_breed")
OTHER_FILES = ("write_another_file_of_the_worktree", "make_another_file_in_the_worktree")
POINTERS = ("overwrite_the_pointer", "replace_the_pointer", "delete_the_pointer")
PLAIN = tuple(
    name
    for name in ATTACKS
    if name not in {*OVER_SOCKETS, *DAEMONS, *OTHER_FILES, "write_a_large_file", "ask_for_a_ring"}
    and "_id_" not in name
)
SET_IDS = tuple(name for name in ATTACKS if "_id_" in name)
FOR_ROOT = {"make_a_device", "read_a_setting_of_root", "open_a_setting_of_the_kernel"}
USERS = (
    "overwrite_a_file_of_the_checkout",
    "write_through_a_hard_link",
    "write_a_hook",
    "commit",
    "overwrite_the_pointer",
    "change_a_mode",
    "read_a_sibling",
    "read_a_key",
    "read_a_key_by_a_mount",
    "read_an_environment",
    "read_memory",
    "trace",
    "kill",
    "limit_another_process",
)
"""The attacks that are repeated as an unprivileged user, for whom bubblewrap needs a user namespace."""

walls = behind(*WALLS)
all_walls = behind(*WALLS, *USERS_WALLS)
SANDBOXES = (Wall.BUBBLEWRAP, Wall.LANDLOCK)


def require_possible(name: str, wall: Wall) -> None:
    """Skips a control that the system itself prevents."""
    root = os.getuid() == 0 and not wall.user
    yama = Path("/proc/sys/kernel/yama/ptrace_scope")
    if root or wall.kind:
        return
    if name in FOR_ROOT:
        pytest.skip("only root can")
    if name in {"read_memory", "trace"} and yama.exists() and yama.read_text().strip() != "0":
        pytest.skip("the system lets nobody trace")


def loss(arena: Arena, *names: str, confinement: Confinement | None = None) -> str:
    """Returns what attacks achieved; empty if nothing."""
    before = arena.state()
    done = arena.attack(*names, confinement=confinement)
    assert "NameError" not in done.stderr, done.stderr
    after = arena.state()
    changed = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    assert arena.victim
    signs = {
        f"it changed {changed}": bool(changed),
        f"it read a secret: {done.stdout}": SECRET in done.stdout,
        f"it got what it wanted: {done.stdout}": WON in done.stdout,
        "it ended another process": not answers(arena.victim),
    }
    return next((sign for sign, seen in signs.items() if seen), "") or _limited(arena.victim.pid)


def _limited(process: int) -> str:
    return next(
        (line for line in Path(f"/proc/{process}/limits").read_text().splitlines() if " 7 " in line), ""
    )


def expect(arena: Arena, name: str, lost: str, holes: frozenset[Wall] = frozenset()) -> None:
    """Requires that an attack succeeds without a sandbox and through known holes, and nowhere else."""
    should = arena.wall.kind is None or arena.wall in holes
    assert bool(lost) == should, lost or f"{name} should have succeeded, so this test proves nothing"


@behind(Wall.CONTROL)
@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.sample(30)
def test_attack_without_sandbox(arena: Arena, name: str) -> None:
    require_possible(name, arena.wall)
    expect(arena, name, loss(arena, name))


@behind(Wall.USERS_CONTROL)
@pytest.mark.parametrize("name", USERS)
@pytest.mark.sample(7)
def test_attack_by_unprivileged_user_without_sandbox(arena: Arena, name: str) -> None:
    require_possible(name, arena.wall)
    expect(arena, name, loss(arena, name))


@behind(*SANDBOXES, Wall.USERS_BUBBLEWRAP, Wall.USERS_LANDLOCK)
def test_no_attack_succeeds(arena: Arena) -> None:
    """All of them in a row, as nothing may happen; a test without the sandbox shows of each that it could succeed."""
    names = USERS if arena.wall.user else PLAIN
    lost = loss(arena, *(name for name in names if arena.wall not in HOLES.get(name, ())))
    assert not lost


@behind(Wall.CONTROL)
def test_attacks_in_a_row_without_sandbox(arena: Arena) -> None:
    """An attack succeeds in a row as it does alone, else the test of all proves nothing."""
    names = [name for name in PLAIN if name.startswith("read_") and name not in FOR_ROOT]
    _, *said = arena.attack(*names).stdout.split("\n# ")
    assert [part.split("\n")[0] for part in said if SECRET in part or WON in part] == names


@behind(*sorted(LANDLOCKS, key=lambda wall: wall.name))
@pytest.mark.parametrize("name", HOLES)
@pytest.mark.sample(6)
def test_a_known_hole(arena: Arena, name: str) -> None:
    expect(arena, name, loss(arena, name), HOLES[name])


@behind(Wall.CONTROL)
@pytest.mark.parametrize("name", OVER_SOCKETS)
def test_a_socket_without_sandbox(arena: Arena, listeners: Listeners, name: str) -> None:
    lost = loss(arena, name) or listeners.reached()
    expect(arena, name, str(lost or ""))


@behind(*SANDBOXES)
def test_no_network(arena: Arena, listeners: Listeners) -> None:
    assert not loss(arena, *OVER_SOCKETS)
    assert not listeners.reached()


@behind(*SANDBOXES)
def test_network_only(arena: Arena, listeners: Listeners) -> None:
    done = arena.attack(*OVER_SOCKETS[:2], confinement=arena.usual._replace(network=Network.ALL))
    assert SECRET in done.stdout
    assert listeners.reached()


@behind(*SANDBOXES)
def test_unix_sockets_with_network(arena: Arena, listeners: Listeners) -> None:
    assert not loss(arena, *OVER_SOCKETS[2:], confinement=arena.usual._replace(network=Network.ALL))
    assert not listeners.reached()


@behind(Wall.CONTROL, Wall.LANDLOCK)
def test_io_uring_is_filtered(arena: Arena) -> None:
    expect(arena, "ask_for_a_ring", loss(arena, "ask_for_a_ring"))


@behind(Wall.CONTROL, Wall.LANDLOCK, Wall.USERS_CONTROL, Wall.USERS_LANDLOCK)
def test_landlock_refuses_set_id(arena: Arena) -> None:
    _, *said = arena.attack(*SET_IDS).stdout.split("\n# ")
    won = [part.split("\n")[0] for part in said if WON in part]
    assert len(said) == len(SET_IDS)
    if arena.wall.kind:
        assert not won
    else:
        missing = set(SET_IDS) - set(won)
        assert all("by_a_new_call" in name for name in missing), "else it proves nothing"


@all_walls
@pytest.mark.parametrize("name", DAEMONS)
def test_no_process_outlives_its_agent(arena: Arena, name: str) -> None:
    assert arena.attack(name).returncode == 0
    lives = has_daemons(arena)
    (arena.worktree / "stop").touch()
    wait_until(lambda: not has_daemons(arena), "it has seen that before the next test removes the folder")
    expect(arena, name, "it lives" if lives else "")


@walls
def test_file_size_limit(arena: Arena) -> None:
    arena.attack(
        "write_a_large_file", confinement=arena.usual._replace(limits=ProcessLimits(file_bytes=MEBIBYTE))
    )
    size = (arena.worktree / "large").stat().st_size
    expect(arena, "write_a_large_file", "" if size <= MEBIBYTE else f"{size} bytes")


@walls
@pytest.mark.parametrize("name", [*OTHER_FILES, *POINTERS])
def test_strict_allows_only_output(arena: Arena, name: str) -> None:
    before = contents(arena.worktree)
    arena.attack(name, confinement=arena.usual._replace(strict_output=arena.worktree / "docs/output.md"))
    expect(arena, name, "" if contents(arena.worktree) == before else "it wrote another file")


def contents(folder: Path) -> dict[Path, bytes]:
    """Returns the files of a worktree except the output."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "output.md")
    return {path: path.read_bytes() for path in files}
