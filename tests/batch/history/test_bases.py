"""What items stand on: pure over a graph, and the commits that are written for it."""

from collections.abc import Iterator

import pytest
from batch.runs.test_signing import make_key
from conftest import Workspace
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gitbatch.batch.group.base import BaseBuilder
from gitbatch.batch.group.merge import find_unsound, merge_items
from gitbatch.batch.group.rebase import rebase_items
from gitbatch.batch.history.bases import BaseReader, find_below
from gitbatch.batch.history.item_commits import as_item_commit, read_item_commit
from gitbatch.batch.history.messages import render_item_message
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.trailers import FORMAT
from gitbatch.batch.item.scheduled import CommitContext
from gitbatch.batch.model import BatchGroup, BatchItem, ItemStatus, Outcome, Record
from gitbatch.repo.fingerprint import take_fingerprint
from gitbatch.repo.objects.codec import Ident
from gitbatch.repo.opening import open_repository
from gitbatch.repo.pipe import Pipe
from gitbatch.repo.repository import Repository

BATCH = "20260102-030405-abcd"
SSH_SETTINGS = {
    "commit.gpgsign": "true",
    "gpg.format": "ssh",
    "user.signingkey": "HOME/id_ed25519.pub",
    "gpg.ssh.allowedSignersFile": "HOME/allowed",
}


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """Item commits, each with what its base merges: the heads of some of those before it."""
    direct: dict[str, tuple[str, ...]] = {}
    for number in range(draw(st.integers(1, 9))):
        seen = draw(st.sets(st.sampled_from(sorted(direct)))) if direct else set()
        below = find_below(seen, direct.__getitem__)
        direct[str(number)] = tuple(sorted(seen - below))
    return direct


def walk(oid: str, direct: dict[str, tuple[str, ...]]) -> frozenset[str]:
    """What is below a commit, by the definition."""
    return frozenset(direct[oid]).union(*(walk(other, direct) for other in direct[oid]))


@given(graphs(), st.data())
def test_what_is_below_is_found(direct: dict[str, tuple[str, ...]], data: st.DataObject) -> None:
    wanted = data.draw(st.lists(st.sampled_from(sorted(direct)), unique=True))
    below = frozenset[str]().union(*(walk(oid, direct) for oid in wanted))
    assert find_below(wanted, direct.__getitem__) == below


class Shop:
    """Writes items of one group, each upon the base that it gets."""

    def __init__(self, workspace: Workspace, repo: Repository, count: int) -> None:
        items = tuple(BatchItem(f"out/{n}.md", f"T{n}", f"Write {n}", f"1-t{n}", 1) for n in range(count))
        self.group = BatchGroup(1, "Group", items)
        record = Record(
            BATCH, 0, "refs/heads/main", "", "task.md", "at-end", "a", 1, (self.group,), format=FORMAT
        )
        self.tip = workspace.git("rev-parse", "HEAD")
        self.repo = repo
        batch = Batch(record, self.tip, ended=False)
        commits = CommitContext(batch, take_fingerprint(repo, BATCH, ()), Ident("A", "a@example.com", 0))
        self.reader = BaseReader(repo.objects)
        self.builder = BaseBuilder(repo.objects, commits, self.group, self.tip, self.reader)
        self.outcomes: dict[int, Outcome] = {}

    def write(self, number: int, *seen: int) -> Outcome:
        """Commits an item that waited for others."""
        item, objects = self.group.items[number], self.repo.objects
        base = self.builder.build(item, tuple(self.outcomes[other] for other in seen))
        tree = objects.write_tree(base.tree, {item.output: objects.write_blob(b"%d\n" % number)})
        outcome = Outcome(item, ItemStatus.SUCCEEDED)
        message = render_item_message(self.builder.commits.batch.record, self.group, outcome, "a", (), ())
        user = self.builder.commits.user
        oid = objects.write_commit(tree, (base.commit,), message, user, user)
        made = as_item_commit(objects, objects.read_commit(oid), item.output)
        assert made, "one parent and one path"
        self.outcomes[number] = done = Outcome(item, ItemStatus.SUCCEEDED, commit=made)
        return done


@pytest.fixture
def repo(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    workspace.write("task.md", "# Plan\n")
    workspace.commit()
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    made = open_repository(workspace.root)
    yield made
    made.close()


def test_items_in_a_row_cost_one_merge_each(workspace: Workspace, repo: Repository) -> None:
    shop = Shop(workspace, repo, 300)
    for number in range(300):
        shop.write(number, *range(number))
    last = shop.outcomes[299]
    assert last.commit
    repo.objects.writer.flush()
    assert len(workspace.git("ls-tree", "--name-only", f"{last.commit}:out").split()) == 300
    parents = workspace.git("log", "--format=%P", "--grep=gitbatch: base of", str(last.commit)).splitlines()
    assert [len(line.split()) for line in parents] == [2] * 299
    assert len(find_below((last.commit,), shop.reader.direct)) == 299


def test_more_than_sixteen_heads_make_several_merges(workspace: Workspace, repo: Repository) -> None:
    shop = Shop(workspace, repo, 41)
    for number in range(40):
        shop.write(number, *((number - 20,) if number >= 20 else ()))
    done = shop.write(40, *range(40))
    assert done.commit
    assert set(shop.reader.direct(done.commit)) == {shop.outcomes[n].commit for n in range(20, 40)}
    assert shop.reader.parts_of(done.commit).line == shop.tip
    repo.objects.writer.flush()
    merges = workspace.git("log", "--first-parent", "--format=%P", f"{done.commit}^").splitlines()
    assert [len(line.split()) for line in merges] == [5, 17]
    assert len(workspace.git("ls-tree", "--name-only", f"{done.commit}:out").split()) == 41


def test_what_stands_on_an_item_that_is_not_merged_is_unsound(workspace: Workspace, repo: Repository) -> None:
    shop = Shop(workspace, repo, 5)
    for number, seen in enumerate([(), (0,), (0, 1), (), (3,)]):
        shop.write(number, *seen)
    outcomes = tuple(shop.outcomes.values())
    assert find_unsound(outcomes, shop.reader) == frozenset()
    lost = (replace_status(outcomes[0]), *outcomes[1:])
    assert find_unsound(lost, shop.reader) == {"1-t1", "1-t2"}
    assert find_unsound(outcomes[1:], shop.reader) == {"1-t1", "1-t2"}
    assert find_unsound((*outcomes[:3], replace_status(outcomes[3]), outcomes[4]), shop.reader) == {"1-t4"}


def test_a_branch_may_begin_at_the_merge_of_a_group(workspace: Workspace, repo: Repository) -> None:
    """A user who goes back to it starts a batch there: its items stand on none of those that it merges."""
    shop = Shop(workspace, repo, 1)
    done = shop.write(0)
    merged = merge_items(repo, shop.builder.commits, shop.group, (done,), shop.tip, BaseReader(repo.objects))
    repo.objects.writer.flush()
    workspace.git("reset", "--hard", "--quiet", merged.commit)
    later = Shop(workspace, repo, 3)
    later.write(1)
    later.write(2, 1)
    assert later.tip == merged.commit
    assert find_unsound(tuple(later.outcomes.values()), later.reader) == frozenset()
    assert {later.reader.parts_of(str(o.commit)).line for o in later.outcomes.values()} == {later.tip}


def replace_status(outcome: Outcome) -> Outcome:
    return Outcome(outcome.item, ItemStatus.CONFLICTED, commit=outcome.commit)


def branches(shop: Shop, *numbers: int) -> None:
    """Points the items' branches to their commits."""
    for number in numbers:
        shop.repo.point(f"refs/heads/gitbatch/{BATCH}/1-t{number}", str(shop.outcomes[number].commit))


def rebased(shop: Shop, tip: str, reader: BaseReader | None = None) -> tuple[Outcome, ...]:
    outcomes = tuple(shop.outcomes.values())
    reader = reader or BaseReader(shop.repo.objects)
    return rebase_items(shop.repo, shop.builder.commits, shop.group, outcomes, tip, reader)


def test_a_row_is_written_again_on_an_amended_branch(workspace: Workspace, repo: Repository) -> None:
    shop = Shop(workspace, repo, 3)
    for number in range(3):
        shop.write(number, *range(number))
    branches(shop, 0, 1, 2)
    repo.objects.writer.flush()
    workspace.git("commit", "--quiet", "--amend", "--message", "amended")
    tip = workspace.git("rev-parse", "HEAD")
    done = rebased(shop, tip)
    reader = BaseReader(repo.objects)
    commits = [str(outcome.commit) for outcome in done]
    assert find_below(commits[2:], reader.direct) == set(commits[:2])
    assert {reader.parts_of(commit).line for commit in commits} == {tip}
    assert [o.commit and o.commit.blob for o in done] == [
        o.commit and o.commit.blob for o in shop.outcomes.values()
    ]
    assert find_unsound(done, reader) == frozenset()
    refs = workspace.git("for-each-ref", "--format=%(objectname)", "refs/heads/gitbatch").split()
    assert refs == commits
    assert rebased(shop, shop.tip) == tuple(shop.outcomes.values()), "on its own line nothing is written"


def test_the_commits_of_many_items_are_asked_for_at_once(
    workspace: Workspace, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group of items that stand on the branch alone costs as many questions to git as one item."""
    shop = Shop(workspace, repo, 12)
    for number in range(12):
        shop.write(number)
    branches(shop, *range(12))
    asked: list[bytes] = []
    send = Pipe.send

    def note_question(pipe: Pipe, query: bytes) -> None:
        asked.append(query)
        send(pipe, query)

    monkeypatch.setattr(Pipe, "send", note_question)
    reader, outcomes = BaseReader(repo.objects), tuple(shop.outcomes.values())
    assert rebased(shop, shop.tip, reader) == outcomes
    merged = merge_items(repo, shop.builder.commits, shop.group, outcomes, shop.tip, reader)
    assert merged.outcomes == outcomes
    assert [each for query in asked if (each := query.count(b"contents ")) > 1] == [12]
    assert len(asked) < 12


def test_what_stands_on_an_item_that_is_not_rebased_stays_as_it_is(
    workspace: Workspace, repo: Repository
) -> None:
    shop = Shop(workspace, repo, 2)
    for number in range(2):
        shop.write(number, *range(number))
    branches(shop, 0, 1)
    repo.objects.writer.flush()
    workspace.write("out/0.md", "of the user\n")
    workspace.git("add", "--all")
    workspace.git("commit", "--quiet", "--amend", "--message", "amended")
    assert rebased(shop, workspace.git("rev-parse", "HEAD")) == tuple(shop.outcomes.values())
    shop.outcomes = {1: shop.outcomes[1]}
    assert rebased(shop, workspace.git("rev-parse", "HEAD")) == tuple(shop.outcomes.values())


def test_what_could_not_be_signed_is_signed_with_all_that_stands_on_it(
    workspace: Workspace, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(workspace, repo, 3)
    shop.write(0)
    shop.write(1, 0)
    shop.write(2, 0, 1)
    branches(shop, 0, 1, 2)
    repo.objects.writer.flush()
    make_key(workspace)
    for name, value in SSH_SETTINGS.items():
        workspace.git("config", name, value.replace("HOME", str(workspace.home)))
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    signer = open_repository(workspace.root)
    try:
        later = Shop(workspace, signer, 4)
        later.outcomes = shop.outcomes
        later.write(3, 0)
        branches(later, 3)
        done = rebased(later, shop.tip)
        assert find_unsound(done, BaseReader(signer.objects)) == frozenset()
        signer.objects.writer.flush()
    finally:
        signer.close()
    commits = [str(outcome.commit) for outcome in done]
    said = workspace.git("log", "--format=%G? %s", *commits, f"^{shop.tip}").splitlines()
    assert [line[0] for line in said] == ["G"] * 7, said


def test_the_path_alone_makes_no_commit_that_of_an_item(workspace: Workspace, repo: Repository) -> None:
    shop = Shop(workspace, repo, 1)
    made = shop.write(0)
    assert read_item_commit(repo, BATCH, made.item, made.commit)
    assert read_item_commit(repo, BATCH, replace(made.item, group=2), made.commit) is None


def test_what_an_item_stood_on_comes_along_though_the_plan_does_not_name_it(
    workspace: Workspace, repo: Repository
) -> None:
    shop = Shop(workspace, repo, 3)
    shop.write(1)
    shop.write(0, 1)
    done = shop.write(2, 0)
    assert done.commit
    repo.objects.writer.flush()
    assert workspace.git("ls-tree", "--name-only", f"{done.commit}:out").split() == ["0.md", "1.md", "2.md"]
    workspace.git("commit", "--quiet", "--amend", "--message", "amended")
    branches(shop, 0, 1, 2)
    shop.outcomes = {number: shop.outcomes[number] for number in range(3)}
    tip = workspace.git("rev-parse", "HEAD")
    written = rebased(shop, tip)
    assert {shop.reader.parts_of(str(o.commit)).line for o in written} == {tip}, (
        "also what comes later in the plan"
    )
