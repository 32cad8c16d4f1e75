"""`gitbatch rescue` gives back what rescue refs keep, and `gitbatch abort` says what it keeps and loses."""

import json
from pkgutil import resolve_name

import pytest
from batch.programs import run, set_up
from cli.test_terminal import end, terminal
from conftest import Workspace
from typer.testing import CliRunner

from gitbatch.batch.history.abort import preview_abort
from gitbatch.batch.history.rescued_files import list_rescued
from gitbatch.cli.main import app
from gitbatch.errors import GitbatchError, UsageError
from gitbatch.repo.repository import Repository
from gitbatch.text import list_names
from gitbatch.view.schemas import make_schema


@pytest.fixture
def failed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A batch has ended in which T1 failed, whose file is kept."""
    set_up(workspace, "half", "ok", batch="retries = 0")
    run(workspace, code=1)
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(workspace.root)
    return workspace


def rescue(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["rescue", *arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.output


def test_list_and_take(failed: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = failed.state()
    schema = resolve_name("jsonschema:Draft202012Validator")(make_schema("rescue"))
    schema.validate(listed := json.loads(rescue("list", "--json")))
    (file,) = listed["files"]
    assert (file["name"], file["path"], file["attempt"], file["reason"]) == (
        *("T1", "out/T1.md", 1),
        "it broke (exit 3)",
    )
    said = rescue()
    assert "T1  attempt 1  out/T1.md  it broke (exit 3)\n" in said
    assert f"look:  git show {file['ref']}\n" in said
    assert failed.state() == before
    assert rescue("take", "t1").startswith("wrote out/T1.md ")
    assert failed.read("out/T1.md") == "T1 1\n"
    assert failed.git("status", "--porcelain") == "?? out/T1.md"
    schema.validate(taken := json.loads(rescue("take", "out/T1.md", "--json")))
    assert taken["taken"] == file
    assert "if it is good: git add out/T1.md\n" in rescue("take", "T1")
    monkeypatch.chdir(failed.root / "out")
    assert f"if it is good: git -C {failed.root} add out/T1.md\n" in rescue("take", "T1")
    with pytest.raises(UsageError, match="no rescued file is called T9"):
        rescue("take", "T9")


def test_take_replaces_what_is_committed_and_nothing_else(failed: Workspace) -> None:
    failed.write("out/T1.md", "mine")
    with pytest.raises(GitbatchError, match="has changes or is not a file") as refused:
        rescue("take", "T1")
    assert "> FILE" in refused.value.advice
    assert failed.read("out/T1.md") == "mine"
    failed.commit()
    rescue("take", "T1")
    assert failed.read("out/T1.md") == "T1 1\n"
    failed.write("elsewhere.md", "precious")
    (failed.root / "out/T1.md").unlink()
    (failed.root / "out/T1.md").symlink_to(failed.root / "elsewhere.md")
    with pytest.raises(GitbatchError, match="is not a file"):
        rescue("take", "T1")
    assert failed.read("elsewhere.md") == "precious"


@pytest.mark.parametrize("path", [".git/hooks/pre-commit", "CLAUDE.md"])
def test_a_forged_ref_is_not_offered(failed: Workspace, repo: Repository, path: str) -> None:
    (file,) = list_rescued(repo)
    message = failed.git("log", "-1", "--format=%B", file.ref)
    base = repo.objects.read_commit(failed.git("rev-parse", f"{file.ref}^"))
    tree = repo.objects.write_tree(base.tree, {path: file.blob})
    repo.objects.writer.sync()
    forged = failed.git("commit-tree", tree, "-p", base.oid, "-m", message)
    failed.git("update-ref", f"{file.ref}0", forged)
    assert list_rescued(repo) == (file,)


def test_what_is_pruned_or_no_single_file_is_not_offered(failed: Workspace, repo: Repository) -> None:
    (file,) = list_rescued(repo)
    message = failed.git("log", "-1", "--format=%B", file.ref)
    base = repo.objects.read_commit(failed.git("rev-parse", f"{file.ref}^"))
    two = repo.objects.write_tree(base.tree, {"a.md": file.blob, "b.md": file.blob})
    repo.objects.writer.sync()
    for number, parents in enumerate((("-p", base.oid), ()), 11):
        forged = failed.git("commit-tree", two, *parents, "-m", message)
        failed.git("update-ref", f"{file.ref}{number}", forged)
    assert list_rescued(repo) == (file,)
    (failed.root / ".git/objects" / file.blob[:2] / file.blob[2:]).unlink()
    assert list_rescued(repo) == ()
    commit = failed.git("rev-parse", file.ref)
    (failed.root / ".git/objects" / commit[:2] / commit[2:]).unlink()
    assert list_rescued(repo) == ()


def test_without_a_readable_record_an_item_has_the_name_of_its_path(
    halted: Workspace, repo: Repository
) -> None:
    (record,) = halted.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/record").splitlines()
    blob = repo.objects.write_blob(b"{}")
    repo.objects.writer.sync()
    branch = halted.git("for-each-ref", "--format=%(objectname)", "refs/heads/gitbatch/*/1-t1")
    halted.git("update-ref", record.replace("/record", "/rescue/1-t1"), branch)
    halted.git("update-ref", record, blob)
    assert [(file.name, file.attempt) for file in list_rescued(repo)] == [("out/T1.md", 0)]


def test_nothing_is_kept(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(workspace.root)
    assert rescue() == "nothing is kept\n"
    with pytest.raises(UsageError) as refused:
        rescue("take", "T1")
    assert refused.value.advice == "nothing is kept in this repository"


@pytest.fixture
def halted(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """T1 is finished and waits for T2, whose server halted the batch; T3 and T4 have not begun."""
    set_up(workspace, "ok", "later", "ok", "ok", batch="jobs = 1", groups=2)
    run(workspace, code=75)
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(workspace.root)
    return workspace


PREVIEW = (
    "0 items merged, which stay\n  keeps: T1: finished and not merged\n  loses: T2, T3, T4: not finished;"
)


def test_abort_asks_in_a_terminal(halted: Workspace) -> None:
    before = halted.state()
    with terminal(halted, "abort") as child:
        child.expect("keeps: T1")
        child.expect("End this batch\\?")
        child.send("n\r")
        child.expect("the batch was not ended")
        assert end(child) == 130
    assert halted.state() == before
    done = CliRunner().invoke(app, ["abort"])
    assert PREVIEW in done.output
    assert "  kept: refs/gitbatch/" in done.output
    assert "gitbatch rescue take ITEM" in done.output
    assert "T1  finished  out/T1.md  not merged" in rescue()
    said = CliRunner().invoke(app, ["status"]).output
    assert "kept: gitbatch rescue take T1\n" in said
    assert said.endswith("rest:  gitbatch run --items open\n")
    rescue("take", "T1")
    assert halted.read("out/T1.md") == "T1 1\n"


def test_a_record_of_another_version_hides_only_names(halted: Workspace, repo: Repository) -> None:
    (ref,) = halted.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/record").splitlines()
    blob = repo.objects.write_blob(b'{"version": 99}')
    repo.objects.writer.sync()
    halted.git("update-ref", ref, blob)
    preview = preview_abort(repo, ref.split("/")[2])
    assert (preview.merged, preview.kept) == (None, ("1-t1",))


def test_many_names_are_cut() -> None:
    assert list_names(tuple("abcdef")) == "a, b, c, d, e and 1 more"
