"""Whoever signs their commits gets signed ones: all of ours, by git's own verification; or one clear error before the start."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Workspace
from history import assert_tidy, audit

GROUP = ("run", "--items", "group:1", "--checkpoint", "at-end")


def user_setting(workspace: Workspace, *setting: str) -> None:
    """A setting in the user's own configuration."""
    config = workspace.home / "gitconfig"
    workspace.environment["GIT_CONFIG_GLOBAL"] = str(config)
    workspace.git("config", "--file", str(config), *setting)


def make_key(workspace: Workspace, passphrase: str = "") -> Path:
    if not shutil.which("ssh-keygen"):
        pytest.skip("no ssh-keygen")
    key = workspace.home / "id_ed25519"
    command = [
        "ssh-keygen",
        "-q",
        "-t",
        "ed25519",
        "-N",
        passphrase,
        "-C",
        "user@example.org",
        "-f",
        str(key),
    ]
    subprocess.run(command, check=True)
    public = key.with_suffix(".pub").read_text(encoding="utf-8")
    (workspace.home / "allowed").write_text(f"user@example.org {public}", encoding="utf-8")
    return key


@pytest.fixture
def signing(three: Workspace) -> Workspace:
    """A user who signs with an ssh key."""
    key = make_key(three)
    user_setting(three, "commit.gpgsign", "true")
    user_setting(three, "gpg.format", "ssh")
    user_setting(three, "user.signingkey", f"{key}.pub")
    user_setting(three, "gpg.ssh.allowedSignersFile", str(three.home / "allowed"))
    return three


def signatures(workspace: Workspace) -> list[str]:
    """What git says of the signature of each of our commits: G good, N none."""
    return workspace.git("log", "--format=%G?", "--grep", "Gitbatch-Batch", "HEAD").splitlines()


def test_every_commit_of_ours_is_signed_with_ssh(signing: Workspace) -> None:
    signing.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=0)
    assert signatures(signing) == ["G"] * 18
    for commit in signing.git("rev-list", "HEAD~2..HEAD").splitlines():
        signing.git("verify-commit", commit)
    story = audit(signing)
    assert (len(story.items), len(story.checkpoints)) == (12, 3)
    assert "agent@gitbatch.invalid Test User user@example.org" in signing.git(
        "log", "-1", "--format=%ae %cn %ce", story.items[0]
    )
    signing.gitbatch("verify", code=0)
    assert_tidy(signing)


def test_nothing_is_signed_for_a_gate_alone(signing: Workspace) -> None:
    program = signing.home / "counting"
    program.write_text(
        f'#!/bin/sh\necho "$2" >>{signing.home}/signed\nexec ssh-keygen "$@"\n', encoding="utf-8"
    )
    program.chmod(0o755)
    user_setting(signing, "gpg.ssh.program", str(program))
    config = signing.read("gitbatch.toml")
    gate = '\n[gates.one]\ncommand = ["sh", "-c", "test ! -e out/letters/c.md"]\nsandbox = "none"\n'
    signing.write("gitbatch.toml", config + gate)
    signing.git("commit", "-qam", "A gate")
    signing.gitbatch(*GROUP, code=1)
    assert signatures(signing) == ["G"] * 5
    signed = (signing.home / "signed").read_text(encoding="utf-8").splitlines().count("sign")
    assert signed == 2 + 4 + 2, "two trials, the items, the merge and the checkpoint"


def test_an_item_commit_says_the_same_with_a_signature(signing: Workspace) -> None:
    signing.gitbatch(*GROUP, code=0)
    head, _, message = signing.git("cat-file", "commit", "HEAD^^2").partition("\n\n")
    assert [line.split(" ")[0] for line in head.splitlines()[:5]] == [
        "tree",
        "parent",
        "author",
        "committer",
        "gpgsig",
    ]
    assert "\nencoding " not in head
    assert message.startswith("T101 Write a\n\nWrote out/letters/a.md.")
    assert head.splitlines()[2].startswith("author scripted (gitbatch agent) <agent@gitbatch.invalid> ")


@pytest.fixture
def gpg_home(three: Workspace) -> Iterator[Path]:
    if not shutil.which("gpg"):
        pytest.skip("no gpg")
    home = Path(tempfile.mkdtemp(prefix="gpg"))  # its socket's path has a limit
    three.environment["GNUPGHOME"] = str(home)
    make = (
        "--batch",
        "--passphrase",
        "",
        "--quick-generate-key",
        "Test User <user@example.org>",
        "ed25519",
        "sign",
        "never",
    )
    done = subprocess.run(["gpg", *make], env=three.environment, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("gpg makes no key here")
    yield home
    subprocess.run(["gpgconf", "--kill", "gpg-agent"], env=three.environment, check=False)
    shutil.rmtree(home, ignore_errors=True)


def test_every_commit_of_ours_is_signed_with_gpg(three: Workspace, gpg_home: Path) -> None:
    assert gpg_home.exists()
    user_setting(three, "commit.gpgsign", "yes")  # no key is named: gpg finds it by the committer
    three.gitbatch(*GROUP, code=0)
    assert signatures(three) == ["G"] * 6
    three.git("verify-commit", "HEAD")


def test_who_does_not_sign_is_asked_for_no_key(three: Workspace) -> None:
    user_setting(three, "gpg.program", "/nonexistent")
    user_setting(three, "user.signingkey", "nobody's")
    three.gitbatch(*GROUP, code=0)
    assert signatures(three) == ["N"] * 6


@pytest.mark.parametrize("broken", ["passphrase", "no key", "no program"])
def test_a_key_that_can_not_sign_is_one_error_before_anything_starts(three: Workspace, broken: str) -> None:
    key = make_key(three, passphrase="secret" * (broken == "passphrase"))
    user_setting(three, "commit.gpgsign", "true")
    user_setting(three, "gpg.format", "ssh")
    if broken != "no key":
        user_setting(three, "user.signingkey", str(key))
    if broken == "no program":
        user_setting(three, "gpg.ssh.program", "/nonexistent")
    before = three.state()
    done = three.gitbatch(*GROUP, code=1, SSH_ASKPASS="/nonexistent", DISPLAY=":9")
    assert "commit.gpgsign is set, and a commit cannot be signed: " in done.stderr
    assert "without signatures: git -c commit.gpgsign=false batch run" in done.stderr
    assert three.state() == before
    three.gitbatch(
        *GROUP, code=0, GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="commit.gpgsign", GIT_CONFIG_VALUE_0="false"
    )
    assert set(signatures(three)) == {"N"}


def test_a_key_that_goes_away_in_mid_run_costs_nothing(signing: Workspace) -> None:
    signing.edit("task.md", "Write a →", "Write a do: take →")
    signing.edit(
        "tools/agent.sh",
        "fail) echo",
        'take) page >"$output"; mv "$HOME/id_ed25519" "$HOME/away" ;;\nfail) echo',
    )
    signing.git("-c", "commit.gpgsign=false", "commit", "-qam", "change")
    signing.edit("gitbatch.toml", "jobs = 4", "jobs = 1")
    signing.git("-c", "commit.gpgsign=false", "commit", "-qam", "change")
    before = signing.git("rev-parse", "HEAD")
    done = signing.gitbatch(*GROUP, code=1)
    assert "a commit cannot be signed" in done.stderr
    assert done.stdout.count("succeeded") == 4
    assert signing.git("rev-parse", "HEAD") == before
    assert "a commit cannot be signed" in signing.gitbatch("run", code=1).stderr
    (signing.home / "away").rename(signing.home / "id_ed25519")
    assert "0 to run, 4 done before" in signing.gitbatch("run", code=0).stdout
    assert signatures(signing) == ["G"] * 6
    assert len(audit(signing).items) == 4
    assert_tidy(signing)


def test_the_repository_does_not_choose_the_program_that_signs(signing: Workspace) -> None:
    trap = signing.home / "trap"
    trap.write_text(f'#!/bin/sh\ntouch {signing.home}/caught\nexec ssh-keygen "$@"\n', encoding="utf-8")
    trap.chmod(0o755)
    signing.git("config", "gpg.ssh.program", str(trap))
    signing.git("config", "gpg.ssh.defaultKeyCommand", str(trap))
    signing.gitbatch(*GROUP, code=0)
    assert not (signing.home / "caught").exists()
    signing.git("config", "--unset", "gpg.ssh.program")
    assert signatures(signing) == ["G"] * 6
    user_setting(signing, "gpg.ssh.program", str(trap))
    signing.gitbatch("run", "--items", "group:2", "--checkpoint", "at-end", code=0)
    assert (signing.home / "caught").exists(), "the user may"


@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_an_agent_that_changes_how_the_user_signs_gets_nothing_signed_its_way(signing: Workspace) -> None:
    trap = signing.home / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {signing.home}/caught\n", encoding="utf-8")
    trap.chmod(0o755)
    signing.edit("task.md", "Write a →", "Write a do: take →")
    signing.edit(
        "tools/agent.sh",
        "fail) echo",
        'take) page >"$output"; for k in gpg.ssh.program gpg.program gpg.ssh.defaultKeyCommand; do '
        f'git -C "{signing.root}" config $k "$HOME/trap"; done; git -C "{signing.root}" config gpg.format openpgp ;;\nfail) echo',
    )
    signing.git("commit", "-qam", "change")
    done = signing.gitbatch(*GROUP, code=1)
    assert "while agents ran, config changed" in done.stderr
    assert not (signing.home / "caught").exists()


def hanging_program(workspace: Workspace) -> None:
    """A program of the user's that signs as long as there is no file `hang` in their home folder."""
    script = f'#!/bin/sh\n[ ! -e {workspace.home}/hang ] || sleep 600\nexec ssh-keygen "$@"\n'
    program = workspace.home / "signer"
    program.write_text(script, encoding="utf-8")
    program.chmod(0o755)
    user_setting(workspace, "gpg.ssh.program", str(program))
    workspace.edit("gitbatch.toml", "jobs = 4", 'jobs = 4\nsign-timeout = "3s"')


def test_a_program_that_never_answers_is_an_error_before_anything_starts(signing: Workspace) -> None:
    hanging_program(signing)
    signing.commit()
    (signing.home / "hang").touch()
    before = signing.state()
    done = signing.gitbatch(*GROUP, code=1)
    assert f"a commit cannot be signed: {signing.home}/signer did not answer within 3 s\n" in done.stderr
    assert "sign-timeout under [batch]" in done.stderr
    assert signing.state() == before
    (signing.home / "hang").unlink()
    signing.gitbatch(*GROUP, code=0)


def test_a_program_that_stops_answering_in_mid_run_costs_nothing(signing: Workspace) -> None:
    hanging_program(signing)
    signing.edit("task.md", "Write a →", "Write a do: take →")
    signing.edit("tools/agent.sh", "fail) echo", 'take) page >"$output"; touch "$HOME/hang" ;;\nfail) echo')
    signing.commit()
    before = signing.git("rev-parse", "HEAD")
    done = signing.gitbatch(*GROUP, code=1)
    assert "did not answer within 3 s" in done.stderr
    assert done.stdout.count("succeeded") == 4
    assert signing.git("rev-parse", "HEAD") == before
    (signing.home / "hang").unlink()
    assert "0 to run, 4 done before" in signing.gitbatch("run", code=0).stdout
    assert signatures(signing)[:6] == ["G"] * 6
    assert_tidy(signing)


@pytest.mark.parametrize("scope", ["--local", "--worktree"])
def test_a_program_of_the_repositorys_own_that_is_not_used_is_named(signing: Workspace, scope: str) -> None:
    user_setting(signing, "--unset", "user.signingkey")
    signing.git("config", "extensions.worktreeConfig", "true")
    signing.git("config", scope, "gpg.ssh.defaultKeyCommand", "my keys --first")
    signing.git("config", scope, "gpg.program", "/of/another/kind")
    done = signing.gitbatch(*GROUP, code=1)
    assert " (gpg.ssh.defaultkeycommand of this repository's own configuration is not used)\n" in done.stderr
    assert "git config --global gpg.ssh.defaultkeycommand 'my keys --first'" in done.stderr
    assert "gpg.program" not in done.stderr
