"""Files that a worktree has here and a worker does not: of Git LFS, and in submodules. It is said, and agents are told."""

import pytest
from batch.executor.scripted_workers import (
    ScriptedChannel,
    ScriptedLink,
    give_output,
    name_executor,
    run_with,
)
from batch.executor.test_remote_runs import notes
from batch.programs import set_up
from conftest import Workspace

from gitbatch.batch.executor.messages import ItemJob

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 12\n"


@pytest.mark.parametrize("checkout", ["full", "context"])
def test_pointers_and_empty_submodules_are_named(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, checkout: str
) -> None:
    set_up(workspace, "ok", "ok", batch=f'checkout = "{checkout}"')
    workspace.edit("task.md", "out/T1.md", "out/T1.md (context: large.bin)")
    workspace.write(".gitattributes", "*.bin filter=lfs -text\n")
    workspace.write("large.bin", POINTER)
    workspace.write(".gitmodules", '[submodule "m"]\n\tpath = m\n\turl = ../m\n')
    name_executor(workspace)
    (workspace.root / ".git/lfs/objects").mkdir(parents=True)
    prompts: list[str] = []

    async def keep_prompt(channel: ScriptedChannel, job: ItemJob) -> None:
        prompts.append(job.assignment.prompt)
        channel.tell(*give_output(job))

    result, events = run_with(workspace, monkeypatch, ScriptedLink(keep_prompt))
    assert result.succeeded == 2
    assert notes(events).count("files of Git LFS are pointers at workers") == (checkout == "full")
    assert notes(events).count("submodules are empty folders at workers") == (checkout == "full")
    assert any("a Git LFS pointer, not the content" in prompt for prompt in prompts), prompts
