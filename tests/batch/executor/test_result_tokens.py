"""Results that a killed run has left at workers: the next run of the repository says which of them they may remove."""

import pytest
from agents.test_protocol import ASSIGNMENT
from batch.executor.scripted_workers import (
    HELLO,
    ScriptedChannel,
    ScriptedLink,
    give_output,
    name_executor,
    run_with,
)
from batch.executor.test_executor_messages import SETUP
from batch.programs import set_up
from conftest import Workspace
from msgspec.structs import replace

from gitbatch.batch.executor.messages import CancelJob, ForgetJobs, ItemJob, JobResult, SentFailure
from gitbatch.batch.executor.pool_members import PoolMembers
from gitbatch.batch.executor.result_tokens import OldResults, find_old_results, make_token
from gitbatch.limits.causes import Cause

OTHER = "f" * 32


def removed(link: ScriptedLink) -> list[str]:
    """The results that a worker may remove, by what answers its last greeting."""
    said = link.channels[-1].said[:2]
    return sorted(token for each in said if isinstance(each, ForgetJobs) for token in each.tokens)


def test_next_run_removes_what_is_in_git_from_the_spools(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First of the items that are done, then of all of a batch that has ended; what is unknown stays."""
    set_up(workspace, "ok", "ok")
    name_executor(workspace)
    tokens: dict[str, str] = {}

    async def lack_credit_for_second(channel: ScriptedChannel, job: ItemJob) -> None:
        tokens[job.assignment.output] = job.token
        if job.assignment.output == "out/T1.md":
            channel.tell(*give_output(job))
        else:
            channel.tell(JobResult(job.token, SentFailure("no credit", cause=Cause.FATAL)))

    first = ScriptedLink(lack_credit_for_second)
    assert run_with(workspace, monkeypatch, first, jobs=1)[0].halt
    assert removed(first) == []
    done, wanted = tokens["out/T1.md"], tokens["out/T2.md"]
    keeping = replace(HELLO, spooled=(OTHER, done, wanted), running=(done,))

    async def give_kept(channel: ScriptedChannel, job: ItemJob) -> None:
        assert job.token == wanted
        channel.tell(*give_output(job))

    second = ScriptedLink(give_kept, (keeping,))
    result, _ = run_with(workspace, monkeypatch, second, items=None, checkpoint=None)
    assert result.has_ended
    assert removed(second) == [done]
    assert CancelJob(done) in second.channels[0].said
    assert "PackEnd" not in second.channels[0].kinds(), "the result was there"
    workspace.write("task.md", workspace.read("task.md") + "- [ ] T3 Write do: ok → Output: out/T3.md\n")
    workspace.commit("One more")
    third = ScriptedLink(give_kept, (keeping,))
    third.script = lack_credit_for_second
    run_with(workspace, monkeypatch, third)
    assert removed(third) == sorted((done, wanted))


def test_result_that_this_run_has_asked_for_is_kept() -> None:
    """Its item was done at the start of the run, and a review has sent it back meanwhile."""
    token = make_token("b", "1-a", SETUP, ASSIGNMENT, b"{}")
    members = PoolMembers(lambda _: None, 1.0, old=find_old_results((), "b", ("1-a",)))
    assert members.is_over(token)
    members.asked.add(token)
    assert not members.is_over(token)
    members.recorded.add(token)
    assert members.is_over(token)


def test_token_says_batch_and_item_to_those_who_know_them() -> None:
    token = make_token("b", "1-a", SETUP, ASSIGNMENT, b"{}")
    assert len(token) == 32
    assert token == make_token("b", "1-a", SETUP, ASSIGNMENT, b"{}")
    others = {
        make_token("b", "1-a", SETUP, replace(ASSIGNMENT, attempt=7), b"{}"),
        make_token("b", "1-a", SETUP, replace(ASSIGNMENT, prompt="Other.\n"), b"{}"),
        make_token("b", "1-a", SETUP, ASSIGNMENT, b"{ }"),
        make_token("b", "1-a", replace(SETUP, tree="0" * 40), ASSIGNMENT, b"{}"),
    }
    assert len(others | {token}) == 5
    assert find_old_results((), "b", ("1-a",)).has_token(token)
    assert find_old_results(("b", "a"), "c", ()).has_token(token)
    for old in (
        OldResults(),
        find_old_results((), "b", ("1-b",)),
        find_old_results((), "c", ("1-a",)),
        find_old_results(("a", "b"), "b", ()),
    ):
        assert not old.has_token(token)
