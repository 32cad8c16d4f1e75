"""`gitbatch worker --check`, and what the command refuses."""

import json
import os

import pytest
from conftest import Here, Workspace

from gitbatch.batch.executor.messages import PROTOCOL
from gitbatch.sandbox.model import SandboxKind, Unavailable


def test_check_shows_what_the_machine_has(workspace: Workspace, here: Here) -> None:
    folder = workspace.home / "w"
    spool = folder / "spool/0123456789abcdef"
    spool.mkdir(parents=True)
    (spool / ("ab" * 16)).touch()
    options = ("worker", "--check", "--folder", str(folder), "--name", "w1", "--sandbox", "none")
    code, said, _ = here(*options, "--json")
    found = json.loads(said)["worker"]
    assert code == 0
    assert (found["host"], found["protocol"], found["spooled"]) == ("w1", PROTOCOL, 1)
    assert {check["name"]: check["found"] for check in found["checks"]}["sandbox"] == "none"
    assert 'network = "api" is not possible (no sandbox)' in said.replace('\\"', '"')
    code, said, _ = here(*options)
    assert code == 0
    assert "(1 result waiting)" in said


def test_check_says_what_is_missing(workspace: Workspace, here: Here) -> None:
    code, said, _ = here("worker", "--check", "--folder", str(workspace.home / "w"), "--sandbox", "seatbelt")
    assert code == 1
    assert "missing: cannot use the sandbox: seatbelt" in said
    assert "gitbatch help deployments" in said
    assert "sandbox =" not in said  # that is a setting of the run, and not of a worker
    assert "worktrees" not in said


def test_check_says_why_no_sandbox_works(
    workspace: Workspace, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "gitbatch.sandbox.selection._FINDERS",
        dict.fromkeys(SandboxKind, lambda: Unavailable("not in this container")),
    )
    options = ("worker", "--check", "--folder", str(workspace.home / "w"))
    code, said, _ = here(*options)
    assert code == 1
    assert "bubblewrap: not in this container\n" in said
    assert "landlock: not in this container\n" in said
    code, said, _ = here(*options, "--json")
    assert code == 1
    found = json.loads(said)
    assert found["ok"] is False
    assert found["error"]["message"] == "sandbox: no sandbox for agents works here"
    assert "gitbatch help deployments" in found["error"]["advice"]
    (sandbox,) = [check for check in found["worker"]["checks"] if check["problem"]]
    assert sandbox["details"].splitlines()[1] == "landlock: not in this container"


@pytest.mark.parametrize("options", [(), ("--stdio", "--check")])
def test_worker_is_told_what_to_do(here: Here, options: tuple[str, ...]) -> None:
    code, _, said = here("worker", *options)
    assert code == 2
    assert "use --stdio (a run starts it so), --connect URL, or --check" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--connect", "head:8786"), "--connect: 'head:8786' is not an address"),
        (("--connect", "tcp://head:8786"), "not encrypted"),
        (("--connect", "tls://head:8786", "--tls-ca", "/a"), "GITBATCH_TLS_CERT is not set"),
        (("--connect", "tls://head:8786"), "add --tls-ca, --tls-cert and --tls-key"),
        (("--connect", "tcp://127.0.0.1:1", "--listen", "8790"), "is not HOST:PORT"),
        (("--connect", "tcp://127.0.0.1:1", "--listen", "0.0.0.0:8790"), "reached from other machines"),
        (("--connect", "tcp://127.0.0.1:1", "--stdio"), "name what the worker is to do"),
        (("--stdio", "--listen", "127.0.0.1:1"), "with --connect only"),
    ],
)
def test_options_of_a_cluster_are_checked_first(here: Here, options: tuple[str, ...], words: str) -> None:
    code, _, said = here("worker", *options)
    assert code == 2
    assert words in said


def test_check_says_that_a_cluster_cannot_be_reached(workspace: Workspace, here: Here) -> None:
    options = ("--connect", "tcp://127.0.0.1:1", "--sandbox", "none")
    code, said, _ = here("worker", "--check", "--folder", str(workspace.home / "w"), *options)
    assert code == 1
    assert "tcp://127.0.0.1:1: Connection refused" in said


def test_worker_needs_a_connection(here: Here) -> None:
    """With /dev/null, as a container has it without -i, it would wait forever."""
    null = os.open(os.devnull, os.O_RDONLY)
    before = os.dup(0)
    try:
        os.dup2(null, 0)
        code, _, said = here("worker", "--stdio")
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(null)
    assert code == 2
    assert "standard input is not a connection to a run" in said


def test_worker_is_not_started_by_hand(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    code, _, said = here("worker", "--stdio")
    assert code == 2
    assert "gitbatch worker --check" in said
