"""The audit of reviews: a genuine one passes, and whatever is forged from it is found."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from batch import review_forgeries
from batch.forger import forging_in
from batch.review_forgeries import ReviewForger
from conftest import Workspace
from reviews import APPROVE, REJECT, REVISE, decide

from gitbatch.batch.history.record import all_batches
from gitbatch.batch.history.trailers import Kind, parse_trailers
from gitbatch.batch.history.verify.audit import AuditFinding, audit_reviews
from gitbatch.batch.history.verify.rules import Check

FORGERIES: dict[Callable[[ReviewForger], str], tuple[Check, str]] = {
    review_forgeries.review_that_merges: (Check.REVIEW_PLACE, "has 2 parents"),
    review_forgeries.review_on_an_item: (Check.REVIEW_PLACE, "of the kind item"),
    review_forgeries.review_on_a_merge: (Check.REVIEW_PLACE, "of the kind merge"),
    review_forgeries.review_of_another_checkpoint: (Check.REVIEW_PLACE, "does not name the last checkpoint"),
    review_forgeries.review_of_another_plan: (Check.REVIEW_PLACE, "is of the plan other.md"),
    review_forgeries.review_of_nothing: (Check.REVIEW_ITEMS, "does not decide about items"),
    review_forgeries.review_of_an_item_twice: (Check.REVIEW_ITEMS, "each once"),
    review_forgeries.review_of_another_version: (Check.REVIEW_ITEMS, "decides about another version"),
    review_forgeries.review_of_an_item_that_has_no_checkpoint: (Check.REVIEW_ITEMS, "which no checkpoint"),
    review_forgeries.review_in_another_spelling: (Check.TRAILERS, "Gitbatch-Review cannot be read"),
    review_forgeries.review_with_a_stray: (Check.REVIEW_CHANGES, "changes tools/agent.sh"),
    review_forgeries.review_with_a_file_that_it_approves: (Check.REVIEW_CHANGES, "changes out/letters/a.md"),
    review_forgeries.review_that_leaves_what_it_rejects: (
        Check.REVIEW_CHANGES,
        "does not put out/letters/b.md",
    ),
    review_forgeries.review_that_rejects_what_the_user_wrote: (
        Check.REVIEW_CHANGES,
        "over a version that the branch got meanwhile",
    ),
    review_forgeries.review_that_ticks_a_box: (Check.REVIEW_PLAN, "otherwise than by opening"),
    review_forgeries.review_that_leaves_a_box_ticked: (Check.REVIEW_PLAN, "otherwise than by opening"),
    review_forgeries.review_that_changes_the_plan: (Check.REVIEW_PLAN, "otherwise than by opening"),
    review_forgeries.review_with_another_line_in_the_log: (Check.CHECKPOINT_TEXTS, "what was not said"),
    review_forgeries.review_with_an_agent_of_what_it_rejects: (Check.REVIEW_ITEMS, "names an agent"),
    review_forgeries.review_with_two_agents_of_an_item: (Check.REVIEW_ITEMS, "names an agent"),
    review_forgeries.review_with_an_agent_that_has_no_name: (Check.TRAILERS, "Review-Agent cannot be read"),
    review_forgeries.review_that_retries_before_it_undoes: (Check.REVIEW_ITEMS, "each once"),
    review_forgeries.review_that_withdraws_no_decision: (Check.CHECKPOINT_TEXTS, "adds 1 entries"),
    review_forgeries.review_that_leaves_a_line_of_what_it_rejects: (
        Check.CHECKPOINT_TEXTS,
        "takes other lines out of inventory.md",
    ),
    review_forgeries.review_that_takes_a_line_of_another_item: (
        Check.CHECKPOINT_TEXTS,
        "takes other lines out of inventory.md",
    ),
    review_forgeries.review_that_rewrites_the_log: (Check.CHECKPOINT_TEXTS, "takes away or changes"),
    review_forgeries.revision_of_another_number: (Check.CHECKPOINT_NUMBER, "does not follow the last one"),
    review_forgeries.revision_of_another_checkpoint: (
        Check.CHECKPOINT_NUMBER,
        "of a checkpoint that is not below it",
    ),
    review_forgeries.revision_of_an_item_that_was_approved: (
        Check.CHECKPOINT_ITEMS,
        "which no review below it",
    ),
    review_forgeries.checkpoint_of_a_group_for_a_second_time: (
        Check.CHECKPOINT_NUMBER,
        "its number is that of an earlier checkpoint",
    ),
    review_forgeries.review_with_another_status: (Check.CHECKPOINT_TEXTS, "takes away or changes"),
}


@pytest.fixture(scope="module")
def reviews(recorded: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReviewForger]:
    workspace = replace(recorded, root=tmp_path_factory.mktemp("reviews") / "repo")
    shutil.copytree(recorded.root, workspace.root)
    made = decide(workspace, (APPROVE, "T101"), (REJECT, "T102"), (REVISE, "T103"))
    with forging_in(workspace) as forger:
        yield ReviewForger(replace(forger, tip=made.commit), made.commit)


@pytest.mark.rule("F7")
@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
@pytest.mark.sample(12)
def test_a_forged_review_is_found(reviews: ReviewForger, forge: Callable[[ReviewForger], str]) -> None:
    forged = forge(reviews)
    check, message = FORGERIES[forge]
    findings = reviews.f.findings(forged)
    assert any(found.check is check and message in found.message for found in findings), findings
    git = reviews.f.workspace.git
    real = set(git("rev-list", reviews.genuine).split())
    real.discard(git("rev-parse", f"{forged}~1"))  # the parent may be what is wrong
    assert not {found.commit for found in findings} & real
    said = tuple(found for found in findings if found.commit == forged and _is_review(reviews, forged))
    assert judge_since_base(reviews, forged) == said, (
        "the start of a run finds the same since the base of the batch"
    )


def _is_review(reviews: ReviewForger, oid: str) -> bool:
    return parse_trailers(reviews.f.repo.objects.read_commit(oid).message).kind is Kind.REVIEW


def judge_since_base(reviews: ReviewForger, tip: str) -> tuple[AuditFinding, ...]:
    (batch,) = all_batches(reviews.f.repo)
    return audit_reviews(reviews.f.repo, batch.id, batch.base, tip)


def test_a_genuine_review_is_no_finding(reviews: ReviewForger) -> None:
    assert reviews.f.findings(reviews.genuine) == ()
    assert judge_since_base(reviews, reviews.genuine) == ()
    again = reviews.forge()
    assert reviews.f.findings(again) == (), "the forger leaves out nothing"
    assert reviews.f.findings(review_forgeries.revise(reviews)) == ()


def test_the_checks_of_reviews_are_tested() -> None:
    ours = {check for check in Check if check.startswith("review-")}
    assert ours <= {check for check, _ in FORGERIES.values()}
