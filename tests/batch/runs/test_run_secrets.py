"""A key that an agent was given and gives away by mistake gets into nothing that is kept."""

import subprocess

import pytest
from batch.programs import prompt, run, set_up, starts
from conftest import Workspace
from history import assert_tidy, audit, trailers

from gitbatch.errors import GitError
from gitbatch.repo.repository import Repository
from gitbatch.repo.search import holds_any

KEY = "sk-Ab3x9zz-QQ77rr"
SHORT = "none"


def kept(workspace: Workspace) -> str:
    """All that is kept of a batch: every object of the repository that a ref reaches, its log, what was shown."""
    listed = workspace.git("rev-list", "--all", "--objects", "--no-object-names")
    objects = subprocess.run(
        ["git", "cat-file", "--batch"],
        cwd=workspace.root,
        env=workspace.environment,
        input=listed.encode(),
        capture_output=True,
        check=True,
    ).stdout
    logs = "".join(path.read_text() for path in (workspace.root / ".git/gitbatch").rglob("*.jsonl"))
    assert "item-finished" in logs
    return objects.decode(errors="replace") + logs


def keyed(
    workspace: Workspace, *scripts: str, table: str = 'pass-env = ["MY_KEY", "SHORT"]', **words: str
) -> None:
    """Items whose agent has a key; each does what its script says, and what `words` say of later starts."""
    set_up(
        workspace, *(f"s{number} {words.get('then', 'ok')}" for number, _ in enumerate(scripts)), agent=table
    )
    cases = "".join(f"s{number}) {script} ;;\n" for number, script in enumerate(scripts))
    workspace.edit("agent.sh", "paid) page", f"{cases}paid) page")
    workspace.commit("Agents")
    workspace.environment |= {"MY_KEY": KEY, "SHORT": SHORT, "OTHER": "in no table at all"}


def test_a_key_is_in_no_text_that_is_kept(workspace: Workspace) -> None:
    reply = (
        '"summary": "The key is $MY_KEY. It is short.", "decisions": ["use $MY_KEY"], '
        '"contributions": [{"artifact": "$MY_KEY", "text": "$MY_KEY"}], "usage": {"model": "m-$MY_KEY"}'
    )
    escaped = reply.replace('"', '\\"')
    keyed(
        workspace,
        f'page; echo "{{{escaped}}}" >"$GITBATCH_REPLY"; echo "$MY_KEY" >>"$GITBATCH_PROGRESS"; touch "x-$MY_KEY"',
        'echo "bad key $MY_KEY" >&2; exit 3',
        'page; echo "I used $MY_KEY."; echo "$MY_KEY" >&2',
        'i=0; while [ $i -lt 59 ]; do printf "0123456789"; i=$((i + 1)); done >&2; echo "$MY_KEY" >&2; exit 3',
    )
    told = run(workspace)
    whole = kept(workspace) + told.stderr + str(told.events)
    for number in range(1, len(KEY) - 7):
        assert KEY[:-number] not in whole, "nor a part of it, where a long line was cut"
    assert "m-[value of MY_KEY]" in whole
    assert "x-[value of MY_KEY]" in whole
    assert "The last attempt failed: bad key [value of MY_KEY] (exit 3)\n" in prompt(workspace, "T2", 2)
    assert told.outcome("T1")["reply"]["summary"] == "The key is [value of MY_KEY]. It is short."
    assert told.outcome("T3")["reply"]["summary"] == "I used [value of MY_KEY]."
    audit(workspace)


def test_an_output_that_holds_a_key_is_refused_by_name(workspace: Workspace) -> None:
    keyed(workspace, 'page; printf "a\\0b $MY_KEY c" >>"$GITBATCH_OUTPUT"; say', "page; say")
    told = run(workspace)
    (failed,) = told.of("attempt-failed")
    assert failed["outcome"]["status"] == "refused"
    assert failed["outcome"]["cause"] == "contains-secret"
    assert failed["outcome"]["reason"] == "the output holds the value of MY_KEY"
    assert "Never write the value of a key into your file" in prompt(workspace, "T1", 2)
    assert KEY not in kept(workspace) + str(told.events)
    assert trailers(workspace, "main^^2", "Attempt") == ["2"]
    assert_tidy(workspace)


def test_an_output_that_holds_a_key_is_not_rescued(workspace: Workspace) -> None:
    keyed(workspace, 'page; echo "$MY_KEY" >>"$GITBATCH_OUTPUT"; exit 3', "page; exit 3")
    workspace.edit("task.md", "do: s1 ok", "do: s1 s1 s1")
    workspace.commit("Fails for good")
    told = run(workspace, code=1)
    assert told.outcome("T1")["status"] == "succeeded", "at its second start"
    assert KEY not in kept(workspace) + str(told.events)
    assert [
        ref.rpartition("/")[2]
        for ref in workspace.git("for-each-ref", "--format=%(refname)").splitlines()
        if "/rescue/" in ref
    ] == ["1-t2-3"]


def test_what_is_short_or_said_to_be_public_is_not_secret(workspace: Workspace) -> None:
    keyed(
        workspace,
        'page; echo "$MY_KEY $SHORT" >>"$GITBATCH_OUTPUT"; echo "Used $MY_KEY and $SHORT."',
        table='pass-env = ["SHORT"]\npublic-env = ["MY_KEY"]',
    )
    assert run(workspace).outcome("T1")["reply"]["summary"] == f"Used {KEY} and {SHORT}."
    assert starts(workspace, "T1") == 1


def test_a_key_of_another_agent_is_secret_too(workspace: Workspace) -> None:
    keyed(
        workspace,
        f'page; echo "{KEY}" >>"$GITBATCH_OUTPUT"; say',
        table='[agents.claude]\nkind = "anthropic"\napi-key-env = "MY_KEY"',
    )
    toml = workspace.read("gitbatch.toml").replace("[batch]", '[batch]\nagent = "told"')
    workspace.write("gitbatch.toml", toml)
    workspace.commit("Which one")
    (failed,) = run(workspace).of("attempt-failed")
    assert failed["outcome"]["reason"] == "the output holds the value of MY_KEY"


def test_git_says_whether_a_blob_holds_a_text(repo: Repository) -> None:
    content = b"first\r\n\xff\x00 " + KEY.encode() + b" [x].*\n"
    blob = repo.objects.write_blob(content)
    repo.objects.writer.flush()
    assert holds_any(repo.git, blob, ("nothing", KEY))
    assert holds_any(repo.git, blob, ("[x].*",))
    assert not holds_any(repo.git, blob, ("[y].*", KEY.lower(), f"{KEY}x"))
    assert holds_any(repo.git, blob, ("\udcff",))
    with pytest.raises(GitError):
        holds_any(repo.git, "0" * 39 + "1", ("x",))
