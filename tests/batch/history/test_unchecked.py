"""Outputs that are held for their checks: what is read back, and what is not taken for one."""

import pytest
from msgspec.structs import replace

from gitbatch.agents.protocol import Reply
from gitbatch.batch.history.unchecked import (
    Unchecked,
    drop_unchecked,
    find_unchecked,
    find_unchecked_refs,
    read_unchecked,
    write_unchecked,
)
from gitbatch.batch.model import BatchItem, FailedAttempt, ItemStatus
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.project.check_tables import CheckTable
from gitbatch.repo.refs.names import unchecked_ref
from gitbatch.repo.repository import Repository, VanishedObjectsError
from gitbatch.text import clean_text

ITEM = BatchItem("out/a.md", "T1", "Write a", "1-t1", 1)
TRIED = FailedAttempt(
    ITEM.key,
    "base",
    2,
    ItemStatus.FAILED,
    Cause.FAILED,
    clean_text(""),
    usage=Usage(clean_text("m"), 5, cost=0.5),
)
TABLE = CheckTable(command=("true",))
PASSED = CheckResult("links", CheckVerdict.PASS, 0.5)


def hold(repo: Repository) -> Unchecked:
    """Holds an output."""
    blob = repo.objects.write_blob(b"text\n")
    held = Unchecked(ITEM.key, "commit", blob, TRIED, Reply(clean_text("Wrote it.")), ())
    write_unchecked(repo, "b", ITEM, held)
    return held


def test_a_held_output_is_read_back_with_its_verdicts(repo: Repository) -> None:
    held = hold(repo)
    assert read_unchecked(repo, "b", ITEM) == held
    more = held.with_verdict(replace(PASSED, verdict=CheckVerdict.RED), TABLE).with_verdict(PASSED, TABLE)
    write_unchecked(repo, "b", ITEM, more)
    assert find_unchecked(repo, "b", (ITEM,)) == {ITEM.key: more}
    assert more.find_verdict("links", TABLE) == PASSED
    assert more.find_verdict("style", TABLE) is None
    assert more.find_verdict("links", CheckTable(command=("false",))) is None, "another check by now"
    assert list(find_unchecked_refs(repo, "b", ("1-t1", "1-t2"))) == [unchecked_ref("b", "1-t1")]
    drop_unchecked(repo, "b", ITEM)
    drop_unchecked(repo, "b", ITEM)
    assert read_unchecked(repo, "b", ITEM) is None
    assert find_unchecked_refs(repo, "b", ("1-t1",)) == {}


def test_its_attempt_has_ended_if_the_ledger_has_it(repo: Repository) -> None:
    held = hold(repo)
    assert held.is_ended_by((TRIED,))
    others = (replace(TRIED, number=1), replace(TRIED, base="other"), replace(TRIED, cause=None))
    assert not held.is_ended_by(others)


def test_usage_is_that_of_the_author_and_of_its_reviewers(repo: Repository) -> None:
    reviewed = hold(repo).with_verdict(replace(PASSED, usage=Usage(clean_text("r"), 7, cost=0.25)), TABLE)
    assert (reviewed.usage.model, reviewed.usage.input, reviewed.usage.cost) == ("m", 12, 0.75)


@pytest.mark.parametrize("kind", ["blob", "empty", "text", "other", "output"])
def test_what_another_process_points_the_ref_at_is_not_taken(repo: Repository, kind: str) -> None:
    held = hold(repo)
    state = {
        "text": b"no JSON",
        "other": b'{"item": "2-t9"}',
    }.get(kind, b"{}")
    blob = repo.objects.write_blob(state)
    files = {"output": held.blob, "state.json": blob}
    if kind == "output":  # the state names another blob
        tree = repo.refs.read(unchecked_ref("b", ITEM.slug)) or ""
        files["state.json"] = repo.objects.read_folder(tree)["state.json"].oid
        files["output"] = blob
    made = {"blob": blob, "empty": repo.objects.write_tree(None, {})}.get(kind)
    repo.point(unchecked_ref("b", ITEM.slug), made or repo.objects.write_tree(None, files))
    assert read_unchecked(repo, "b", ITEM) is None


def test_objects_that_vanish_before_the_ref_has_them_are_noticed(repo: Repository) -> None:
    held = replace(hold(repo), blob="1" * 40)
    with pytest.raises(VanishedObjectsError):
        write_unchecked(repo, "b", ITEM, held)
