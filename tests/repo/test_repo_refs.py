"""Refs: compare-and-swap, and what it says when it can't."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import Workspace

from gitbatch.errors import BusyError, GitError
from gitbatch.repo.process import Git
from gitbatch.repo.refs import store
from gitbatch.repo.refs.lock_files import lock_umask
from gitbatch.repo.refs.names import item_branches
from gitbatch.repo.refs.store import Refs

REF = "refs/heads/gitbatch/b/1-x"


@pytest.fixture
def commits(workspace: Workspace) -> tuple[str, str]:
    workspace.write("a", "1")
    one = workspace.commit()
    workspace.write("a", "2")
    return one, workspace.commit()


@pytest.fixture
def refs(workspace: Workspace) -> Iterator[Refs]:
    made = Refs(Git(workspace.root), workspace.root / ".git", workspace.root / ".git", "0" * 40)
    yield made
    made.close()


def test_swap_moves_only_from_what_it_expects(refs: Refs, commits: tuple[str, str]) -> None:
    one, two = commits
    assert refs.swap(REF, one, None, "made")
    assert not refs.swap(REF, two, None, "made again")
    assert not refs.swap(REF, one, two, "from elsewhere")
    assert refs.swap(REF, two, one, "moved")
    assert refs.read(REF) == two


def test_a_ref_that_git_moved_before_it_failed_is_moved(
    refs: Refs, workspace: Workspace, commits: tuple[str, str]
) -> None:
    log = workspace.root / ".git" / "logs" / "HEAD"
    log.unlink()
    log.mkdir()
    (log / "in the way").touch()  # git moves the branch, can't say so there, and fails
    one, two = commits
    assert refs.swap("refs/heads/main", one, two, "moved")
    assert refs.read("refs/heads/main") == one


def test_create_refuses_what_exists(refs: Refs, commits: tuple[str, str]) -> None:
    refs.create(REF, commits[0])
    with pytest.raises(GitError):
        refs.create(REF, commits[0])


@pytest.fixture
def locked(refs: Refs) -> Iterator[Refs]:
    """The refs as a run has them: what a git that was killed has left locked is known to be ours."""
    made = refs.with_lock(refs.git, lock_umask())
    yield made
    made.close()


@pytest.mark.parametrize("dies", ["never", "before", "meanwhile"])
def test_a_ref_is_made_while_something_else_is_done(
    locked: Refs, commits: tuple[str, str], dies: str
) -> None:
    refs = locked
    refs.create(f"{REF}-first", commits[0])
    process = refs.session._process
    assert process is not None

    def end(when: str) -> None:
        if dies == when:
            process.kill()
            process.wait()

    end("before")
    with refs.creating(REF, commits[0]):
        end("meanwhile")
    refs.create(f"{REF}-last", commits[1])
    assert (refs.read(REF), refs.read(f"{REF}-last")) == commits
    assert refs.session.ask(b"start\n") == b"start: ok", "what it answered was read"
    assert refs.session.ask(b"abort\n") == b"abort: ok"


def test_what_fails_meanwhile_leaves_the_git_in_step(refs: Refs, commits: tuple[str, str]) -> None:
    with pytest.raises(KeyError), refs.creating(REF, commits[0]):
        raise KeyError
    assert refs.session.ask(b"start\nabort\n") == b"start: ok"
    assert refs.session.read_line() == b"abort: ok"


def test_a_ref_is_read_wherever_git_keeps_it(
    refs: Refs, workspace: Workspace, commits: tuple[str, str]
) -> None:
    one, two = commits
    refs.create(REF, one)
    workspace.git("symbolic-ref", "refs/heads/other", REF)
    assert (refs.read(REF), refs.read("refs/heads/other")) == (one, one)
    workspace.git("pack-refs", "--all")
    assert not (workspace.root / ".git" / REF).exists()
    assert (refs.read(REF), refs.read("refs/heads/other")) == (one, one)
    workspace.git("update-ref", REF, two)
    assert refs.read(REF) == two
    (workspace.root / ".git" / REF).write_text("nonsense\n")
    assert refs.read(REF) is None


def test_what_is_not_there_is_none_with_packed_refs_too(
    refs: Refs, workspace: Workspace, commits: tuple[str, str]
) -> None:
    assert refs.read("refs/heads/other") is None
    workspace.git("branch", "other-one")
    workspace.git("pack-refs", "--all")
    assert refs.read("refs/heads/other") is None
    assert refs.read("refs/heads/other-one") == commits[1]
    workspace.git("branch", "-D", "other-one")
    assert refs.read("refs/heads/other-one") is None


def test_several_refs_are_read_as_each_is_and_what_is_packed_once(
    refs: Refs, workspace: Workspace, commits: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.git("branch", "packed", commits[0])
    workspace.git("pack-refs", "--all")
    refs.create(REF, commits[1])
    workspace.git("symbolic-ref", "refs/heads/alias", REF)
    names = [f"refs/heads/{name}" for name in ("packed", "alias", "missing", "main/below", "gone")]
    asked: list[str] = []
    ask = store.Refs._ask_git

    def note_asked(refs: Refs, ref: str) -> str | None:
        asked.append(ref)
        return ask(refs, ref)

    monkeypatch.setattr(store.Refs, "_ask_git", note_asked)
    assert refs.read_several((REF, *names)) == {REF: commits[1]} | dict(
        zip(names, (commits[0], commits[1], None, None, None), strict=True)
    )
    assert asked == names[:2]  # the others do not exist, whatever the packed one says
    read: list[str] = []

    def note(path: str) -> bytes:
        read.append(path)
        return Path(path).read_bytes()

    monkeypatch.setattr(store, "read_whole", note)
    assert refs.read_several((REF, *names[2:])) == {REF: commits[1]} | dict.fromkeys(names[2:])
    assert [path for path in read if path.endswith("/packed-refs")] == [f"{refs.common_dir}/packed-refs"]
    assert read[-1].endswith("/packed-refs")  # a ref may be packed meanwhile


@pytest.mark.parametrize(
    "head",
    [
        "ref: refs/heads/main\n",
        "ref: refs/heads/a/b-ü.c\n",
        "ref: refs/heads/unborn\n",
        "ref:  refs/heads/main  \n",
        "ref: refs/heads/main",
        "ref: refs/heads/main\n\n",
        "ref: refs/tags/odd\n",
        "ref: refs/heads/alias\n",
        "ref: refs/heads/alias-of-alias\n",
        "ref: refs/heads/../../ORIG_HEAD\n",
        "ref: refs/heads/a..b\n",
        "ref: refs/heads/a.lock\n",
        "ref: refs/heads/a.\n",
        "ref: refs/heads//main\n",
        "ref: refs/heads/a@{{b\n",
        "{oid}\n",
        "{oid}",
        "link",
    ],
)
def test_head_leads_where_git_says(
    refs: Refs, workspace: Workspace, commits: tuple[str, str], head: str
) -> None:
    workspace.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    workspace.git("symbolic-ref", "refs/heads/alias-of-alias", "refs/heads/alias")
    file = workspace.root / ".git/HEAD"
    file.unlink()
    if head == "link":
        file.symlink_to("refs/heads/main")
    else:
        file.write_text(head.format(oid=commits[0]))
    said = workspace.git("symbolic-ref", "--quiet", "HEAD", check=False)
    assert (refs.leads_to("HEAD") or "") == said


def test_a_ref_is_a_link_that_leads_to_no_file(
    refs: Refs, workspace: Workspace, commits: tuple[str, str]
) -> None:
    workspace.git("pack-refs", "--all")
    (workspace.root / ".git/refs/heads/link").symlink_to("refs/heads/main")
    assert refs.read("refs/heads/link") == workspace.git("rev-parse", "refs/heads/link") == commits[1]


def test_packed_refs_that_can_not_be_read_are_gits_to_complain_of(refs: Refs, workspace: Workspace) -> None:
    (workspace.root / ".git/packed-refs").mkdir()
    with pytest.raises(GitError):
        refs.below("refs/gitbatch/b/")


def test_a_ref_that_was_packed_meanwhile_is_not_moved_from_what_it_was(
    refs: Refs, workspace: Workspace, commits: tuple[str, str]
) -> None:
    """A git that stays open may take the packed refs of a moment ago for those of now, if they are as large."""
    one, two = commits
    three = workspace.git("commit-tree", f"{two}^{{tree}}", "-p", two, "-m", "three")
    for _ in range(5):
        workspace.git("update-ref", REF, one)
        workspace.git("pack-refs", "--all")
        assert refs.swap(REF, one, one, "x")
        for commit in (two, three):
            workspace.git("update-ref", REF, commit)
            workspace.git("pack-refs", "--all")
        assert not refs.swap(REF, two, one, "x")
        assert refs.read(REF) == three


def test_one_git_moves_many_refs_of_ours(
    refs: Refs, commits: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = commits
    started: list[tuple[str, ...]] = []
    start = Git._open

    def noted(git: Git, arguments: tuple[str, ...], *rest: Any, **more: Any) -> Any:  # noqa: ANN401
        started.append(arguments)
        return start(git, arguments, *rest, **more)

    monkeypatch.setattr(Git, "_open", noted)
    for number in range(3):
        assert refs.swap(f"{REF}{number}", one, None, "x")
        assert refs.swap(f"{REF}{number}", two, one, "x")
        assert refs.read(f"{REF}{number}") == two
    assert len(started) == 1


def test_an_id_is_not_looked_for_among_the_refs(workspace: Workspace, commits: tuple[str, str]) -> None:
    """Git would do it five times for each id, which takes half of the time of a move."""
    trace = workspace.root / "trace"
    git = Git(workspace.root).in_directory(workspace.root, GIT_TRACE_REFS=str(trace))
    with closing(Refs(git, workspace.root / ".git", workspace.root / ".git", "0" * 40)) as refs:
        refs.create(REF, commits[0])
        assert refs.swap(REF, commits[1], commits[0], "x")
    read = trace.read_text(encoding="utf-8")
    assert REF in read
    assert not [oid for oid in commits if f"read_raw_ref: {oid}" in read]


def test_one_of_ours_that_moved_is_refused_and_the_next_one_works(
    refs: Refs, workspace: Workspace, commits: tuple[str, str]
) -> None:
    one, two = commits
    assert refs.swap(REF, one, None, "x")
    assert not refs.swap(REF, two, None, "x")
    assert not refs.swap(REF, one, two, "x")
    assert refs.read(REF) == one
    with pytest.raises(GitError):
        refs.swap(f"{REF}/below", one, None, "x")
    lock = workspace.root / ".git" / f"{REF}.lock"
    lock.touch()
    with pytest.raises(BusyError):
        refs.swap(REF, two, one, "x")
    lock.unlink()
    assert refs.swap(REF, two, one, "x")
    assert refs.read(REF) == two


def test_a_locked_ref_is_busy_and_says_where(
    workspace: Workspace, refs: Refs, commits: tuple[str, str]
) -> None:
    lock = workspace.root / ".git" / "refs/heads/main.lock"
    lock.touch()
    with pytest.raises(BusyError) as caught:
        refs.swap("refs/heads/main", commits[0], commits[1], "moved")
    assert str(lock) in caught.value.advice


def test_a_swap_that_fails_for_another_reason_is_an_error(refs: Refs, commits: tuple[str, str]) -> None:
    with pytest.raises(GitError):
        refs.swap("refs/heads/main", "1" * 40, commits[1], "to an object that is not there")


def test_below_and_delete(refs: Refs, commits: tuple[str, str]) -> None:
    one, two = commits
    refs.create(REF, one)
    refs.create(f"{REF}-2", two)
    refs.create("refs/heads/gitbatch/other/1-x", two)
    found = refs.below("refs/heads/gitbatch/b/")
    assert found == {REF: one, f"{REF}-2": two}
    refs.delete(found)
    assert refs.below(item_branches("b")) == {}
    assert refs.read("refs/heads/gitbatch/other/1-x") == two
    refs.delete({})


def test_a_commit_is_found_by_any_name_and_nothing_else(
    refs: Refs, workspace: Workspace, commits: tuple[str, str]
) -> None:
    assert refs.commit("HEAD") == refs.commit("refs/heads/main") == commits[1]
    assert refs.commit("--help") is None
    assert refs.commit(workspace.git("rev-parse", "HEAD^{tree}")) is None
    assert refs.read("refs/heads/nothing") is None
