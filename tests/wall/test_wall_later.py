"""Attacks of an agent without a sandbox on the next item, the next group, or the next run."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fork_server import ForkServer
from wall import naive
from wall.attacks import Control
from wall.grounds import LIMIT, Grounds, copy_of, lay_out

from gitbatch.agents.protocol import Failure
from gitbatch.agents.secrets import Secrets
from gitbatch.batch.item.harvest import harvest_output
from gitbatch.batch.workplace.local import open_below
from gitbatch.repo.attributes import store
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository

Lay = Callable[..., Grounds]

TWO_GROUPS = """\
# Attacks

## Work Packages

### One

- [ ] T1 Work first → Output: out/first.md

### Two

- [ ] T2 Work second → Output: out/second.md
"""
FORGE = """\
[ ! -e "$root/.git/worktrees/${PWD##*/}" ] || export GIT_DIR="$root/.git/worktrees/${PWD##*/}" GIT_WORK_TREE="$PWD"
batch=$(git for-each-ref --format='%(refname)' 'refs/gitbatch/*/record' | cut -d / -f 3)
forge() { # item branch, output, seconds
    blob=$(echo pwned | git hash-object -w --stdin)
    export GIT_INDEX_FILE="$PWD/forged"
    git read-tree HEAD; git update-index --add --cacheinfo "100644,$blob,$2"
    message=$(printf 'x\\n\\nDone.\\n\\nGitbatch-Batch: %s\\nGitbatch-Group: 1 x\\nGitbatch-Item: %s\\nGitbatch-Seconds: %s' "$batch" "$2" "$3")
    commit=$(as_evil commit-tree -p HEAD -m "$message" "$(git write-tree)")
    git update-ref "refs/heads/gitbatch/$batch/$1" "$commit"
    unset GIT_INDEX_FILE
}
"""
"""A forged commit in the user's repository, made by git's record of the worktree, since the worktree's `.git` names another folder."""
FILTER = '[filter "x"]\\n\\tsmudge = %s\\n\\tclean = %s\\n'
RUN = ("run", "--items", "all", "--checkpoint", "at-end", "--sandbox", "none")


@pytest.fixture
def lay(tmp_path: Path, usual: dict[str, str], fork_server: ForkServer) -> Lay:
    """Returns a function that makes grounds with given items."""

    def make(scripts: dict[str, str], plan: str = "", settings: str = "retries = 0", **files: str) -> Grounds:
        template = tmp_path / "template"
        template.mkdir()
        lay_out(template, {**usual, "HOME": str(template)}, scripts)
        made = copy_of(template, tmp_path / "grounds", usual)
        made.workspace.server = fork_server
        made.workspace.edit("gitbatch.toml", "jobs = 6\nretries = 0\n", f"jobs = 1\n{settings}\n")
        if plan:
            made.workspace.write("task.md", plan)
        for path, text in files.items():
            made.workspace.write(path, text)
        made.workspace.commit()
        return Grounds(made.workspace, made.workspace.git("rev-parse", "main"))

    return make


FILTERS = {
    "config": f'printf \'{FILTER}\' "$payload" "$payload" >>"$git/config"; echo "* filter=x" >"$git/info/attributes"',
    "included": f'printf \'{FILTER}\' "$payload" "$payload" >"$root/team.gitconfig"',
}


def with_filter(lay: Lay, where: str) -> Grounds:
    """The first agent makes a filter and fails; the second's worktree would be filled through it."""
    files = {".gitattributes": "docs/* filter=x\n", "team.gitconfig": "[alias]\n\tst = status\n"}
    scripts = {"first": f'mkdir -p "$git/info"; {FILTERS[where]}; exit 1', "second": "page"}
    made = lay(scripts, TWO_GROUPS, **(files if where == "included" else {}))
    if where == "included":
        made.workspace.git("config", "include.path", "../team.gitconfig")
    return made


@pytest.mark.rule("S1")
@pytest.mark.parametrize("where", FILTERS)
def test_planted_filter_never_runs(lay: Lay, where: str) -> None:
    grounds = with_filter(lay, where)
    done = grounds.workspace.gitbatch(*RUN, code=1)
    assert "while agents ran, " in done.stderr
    assert grounds.code_ran() == set()
    assert grounds.workspace.git("rev-parse", "main") == grounds.start


@pytest.mark.parametrize("where", FILTERS)
def test_control_runs_planted_filter(lay: Lay, where: str) -> None:
    grounds = with_filter(lay, where)
    naive.run(grounds, "first", Control.ADD_ALL)
    (grounds.base / "ran").unlink(missing_ok=True)
    naive.run(grounds, "second", Control.COPY)
    assert grounds.code_ran()


@pytest.mark.rule("S1", "F4")
@pytest.mark.parametrize("seconds", ["1", "soon"])
@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.sample(2)
def test_forged_item_branch_is_not_trusted(lay: Lay, seconds: str, retries: int) -> None:
    script = f"{FORGE}forge 1-t1 out/first.md {seconds}; exit 1"
    grounds = lay({"first": script, "second": "page"}, TWO_GROUPS, f"retries = {retries}")
    for _ in range(2):
        done = grounds.workspace.gitbatch(*RUN, code=1)
        assert "T1" in done.stdout
        assert "exit 1)" in done.stdout or "exit code 1" in done.stdout
        assert grounds.history() == set()


def test_forged_commit_looks_genuine(lay: Lay) -> None:
    script = f"{FORGE}batch=b; forge 1-t1 out/first.md 1; exit 1"
    grounds = lay({"first": script, "second": "page"}, TWO_GROUPS)
    with pytest.raises(FileNotFoundError):
        naive.run(grounds, "first", Control.COPY)
    assert naive.is_done(grounds.workspace, "gitbatch/b/1-t1", "out/first.md"), (
        "else the test above proves nothing"
    )


@pytest.mark.parametrize("branch", ["2-t2", "2-t2/below"])
def test_blocking_branch_is_removed(lay: Lay, branch: str) -> None:
    script = f"{FORGE}page; forge {branch} out/second.md 1"
    grounds = lay({"first": script, "second": "page"}, TWO_GROUPS)
    grounds.workspace.gitbatch(*RUN, code=0)
    assert grounds.history() == set()
    assert "the work of out/second.md" in grounds.workspace.git("show", "main:out/second.md")


def rolled_back(lay: Lay) -> Grounds:
    back = 'page; git --git-dir="$git" update-ref refs/heads/main "$(git --git-dir="$git" rev-parse main~2)"'
    return lay({"first": "page", "second": back}, TWO_GROUPS)


@pytest.mark.rule("S1", "P4")
def test_rolled_back_branch_stops_run(lay: Lay) -> None:
    grounds = rolled_back(lay)
    done = grounds.workspace.gitbatch(*RUN, code=1)
    assert "branch main was moved while the group ran: it has lost commit" in done.stderr
    (advice,) = (line for line in done.stderr.splitlines() if "git update-ref" in line)
    grounds.workspace.git("update-ref", *advice.partition("git update-ref ")[2].split())
    grounds.workspace.gitbatch("run", "--sandbox", "none", code=0)
    assert grounds.history() == set()
    assert grounds.workspace.git("ls-tree", "--name-only", "main", "out/").split() == [
        "out/first.md",
        "out/second.md",
    ]
    assert grounds.workspace.git("status", "--porcelain") == ""


def test_control_builds_on_rolled_back_branch(lay: Lay) -> None:
    grounds = rolled_back(lay)
    naive.run(grounds, "first", Control.ADD_ALL)
    naive.run(grounds, "second", Control.PLUMBING)
    assert "out/first.md" not in grounds.workspace.git("ls-tree", "-r", "--name-only", "main").split()


@pytest.fixture
def opened(grounds: Grounds, monkeypatch: pytest.MonkeyPatch) -> Repository:
    for name, value in grounds.workspace.environment.items():
        monkeypatch.setenv(name, value)
    return open_repository(grounds.workspace.root)


@pytest.mark.parametrize("length", [0, LIMIT + 1])
def test_stored_blob_is_measured(
    grounds: Grounds, opened: Repository, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    grounds.workspace.write("out/grows.md", "small")

    def late(repo: Repository, descriptor: int, tree: str, path: str) -> str:
        (repo.root / path).write_bytes(b"x" * length)  # as a process could that is still alive
        return store(repo, descriptor, tree, path)

    monkeypatch.setattr("gitbatch.batch.item.harvest.store", late)
    tree = grounds.workspace.git("rev-parse", "main^{tree}")
    source = open_below(grounds.workspace.root, "out/grows.md")
    taken = harvest_output(opened, source, "out/grows.md", LIMIT, tree, Secrets())
    opened.close()
    assert isinstance(taken, Failure)
