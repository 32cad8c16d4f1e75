"""Programs in the layouts of their installers run without being listed, and read nothing else of $HOME."""

import pytest
from sandbox.arena import SECRET, Arena, Wall, behind
from sandbox.installs import INSTALLS, PART, SECRETS


@behind(Wall.BUBBLEWRAP, Wall.LANDLOCK)
@pytest.mark.parametrize("name", INSTALLS)
@pytest.mark.sample(14)
def test_install(arena: Arena, name: str) -> None:
    install = INSTALLS[name]
    program = install.build(arena.home)
    for secret in SECRETS:
        (arena.home / secret).parent.mkdir(parents=True, exist_ok=True)
        (arena.home / secret).write_text(SECRET)
    path = ":".join((*(str(arena.home / folder) for folder in install.path), "/usr/bin", "/bin"))
    arena.environment["PATH"] = path
    output, errors = arena.start(program, confinement=arena.usual._replace(path=path)).communicate()
    assert output == PART, errors
