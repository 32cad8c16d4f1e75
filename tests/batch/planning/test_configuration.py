"""What names programs, hosts, keys and paths outside is fixed when a batch starts; a change waits for the user."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import Workspace, read_run
from history import assert_tidy, audit, ticked

from gitbatch.repo.opening import open_repository
from gitbatch.repo.refs.pinned import PinnedRefs

RUN = ("run", "--items", "all", "--checkpoint", "after-each")
WHOLE = ("run", "--items", "all", "--checkpoint", "at-end")
ADVICE = "review the difference; to accept it: gitbatch run --accept-config\n"


def events(said: str, kind: str) -> list[dict[str, Any]]:
    found, _ = read_run(said)
    return [event for event in found if event["event"] == kind]


def change(workspace: Workspace, tmp_path: Path) -> None:
    """Another program: as the agent, and it leaves a mark."""
    text = workspace.read("tools/agent.sh")
    workspace.write("tools/other.sh", text.replace("set -eu\n", f"set -eu\ntouch {tmp_path}/other-ran\n"))
    workspace.edit("gitbatch.toml", "tools/agent.sh", "tools/other.sh")
    workspace.commit("Another agent")


DIFFERENCE = [
    '- agents.scripted.command = ["sh", "tools/agent.sh", "{output}"]',
    '+ agents.scripted.command = ["sh", "tools/other.sh", "{output}"]',
]


def test_a_resume_by_another_program_waits_for_the_user(paused: Workspace, tmp_path: Path) -> None:
    change(paused, tmp_path)
    before = paused.state()
    done = paused.gitbatch("run", code=3)
    assert "gitbatch.toml names other programs, hosts, keys or paths" in done.stdout
    assert "".join(f"        {line}\n" for line in DIFFERENCE) in done.stdout
    assert done.stderr.endswith(ADVICE)
    assert paused.state() == before
    done = paused.gitbatch("run", "--json", code=3)
    (changed,) = events(done.stdout, "config-changed")
    assert changed["difference"] == DIFFERENCE
    assert done.stderr.endswith(ADVICE)
    assert not (tmp_path / "other-ran").exists()
    paused.gitbatch("run", "--accept-config", code=3)
    assert (tmp_path / "other-ran").exists()
    done = paused.gitbatch("run", code=0)
    assert "config" not in done.stdout, "it was accepted, once and for all"
    assert len(audit(paused).items) == 12
    assert_tidy(paused)


@pytest.mark.parametrize("old", [False, True], ids=["another setting", "a record without a configuration"])
def test_what_may_change_is_not_asked_about(paused: Workspace, tmp_path: Path, *, old: bool) -> None:
    if old:
        (ref,) = paused.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/record").splitlines()
        record = json.loads(paused.git("cat-file", "blob", ref))
        del record["config"]
        (tmp_path / "record").write_text(json.dumps(record), encoding="utf-8")
        paused.git("update-ref", ref, paused.git("hash-object", "-w", str(tmp_path / "record")))
        change(paused, tmp_path)
    else:
        paused.edit("gitbatch.toml", "jobs = 4", "jobs = 2")
        paused.commit()
    done = paused.gitbatch("run", code=3)
    assert "accept" not in done.stdout + done.stderr
    assert len(ticked(paused)) == 8
    paused.edit("gitbatch.toml", 'timeout = "1m"', 'timeout = "2m"')
    paused.commit()
    assert '+ agents.scripted.timeout = "2m"' in paused.gitbatch("run", code=3).stdout


def test_a_folder_for_worktrees_outside_counts_and_a_program_that_is_gone_shows_all(
    paused: Workspace, tmp_path: Path
) -> None:
    paused.edit("gitbatch.toml", "jobs = 4", f'jobs = 4\nworktrees = "{tmp_path}/trees"')
    paused.commit()
    done = paused.gitbatch("run", code=3)
    assert f'+ batch.worktrees = "{tmp_path}/trees"' in done.stdout
    assert not (tmp_path / "trees").exists()
    paused.gitbatch("run", "--accept-config", code=3)
    (ref,) = paused.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/config").splitlines()
    (tmp_path / "unreadable").write_text("[later]\nsetting = 1\n", encoding="utf-8")
    paused.git("update-ref", ref, paused.git("hash-object", "-w", str(tmp_path / "unreadable")))
    done = paused.gitbatch("run", code=3)
    assert '+ agents.scripted.kind = "command"' in done.stdout
    assert "        - " not in done.stdout


def commits_in_mid_run(workspace: Workspace, tmp_path: Path) -> None:
    """Item a's agent, which has no sandbox, commits another program to the branch that the run is on."""
    script = tmp_path / "commit.sh"
    script.write_text(
        f"cd {workspace.root}\n"
        f"sed '/^set -eu/a touch {tmp_path}/other-ran' tools/agent.sh >tools/other.sh\n"
        "sed -i s,tools/agent.sh,tools/other.sh, gitbatch.toml\n"
        "git add tools/other.sh gitbatch.toml\n"
        "git -c user.name=a -c user.email=a@example.org commit -qm mine\n",
        encoding="utf-8",
    )
    reply = "printf '%s\\n' \"{"
    workspace.edit("tools/agent.sh", reply, f"case $output in */a.md) sh {script} ;; esac\n{reply}")
    workspace.commit("An agent that goes too far")


@pytest.mark.parametrize("option", [(), ("--accept-config",)], ids=["", "accepted before"])
@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_a_change_in_mid_run_ends_the_run_after_its_group(
    three: Workspace, tmp_path: Path, option: tuple[str, ...]
) -> None:
    commits_in_mid_run(three, tmp_path)
    done = three.gitbatch(*WHOLE, "--json", *option, code=3)
    (changed,) = events(done.stdout, "config-changed")
    assert changed["difference"] == DIFFERENCE
    assert len(events(done.stdout, "checkpoint")) == 1
    assert done.stderr.endswith(ADVICE)
    assert ticked(three) == ["T101", "T102", "T103", "T104"]
    assert not (tmp_path / "other-ran").exists()
    three.gitbatch("run", code=3)
    assert not (tmp_path / "other-ran").exists()
    three.edit("gitbatch.toml", "tools/other.sh", "tools/agent.sh")
    three.commit("Back")
    three.gitbatch("run", code=0)
    assert not (tmp_path / "other-ran").exists()
    assert len(audit(three).items) == 12
    assert_tidy(three)


FORGERIES = {
    "config": 'git update-ref "$batch/config" "$(git hash-object -w gitbatch.toml)"',
    "record": 'git update-ref "$batch/record" "$( (git cat-file blob "$batch/record"; echo) | git hash-object -w --stdin)"',
    "limits": 'git update-ref "$batch/limits" "$(echo \'{"max_cost": 9.0}\' | git hash-object -w --stdin)"',
    "base": 'git update-ref -d "$batch/base"',
}


@pytest.mark.parametrize("ref", FORGERIES)
@pytest.mark.sample(2)
@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_a_forged_acceptance_stops_the_run_and_is_taken_back(
    three: Workspace, tmp_path: Path, ref: str
) -> None:
    """The agent of an item, which has no sandbox, accepts its own change of the configuration."""
    commits_in_mid_run(three, tmp_path)
    with (tmp_path / "commit.sh").open("a", encoding="utf-8") as script:
        names = "git for-each-ref --format='%(refname)' 'refs/gitbatch/*/record'"
        script.write(f"batch=$({names}); batch=${{batch%/record}}\n{FORGERIES[ref]}\n")
    done = three.gitbatch(*WHOLE, code=1)
    (record,) = three.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/record").splitlines()
    assert f"another process changed {record.removesuffix('record')}{ref}" in done.stderr
    assert "the old values are restored" in done.stderr
    assert ticked(three) == []
    done = three.gitbatch("run", code=3)
    assert done.stderr.endswith(ADVICE)
    assert not (tmp_path / "other-ran").exists()
    three.edit("gitbatch.toml", "tools/other.sh", "tools/agent.sh")
    three.edit("tools/agent.sh", f"sh {tmp_path}/commit.sh", ":")
    three.commit("Back")
    three.gitbatch("run", code=0)
    assert not (tmp_path / "other-ran").exists()


def test_what_is_accepted_in_mid_run_is_expected(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pinned value of the accepted configuration changes with it."""
    for name, value in three.environment.items():
        monkeypatch.setenv(name, value)
    with closing(open_repository(three.root)) as repo:
        oid = repo.refs.commit("HEAD") or ""
        pinned = PinnedRefs.read(repo.refs, ("refs/gitbatch/b/config", "refs/gitbatch/b/base"))
        assert pinned.find_changed(repo.refs) == ()
        repo.refs.point("refs/gitbatch/b/config", oid)
        assert pinned.find_changed(repo.refs) == ("refs/gitbatch/b/config",)
        pinned.values["refs/gitbatch/b/config"] = oid
        assert pinned.find_changed(repo.refs) == ()
        pinned.values["refs/gitbatch/b/config"] = None
        pinned.restore(repo.refs)
        assert repo.refs.read("refs/gitbatch/b/config") is None


@pytest.mark.parametrize("option", [(), ("--accept-config",)], ids=["", "accepted"])
def test_a_configuration_without_the_agent_is_refused(paused: Workspace, option: tuple[str, ...]) -> None:
    paused.write("gitbatch.toml", "[batch]\njobs = 1\n")
    paused.commit("Without agents")
    before = paused.state()
    for remove in (False, True):
        if remove:
            paused.git("rm", "-q", "gitbatch.toml")
            paused.git("commit", "-qm", "No configuration")
            before = paused.state()
        done = paused.gitbatch("run", *option, code=2)
        assert "wants agent scripted, which is not configured" in done.stderr
        assert "add it to gitbatch.toml, and commit that" in done.stderr
        assert paused.state() == before
    paused.git("checkout", "-q", "HEAD~2", "--", "gitbatch.toml")
    paused.commit("Back")
    paused.gitbatch("run", code=3)
    assert len(audit(paused).items) == 8


@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_a_configuration_without_the_agent_in_mid_run_ends_the_run(three: Workspace, tmp_path: Path) -> None:
    commits_in_mid_run(three, tmp_path)
    (tmp_path / "commit.sh").write_text(
        f"cd {three.root}\ngit rm -q gitbatch.toml\n"
        "git -c user.name=a -c user.email=a@example.org commit -qm mine\n",
        encoding="utf-8",
    )
    done = three.gitbatch(*WHOLE, code=2)
    assert "wants agent scripted, which is not configured" in done.stderr
    assert ticked(three) == ["T101", "T102", "T103", "T104"]
