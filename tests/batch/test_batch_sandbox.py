"""A hostile agent in a whole run: confined, it reaches nothing but its file; without a wall, history stays right."""

import json
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from batch.programs import set_up
from conftest import Place
from history import assert_tidy, audit, ticked

from gitbatch.cli import batch as cli
from gitbatch.errors import ExitCode
from gitbatch.sandbox.bubblewrap import Bubblewrap
from gitbatch.sandbox.model import Confinement

WALLS = ["bubblewrap", "landlock"]

ATTACKS = {
    "checkout": 'echo pwned >"$root/rules.md"',
    "config": 'git config --file "$git/config" core.fsmonitor "touch /tmp/pwned"',
    "hook": 'mkdir -p "$git/hooks"; echo "touch /tmp/pwned" >"$git/hooks/post-checkout"',
    "ref": 'printf "%s\\n" 0000000000000000000000000000000000000001 >"$git/refs/heads/pwned"',
    "sibling": 'for d in "$PWD"/../*-1-t102-*; do echo pwned >"$d/out/letters/b.md"; done',
    "home": 'echo pwned >"$HOME/pwned"',
}
"""What the agent of T101 tries, as shell; `root` and `git` are the checkout and its .git."""


def run(place: Place, attack: str, kind: str) -> str:
    place.edit("task.md", "Write a →", "Write a do: attack →")
    place.edit(
        "tools/agent.sh",
        "fail) echo",
        f'attack) page >"$output"; git={place.root}/.git; root={place.root}; sleep 0.3; ( {attack} ) 2>/dev/null || true ;;\n'
        "fail) echo",
    )
    place.edit("task.md", "Write b →", "Write b do: nap 1 →")
    place.commit()
    done = place.gitbatch("run", "--items", "group:1", "--checkpoint", "at-end", "--sandbox", kind)
    return f"{done.returncode}\n{done.stdout}{done.stderr}"


def reached(place: Place, attack: str) -> bool:
    """Whether an attack has had an effect outside its worktree."""
    git = place.root / ".git"
    match attack:
        case "checkout":
            return "pwned" in place.read("rules.md")
        case "config":
            return "pwned" in (git / "config").read_text(encoding="utf-8")
        case "hook":
            return (git / "hooks" / "post-checkout").exists()
        case "ref":
            return (git / "refs/heads/pwned").exists()
        case "home":
            return (place.home / "pwned").exists()
        case _:
            return "pwned" in place.git("show", "main:out/letters/b.md")


@pytest.mark.rule("S1", "S2")
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("kind", WALLS)
def test_behind_a_wall_an_attack_reaches_nothing(three: Place, attack: str, kind: str) -> None:
    said = run(three, ATTACKS[attack], kind)
    assert said.startswith("0\n")
    assert f"sandbox {kind}" in said
    assert not reached(three, attack)
    assert ticked(three) == ["T101", "T102", "T103", "T104"]
    assert three.git("status", "--porcelain") == ""
    audit(three)
    assert_tidy(three)


@pytest.mark.parametrize("attack", ATTACKS)
def test_without_one_it_does_and_history_is_right_all_the_same(three: Place, attack: str) -> None:
    run(three, ATTACKS[attack], "none")
    assert reached(three, attack), "else the test above proves nothing"
    (three.root / ".git/refs/heads/pwned").unlink(missing_ok=True)
    audit(three)


@pytest.mark.parametrize(("network", "kind"), [(n, k) for n in (False, True) for k in WALLS])
def test_the_network_is_there_only_when_it_is_asked_for(three: Place, *, network: bool, kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        server.settimeout(5)
        connected: list[bool] = []

        def accept() -> None:
            try:
                server.accept()[0].close()
                connected.append(True)
            except TimeoutError:
                connected.append(False)

        waiting = threading.Thread(target=accept)
        waiting.start()
        three.edit("gitbatch.toml", 'timeout = "1m"', f'timeout = "1m"\nnetwork = {str(network).lower()}')
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)"
        run(three, f'python3 -c "{code}"', kind)
        waiting.join()
    assert connected == [network]


@pytest.mark.parametrize("kind", WALLS)
def test_a_key_in_the_environment_or_the_home_folder_is_not_seen(three: Place, kind: str) -> None:
    (three.home / ".ssh").mkdir()
    (three.home / ".ssh" / "id").write_text("hidden-key", encoding="utf-8")
    three.environment |= {"API_KEY": "hidden-key"}
    peek = '(env; cat "$HOME/.ssh/id"; cat /proc/[0-9]*/environ | tr "\\0" "\\n") >>"$output"'
    run(three, peek, kind)
    assert "GITBATCH_OUTPUT" in three.read("out/letters/a.md"), "it has its own environment"
    assert "hidden-key" not in three.read("out/letters/a.md")


@pytest.mark.parametrize("kind", WALLS)
def test_no_process_outlives_its_item(three: Place, kind: str) -> None:
    mark = three.home / "cache"
    run(three, 'setsid sh -c "sleep 47.11" >/dev/null 2>&1 &', kind)
    alive = [path for path in Path("/proc").glob("[0-9]*/cmdline") if b"47.11" in _read(path)]
    assert alive == []
    assert mark.exists()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_sandbox_that_can_not_be_set_up_halts_the_batch_after_the_first_item(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(place, "ok", "ok", "ok")
    place.edit("gitbatch.toml", 'sandbox = "none"', 'sandbox = "bubblewrap"')
    place.commit("A wall")
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    really = Bubblewrap.command

    def broken(self: Bubblewrap, argv: Sequence[str], confinement: Confinement) -> list[str]:
        whole = really(self, argv, confinement)
        at = len(whole) - 1 - whole[::-1].index("--")
        return [*whole[:at], "--ro-bind", "/nonexistent", "/x", *whole[at:]]

    monkeypatch.setattr(Bubblewrap, "command", broken)
    options = cli.Options(
        None, "all", "at-end", None, 1, None, no_input=True, json=True, directory=place.root
    )
    assert cli.run_command(options) is ExitCode.FAILED
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["name"] for event in events if event["event"] == "item-started"] == ["T1"]
    (halted,) = [event for event in events if event["event"] == "batch-halted"]
    assert halted["reason"] == (
        "T1: the agent can't be started: the sandbox: "
        "bwrap: Can't find source path /nonexistent: No such file or directory"
    )
    assert halted["items_left"] == 3
    assert_tidy(place)
