"""The namespace of processes that a program in an overlay worktree has: its first process, and the ids in it."""

from sandbox.arena import Arena, Wall, behind
from sandbox.test_overlay_worktree import make_layers

unsandboxed = behind(Wall.NONE, Wall.USERS_NONE)
END_ALL = """
grep -aq gitbatch /proc/1/cmdline || exit 1  # never the first process of the machine
for name in TERM STOP KILL; do kill -$name 1 2> /dev/null; done
echo on; exit 5
"""


@unsandboxed
def test_program_does_not_end_its_keeper(arena: Arena) -> None:
    """It may well try: the keeper is called `python`, as the servers are that an agent starts and ends by their name."""
    done = arena.run("sh", "-c", END_ALL, confinement=make_layers(arena, arena.repo))
    assert (done.returncode, done.stdout) == (5, "on\n"), done.stderr


@unsandboxed
def test_ids_of_processes_differ_between_programs(arena: Arena) -> None:
    """Programs make names in /tmp of them, which agents without a sandbox share."""
    confinement = make_layers(arena, arena.repo)
    seen = {arena.run("sh", "-c", "echo $$", confinement=confinement).stdout for _ in range(2)}
    assert len(seen) == 2, seen
