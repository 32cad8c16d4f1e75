"""A hostile agent in a whole run: confined, it reaches nothing but its file; without a wall, history stays right."""

import os
import signal
import socket
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from batch.programs import set_up
from conftest import Workspace
from history import assert_tidy, audit, ticked
from sessions import run_here

from gitbatch.batch.ending import Ending
from gitbatch.sandbox.bubblewrap import Bubblewrap
from gitbatch.sandbox.model import Confinement

WALLS = ["bubblewrap", "landlock"]
NOT_FOUND = "an agent in an overlay does not find the checkout that it attacks"

ATTACKS = {
    "checkout": 'echo pwned >"$root/rules.md"',
    "config": 'git config --file "$git/config" core.fsmonitor "touch /tmp/pwned"',
    "hook": 'mkdir -p "$git/hooks"; echo "touch /tmp/pwned" >"$git/hooks/post-checkout"',
    "ref": 'printf "%s\\n" 0000000000000000000000000000000000000001 >"$git/refs/heads/pwned"',
    "sibling": 'for d in "$PWD"/../*-1-t102-*; do echo pwned >"$d/out/letters/b.md"; done',
    "home": 'echo pwned >"$HOME/pwned"',
}
"""What the agent of T101 tries, as shell; `root` and `git` are the checkout and its .git."""


def run(workspace: Workspace, attack: str, kind: str) -> str:
    workspace.edit("task.md", "Write a →", "Write a do: attack →")
    workspace.edit(
        "tools/agent.sh",
        "fail) echo",
        f'attack) page >"$output"; git={workspace.root}/.git; root={workspace.root}; sleep 0.3; ( {attack} ) 2>/dev/null || true ;;\n'
        "fail) echo",
    )
    workspace.edit("task.md", "Write b →", "Write b do: nap 1 →")
    workspace.commit()
    done = workspace.gitbatch("run", "--items", "group:1", "--checkpoint", "at-end", "--sandbox", kind)
    return f"{done.returncode}\n{done.stdout}{done.stderr}"


def reached(workspace: Workspace, attack: str) -> bool:
    """Whether an attack has had an effect outside its worktree."""
    git = workspace.root / ".git"
    match attack:
        case "checkout":
            return "pwned" in workspace.read("rules.md")
        case "config":
            return "pwned" in (git / "config").read_text(encoding="utf-8")
        case "hook":
            return (git / "hooks" / "post-checkout").exists()
        case "ref":
            return (git / "refs/heads/pwned").exists()
        case "home":
            return (workspace.home / "pwned").exists()
        case _:
            return "pwned" in workspace.git("show", "main:out/letters/b.md")


@pytest.mark.rule("S1", "S2")
@pytest.mark.parametrize("kind", WALLS)
def test_behind_a_wall_an_attack_reaches_nothing(three: Workspace, kind: str) -> None:
    """One agent tries all attacks; in an overlay, it does not find the checkout."""
    is_overlay = three.environment["GITBATCH_WORKTREE"] == "overlay"
    attacks = {name: attack for name, attack in ATTACKS.items() if name != "checkout" or not is_overlay}
    said = run(three, "; ".join(f"( {attack} )" for attack in attacks.values()), kind)
    assert said.startswith("0\n")
    assert f"sandbox {kind}" in said
    assert [name for name in attacks if reached(three, name)] == []
    assert ticked(three) == ["T101", "T102", "T103", "T104"]
    assert three.git("status", "--porcelain") == ""
    audit(three)
    assert_tidy(three)


@pytest.mark.parametrize("names", [("checkout", "sibling"), ("config", "hook", "ref", "home")])
@pytest.mark.copied(NOT_FOUND)
def test_without_one_it_does_and_history_is_right_all_the_same(
    three: Workspace, names: tuple[str, ...]
) -> None:
    """What is changed in .git ends the run: of the others, nothing would be seen."""
    run(three, "; ".join(f"( {ATTACKS[name]} )" for name in names), "none")
    assert [name for name in names if not reached(three, name)] == [], "else the test above proves nothing"
    (three.root / ".git/refs/heads/pwned").unlink(missing_ok=True)
    audit(three)


@pytest.mark.parametrize(("network", "kind"), [(n, k) for n in (False, True) for k in WALLS])
@pytest.mark.sample(2)
def test_the_network_is_there_only_when_it_is_asked_for(
    three: Workspace, *, network: bool, kind: str
) -> None:
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
def test_a_key_in_the_environment_or_the_home_folder_is_not_seen(three: Workspace, kind: str) -> None:
    (three.home / ".ssh").mkdir()
    (three.home / ".ssh" / "id").write_text("hidden-key", encoding="utf-8")
    three.environment |= {"API_KEY": "hidden-key"}
    peek = '(env; cat "$HOME/.ssh/id"; cat /proc/[0-9]*/environ | tr "\\0" "\\n") >>"$output"'
    run(three, peek, kind)
    assert "GITBATCH_OUTPUT" in three.read("out/letters/a.md"), "it has its own environment"
    assert "hidden-key" not in three.read("out/letters/a.md")


@pytest.mark.parametrize("kind", WALLS)
def test_no_process_outlives_its_item(three: Workspace, kind: str) -> None:
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


@pytest.mark.copied("the trial mount of an overlay finds the broken sandbox before any item")
def test_a_sandbox_that_can_not_be_set_up_halts_the_batch_after_the_first_item(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok", "ok", "ok")
    workspace.edit("gitbatch.toml", 'sandbox = "none"', 'sandbox = "bubblewrap"')
    workspace.commit("A wall")
    really = Bubblewrap.wrap_command

    def broken(self: Bubblewrap, argv: Sequence[str], confinement: Confinement) -> list[str]:
        whole = really(self, argv, confinement)
        at = len(whole) - 1 - whole[::-1].index("--")
        return [*whole[:at], "--ro-bind", "/nonexistent", "/x", *whole[at:]]

    monkeypatch.setattr(Bubblewrap, "wrap_command", broken)
    result, events = run_here(workspace, monkeypatch, jobs=1)
    assert result.ending is Ending.HALTED
    assert [event["name"] for event in events if event["event"] == "item-started"] == ["T1"]
    (halted,) = [event for event in events if event["event"] == "batch-halted"]
    assert halted["reason"] == (
        "T1: the agent cannot be started: the sandbox: "
        "bwrap: Can't find source path /nonexistent: No such file or directory"
    )
    assert halted["items_left"] == 3
    assert_tidy(workspace)


TOKEN = "token-0123456789"  # noqa: S105 - looked for in what an agent gets to read
PEEK = (
    '{ cat "$root/.env" "$root/rules.md" "$git/config" "$main/.env" "$main/.git/config" "$elsewhere/config"; '
    "git config --list; git remote -v; cat $(git rev-parse --git-common-dir)/config; "
    "git log -1 --format=%s; git status --short; git grep -h one -- rules.md; git ls-files rules.md; git diff --stat; "
    '} >>"$output"'
)
"""What an agent reads with its own eyes and by git."""


def layout(three: Workspace, how: str) -> Workspace:
    """The place that a run starts in, with secrets beside the plan, as people have their checkouts."""
    three.write("rules.md", "rules number one\n")
    three.write(".gitignore", ".env\n")
    three.commit("Rules")
    three.git("config", "remote.origin.url", f"https://me:{TOKEN}@example.org/x.git")
    three.git("config", "http.https://example.org/.extraHeader", f"Authorization: {TOKEN}")
    elsewhere = three.root.parent / "elsewhere"
    elsewhere.mkdir()
    started = three
    if how == "linked":
        root = three.root.parent / "linked"
        three.git("worktree", "add", "-q", "-b", "work", str(root))
        started = replace(three, root=root)
    elif how == "separate":
        three.git("init", "-q", "--separate-git-dir", str(elsewhere))
    elif how == "home":
        environment = {**three.environment, "HOME": str(three.root.parent)}
        started = replace(three, home=three.root.parent, environment=environment)
    for workspace in (three, started):
        workspace.write(".env", f"KEY={TOKEN}\n")
    variables = f"root={started.root}; git={three.root}/.git; main={three.root}; elsewhere={elsewhere}; "
    started.edit(
        "tools/agent.sh",
        "fail) echo",
        f'peek) page >"$output"; {variables} ( {PEEK} ) 2>/dev/null || true ;;\nfail) echo',
    )
    started.edit("task.md", "Write a →", "Write a do: peek →")
    started.commit("Peek")
    return started


@pytest.mark.parametrize("how", ["main", "linked", "separate", "home"])
@pytest.mark.parametrize("kind", [*WALLS, "none"])
@pytest.mark.sample(4)
def test_an_agent_reads_its_worktree_and_history_and_nothing_of_the_checkout(
    three: Workspace, kind: str, how: str
) -> None:
    workspace = layout(three, how)
    done = workspace.gitbatch("run", "--items", "T101", "--checkpoint", "at-end", "--sandbox", kind, code=0)
    assert "agents can read of this checkout" not in done.stdout
    branch = "work" if how == "linked" else "main"
    seen = workspace.git("show", f"{branch}:out/letters/a.md").splitlines()
    assert seen[-4:] == ["Peek", "?? out/", "rules number one", "rules.md"]
    is_layered = workspace.environment["GITBATCH_WORKTREE"] == "overlay"
    is_hidden = is_layered and how in {"main", "home"}  # its worktree is where the checkout would be
    assert (TOKEN in "".join(seen)) == (kind == "none" and not is_hidden), "without a sandbox it is there"
    assert ("rules number one" in seen[:-4]) == (kind == "none" or is_layered)
    assert "https://example.org/x.git" in "".join(seen), "of the remote, the place is known"
    assert workspace.git("worktree", "list", "--porcelain").count("worktree ") == (
        2 if how == "linked" else 1
    )


def further_checkout(three: Workspace, how: str) -> tuple[Workspace, Path]:
    """The place that a run starts in, and another checkout that belongs to it."""
    top = three.root.parent
    if how == "superproject":
        outer = replace(three, root=top / "outer")
        outer.root.mkdir()
        outer.git("init", "-q", "-b", "main")
        outer.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(three.root), "sub")
        outer.commit()
        return replace(three, root=outer.root / "sub"), outer.root
    linked = replace(three, root=top / "linked")
    if how == "separate":
        (top / "dirs").mkdir()
        three.git("init", "-q", "--separate-git-dir", str(top / "dirs/gd"))
    three.git("worktree", "add", "-q", "-b", "work", str(linked.root))
    if how == "relative":
        (three.root / ".git/worktrees/linked/gitdir").write_text("../../../../linked/.git\n")
        return three, linked.root
    return linked, three.root


@pytest.mark.parametrize("how", ["separate", "relative", "superproject"])
@pytest.mark.parametrize("kind", WALLS)
@pytest.mark.sample(2)
def test_a_further_checkout_is_closed(three: Workspace, kind: str, how: str) -> None:
    """Its `bin` is on PATH: of another folder there, an agent would see what is next to it as well."""
    workspace, other = further_checkout(three, how)
    for name in ("bin/tool", "lib/.env"):
        (other / name).parent.mkdir()
        (other / name).write_text(f"{TOKEN}\n")
        (other / name).chmod(0o755)
    workspace.environment["PATH"] = f"{other}/bin:{workspace.environment['PATH']}"
    workspace.edit(
        "tools/agent.sh",
        "fail) echo",
        f'peek) page >"$output"; {{ cat {other}/lib/.env {other}/.git/config; ls {other}/bin; }} >>"$output" || true ;;'
        "\nfail) echo",
    )
    workspace.edit("task.md", "Write a →", "Write a do: peek →")
    workspace.commit("Peek")
    done = workspace.gitbatch("run", "--items", "T101", "--checkpoint", "at-end", "--sandbox", kind, code=0)
    assert f"agents can read of this checkout: {os.path.relpath(other, workspace.root)}/bin\n" in done.stdout
    assert "not recorded" not in done.stdout
    seen = workspace.read("out/letters/a.md")
    assert "\ntool\n" in seen
    assert TOKEN not in seen
    assert "[core]" not in seen


def test_a_main_checkout_that_nothing_names_is_in_the_header(three: Workspace) -> None:
    workspace, _ = further_checkout(three, "separate")
    workspace.root = (three.root.parent / "apart") / "linked"
    workspace.root.parent.mkdir()
    three.git("worktree", "move", str(three.root.parent / "linked"), str(workspace.root))
    for kind, said in (("landlock", 1), ("none", 0)):
        done = workspace.gitbatch("run", "--items", "T101", "--checkpoint", "at-end", "--sandbox", kind)
        assert done.stdout.count(f"the main checkout of {three.root.parent}/dirs/gd is not named") == said
        workspace.gitbatch("abort")
        workspace.git("reset", "-q", "--hard", "HEAD~2")


@pytest.mark.parametrize("kind", WALLS)
def test_a_program_that_is_installed_in_the_checkout_works_and_is_named(three: Workspace, kind: str) -> None:
    three.write(".gitignore", "/.venv\n/node_modules\n/data\n")
    three.commit()
    for name, text in {
        ".venv/bin/agent": '#!/bin/sh\n. "${0%/*}/../lib/agent.sh"\n',
        ".venv/lib/agent.sh": 'cp "$(command -v page.js)" "$1"; cat "${0%/*}/../../data/x" >>"$1"; echo Done.\n',
        "node_modules/page/page.js": "# the page\n",
        "data/x": "the data\n",
        "rules.md": "not for agents\n",
    }.items():
        three.write(name, text)
        (three.root / name).chmod(0o755)
    (three.root / "node_modules/.bin").mkdir()
    (three.root / "node_modules/.bin/page.js").symlink_to("../page/page.js")
    three.environment["PATH"] = (
        f"{three.root}/.venv/bin:{three.root}/node_modules/.bin:{three.environment['PATH']}"
    )
    three.write(
        "gitbatch.toml",
        '[agents.writer]\nkind = "command"\ncommand = ["agent", "{output}"]\n'
        f'needs = ["{three.root}/data"]\n',
    )
    three.commit("An installed agent")
    done = three.gitbatch("run", "--items", "T101", "--checkpoint", "at-end", "--sandbox", kind, code=0)
    assert "  agents can read of this checkout: .venv, data, node_modules\n" in done.stdout
    assert three.read("out/letters/a.md") == "# the page\nthe data\n"


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("bubblewrap", "|| exit 3"),
        ("bubblewrap", "2>/dev/null; true"),
        ("landlock", "|| exit 3"),
        ("none", "|| exit 3"),
    ],
)
def test_strict_and_a_rename_do_not_go_together_and_it_is_said(
    three: Workspace, kind: str, says: str
) -> None:
    three.edit(
        "tools/agent.sh",
        "fail) echo",
        f'move) page >"$output.new" {says}; mv "$output.new" "$output" {says} ;;\nfail) echo',
    )
    three.edit("task.md", "Write a →", "Write a do: move →")
    three.edit("gitbatch.toml", 'timeout = "1m"', 'timeout = "1m"\nstrict = true')
    three.commit()
    options = ("run", "--items", "T101", "--checkpoint", "at-end", "--sandbox", kind)
    said = three.gitbatch(*options, code=0 if kind == "none" else 1).stdout
    head, _, end = said.partition("group 1/1")
    advice = "strict = true lets it write its output in place only"
    assert (f"agent scripted: {advice}" in head) == (kind != "none")
    assert (advice in end) == (kind != "none")


@pytest.mark.parametrize("kind", [*WALLS, "none"])
def test_the_user_s_git_knows_an_agent_s_worktree(three: Workspace, kind: str) -> None:
    three.edit("tools/agent.sh", "fail) echo", 'list) page >"$output"; sleep 30 ;;\nfail) echo')
    three.edit("task.md", "Write a →", "Write a do: list →")
    three.commit()
    process = three.start("run", "--items", "T101", "--checkpoint", "at-end", "--sandbox", kind)
    assert process.stdout
    for line in process.stdout:
        if "start " in line:
            break
    listed = three.git("worktree", "list", "--porcelain")
    assert "branch refs/heads/gitbatch/" in listed
    three.git("worktree", "prune", "--expire=now")
    assert three.git("worktree", "list", "--porcelain") == listed
    process.send_signal(signal.SIGINT)
    process.communicate()
