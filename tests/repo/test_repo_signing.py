"""A program that signs and does not answer is reported, then ended with all that it has started."""

import os
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace
from waiting import wait_until

from gitbatch.repo.objects.codec import Ident
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.patience import Patience, end_session
from gitbatch.repo.repository import Repository
from gitbatch.repo.settings import Setting
from gitbatch.repo.signing import Signer, SigningError, UnansweredSigningError, find_signer

WHO = Ident("Test User", "user@example.org", 0)


def signer(program: Path, script: str, patience: Patience) -> Signer:
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    return Signer((f"gpg.program={program}",), "key", str(program), patience=patience)


def wait_until_gone(pid: int) -> None:
    stat = Path(f"/proc/{pid}/stat")
    with suppress(OSError):
        wait_until(
            lambda: stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z", f"the end of {pid}"
        )


@pytest.fixture
def objects(repo: Repository) -> Objects:
    return repo.objects


def test_what_is_waited_for_is_said_once_and_the_answer_is_taken(
    repo: Repository, objects: Objects, tmp_path: Path
) -> None:
    said: list[str] = []
    script = f'while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; cat >/dev/null; echo "[GNUPG:] SIG_CREATED " >&2; echo sig'
    slow = signer(tmp_path / "signer", script, Patience(notice=0.01))

    def tell(text: str) -> None:
        said.append(text)
        (tmp_path / "go").touch()

    objects.signer = slow
    objects.wait_for_signer(60, tell)
    tree = objects.read_commit(repo.refs.commit("HEAD") or "").tree
    made = objects.write_commit(tree, (), "A message\n", WHO, WHO)
    assert b"gpgsig sig" in repo.git.run("cat-file", "commit", made).stdout
    assert said == [
        f"waiting for {tmp_path}/signer to sign a commit, at most 60 s: does the key have to be touched or unlocked?"
    ]


def test_without_an_answer_it_is_ended_and_not_asked_for_the_next_item(
    repo: Repository, objects: Objects, tmp_path: Path
) -> None:
    script = f"echo x >>{tmp_path}/asked; sleep 600 & echo $! >{tmp_path}/pid; mv {tmp_path}/pid {tmp_path}/child; wait"
    child = tmp_path / "child"

    def until_it_runs() -> None:
        wait_until(child.exists, "the signer's child")

    patience = Patience(notice=0.01, limit=1, tell=until_it_runs)
    objects.signer = signer(tmp_path / "signer", script, patience)
    tree = objects.read_commit(repo.refs.commit("HEAD") or "").tree
    parts = (tree, (), "A message\n", WHO, WHO)
    first = objects.write_signed_if_possible(*parts)
    assert objects.write_signed_if_possible(*parts) == first
    assert (tmp_path / "asked").read_text(encoding="utf-8") == "x\n"
    wait_until_gone(int(child.read_text(encoding="utf-8")))
    with pytest.raises(UnansweredSigningError, match=r"signer did not answer within 1 s"):
        objects.write_commit(*parts)


def test_a_limit_below_the_time_of_the_notice_holds(
    repo: Repository, objects: Objects, tmp_path: Path
) -> None:
    said: list[str] = []
    objects.signer = signer(tmp_path / "signer", "sleep 600", Patience(notice=60))
    objects.wait_for_signer(0.01, said.append)
    tree = objects.read_commit(repo.refs.commit("HEAD") or "").tree
    with pytest.raises(UnansweredSigningError):
        objects.write_commit(tree, (), "A message\n", WHO, WHO)
    assert said == []


def test_one_that_fails_is_asked_again(repo: Repository, objects: Objects, tmp_path: Path) -> None:
    objects.signer = signer(tmp_path / "signer", f"echo x >>{tmp_path}/asked; exit 1", Patience())
    tree = objects.read_commit(repo.refs.commit("HEAD") or "").tree
    parts = (tree, (), "A message\n", WHO, WHO)
    for _ in range(2):
        objects.write_signed_if_possible(*parts)
    assert len((tmp_path / "asked").read_text(encoding="utf-8").split()) == 2
    with pytest.raises(SigningError):
        replace(objects.signer, unused=()).require_usable(repo.git)


def test_what_was_killed_is_reaped(repo: Repository, objects: Objects, tmp_path: Path) -> None:
    """Also where the first process of a container reaps nothing: no process of the session is left, not even defunct."""
    stop = threading.Event()
    script = f"sleep 600 & echo $! $$ >{tmp_path}/made; mv {tmp_path}/made {tmp_path}/pids; wait"

    def until_it_runs() -> None:
        wait_until((tmp_path / "pids").exists, "the signer and its child")
        stop.set()

    objects.signer = signer(
        tmp_path / "signer", script, Patience(notice=0.01, limit=600, tell=until_it_runs, stop=stop)
    )
    tree = objects.read_commit(repo.refs.commit("HEAD") or "").tree
    with pytest.raises(UnansweredSigningError):
        objects.write_commit(tree, (), "A message\n", WHO, WHO)
    for pid in (tmp_path / "pids").read_text(encoding="utf-8").split():
        assert not Path(f"/proc/{pid}").exists()


def test_session_that_ended_on_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    """There, a group cannot be signalled if all its processes have ended and were not reaped yet."""
    process = subprocess.Popen(["true"], stdin=subprocess.PIPE, start_new_session=True)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    def refuse(_group: int, _number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "killpg", refuse)
    end_session(process)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("more", "program"),
    [
        ({}, "/x/keys --all (gpg.ssh.defaultKeyCommand) or ssh-keygen"),
        ({"user.signingkey": "k"}, "ssh-keygen"),
        ({"gpg.format": "openpgp"}, "gpg"),
    ],
)
def test_the_programs_that_may_be_waited_for_are_named(more: dict[str, str], program: str) -> None:
    settings = {"commit.gpgsign": "true", "gpg.format": "ssh", "gpg.ssh.defaultkeycommand": "/x/keys --all"}
    found = find_signer(
        tuple(Setting("global", *setting) for setting in (settings | more).items()), "A <a@b>"
    )
    assert found
    assert found.program == program


def test_a_wait_can_be_stopped(repo: Repository, objects: Objects, tmp_path: Path) -> None:
    objects.signer = signer(tmp_path / "signer", f"touch {tmp_path}/runs; sleep 600", Patience(notice=600))
    objects.wait_for_signer(600, lambda _: None)
    tree = objects.read_commit(repo.refs.commit("HEAD") or "").tree
    ended: list[BaseException] = []

    def sign() -> None:
        try:
            objects.write_commit(tree, (), "A message\n", WHO, WHO)
        except UnansweredSigningError as error:
            ended.append(error)

    thread = threading.Thread(target=sign)
    thread.start()
    wait_until((tmp_path / "runs").exists, "the signer's start")
    objects.stop_signing()
    thread.join()
    assert len(ended) == 1
