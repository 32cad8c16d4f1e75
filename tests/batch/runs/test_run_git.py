"""Git around a run: the user's commits and the configuration that change meanwhile, filters, line ends and pointers."""

import pytest
from conftest import Workspace, read_run
from history import assert_tidy, changed, ticked, trailers

ALL = [f"T{group}0{item}" for group in (1, 2, 3) for item in (1, 2, 3, 4)]


def run(workspace: Workspace, *arguments: str, code: int = 0, mode: str = "at-end") -> str:
    done = workspace.gitbatch("run", "--items", "all", "--checkpoint", mode, *arguments, code=code)
    return done.stdout + done.stderr


@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_the_users_commit_during_a_group_is_built_upon(three: Workspace) -> None:
    three.edit("task.md", "Write a →", "Write a do: commit-on-main →")
    three.edit(
        "tools/agent.sh",
        "fail) echo",
        f'commit-on-main) page >"$output"; cd "{three.root}"; '
        'echo u >user.txt; git add user.txt; git commit -qm "The user"; exit 0 ;;\nfail) echo',
    )
    three.edit("gitbatch.toml", 'timeout = "1m"', 'timeout = "1m"\npass-env = ["GIT_CONFIG_GLOBAL"]')
    three.git("config", "user.name", "Test User")
    three.git("config", "user.email", "user@example.org")
    three.commit()
    run(three)
    assert three.subjects()[1:5] == [
        "change",
        "The user",
        "gitbatch: merge 4 items of “Letters”",
        "gitbatch: checkpoint 1/3: Letters (4 of 4 done)",
    ]
    assert three.git("status", "--porcelain") == ""
    assert_tidy(three)


@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_a_conflict_is_a_value(three: Workspace) -> None:
    three.edit("task.md", "Write a →", "Write a do: take →")
    three.edit(
        "tools/agent.sh",
        "fail) echo",
        f'take) page >"$output"; cd "{three.root}"; mkdir -p out/letters; '
        'echo u >out/letters/a.md; git add out; git commit -qm "The user"; exit 0 ;;\nfail) echo',
    )
    three.git("config", "user.name", "Test User")
    three.git("config", "user.email", "user@example.org")
    three.commit()
    said = run(three, code=1)
    assert "conflicted" in said
    assert three.read("out/letters/a.md") == "u\n"
    assert "T101" not in ticked(three)
    branches = three.git("for-each-ref", "--format=%(refname:short)", "refs/heads/gitbatch/").splitlines()
    assert [branch.rpartition("/")[2] for branch in branches] == ["1-t101"]
    assert changed(three, f"{branches[0]}^", branches[0]).keys() == {"out/letters/a.md"}
    first = three.git("log", "--format=%H", "--grep", "checkpoint 1/3")
    assert trailers(three, first, "Failed")[0].startswith("out/letters/a.md: conflicted: ")


@pytest.mark.rule("S1")
@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_a_changed_git_configuration_stops_before_anything_moves(three: Workspace) -> None:
    three.edit("task.md", "Write a →", "Write a do: tamper →")
    three.edit(
        "tools/agent.sh",
        "fail) echo",
        f'tamper) page >"$output"; git -C "{three.root}" config core.fsmonitor "touch /tmp/never"; exit 0 ;;\nfail) echo',
    )
    three.commit()
    before = three.git("rev-parse", "main")
    done = three.gitbatch("run", "--items", "T101", "--checkpoint", "at-end", code=1)
    assert "while agents ran, config changed in" in done.stderr
    assert "no branch was moved" in done.stderr
    assert three.git("rev-parse", "main") == before
    assert ticked(three) == []
    three.git("config", "--unset", "core.fsmonitor")
    three.edit("task.md", " do: tamper", "")
    three.commit()
    three.gitbatch("run", code=0)
    assert ticked(three) == ["T101"]


@pytest.mark.rule("S1")
@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_a_filter_that_an_agent_sets_up_is_not_run_for_the_next(three: Workspace) -> None:
    three.edit("gitbatch.toml", "jobs = 4", "jobs = 1")
    three.edit("task.md", "Write a →", "Write a do: tamper →")
    three.edit(
        "tools/agent.sh",
        "fail) echo",
        f'tamper) git -C "{three.root}" config filter.x.smudge "touch $HOME/caught; cat"; '
        f'echo "* filter=x" >"{three.root}/.git/info/attributes"; exit 3 ;;\nfail) echo',
    )
    three.commit()
    done = three.gitbatch("run", "--items", "T101,T102", "--checkpoint", "at-end", code=1)
    assert "while agents ran, config, info/attributes changed in" in done.stderr
    assert not (three.home / "caught").exists()


def test_line_ends_are_stored_by_the_commits_attributes(three: Workspace) -> None:
    three.write(".gitattributes", "*.md text\n*.bin filter=lfs\n")
    three.edit(
        "gitbatch.toml",
        '"sh", "tools/agent.sh", ',
        '"sh", "-c", "printf \'a\\\\r\\\\nb\\\\r\\\\n\' >$0; echo Done.", ',
    )
    three.edit("task.md", "out/letters/b.md\n", "out/letters/b.bin\n")
    three.edit(
        "task.md",
        "T201 Write ab → DoD: #2 → Output: out/pairs/ab.md (context: out/letters/a.md, out/letters/b.md)",
        "T201 x",
    )
    three.edit(
        "task.md",
        "T202 Write bc → DoD: #2 → Output: out/pairs/bc.md (context: out/letters/b.md, out/letters/c.md)",
        "T202 x",
    )
    three.commit()
    three.gitbatch("run", "--items", "T101,T102", "--checkpoint", "at-end", code=1)
    assert three.git("cat-file", "blob", "HEAD:out/letters/a.md") == "a\nb"
    (failed,) = trailers(three, "HEAD", "Failed")
    assert failed == (
        "out/letters/b.bin: failed: cannot take the output: out/letters/b.bin has the filter lfs (git attributes)"
    )


@pytest.mark.rule("S1")
def test_a_pointer_that_was_changed_is_named_and_one_that_was_not_is_no_stray(three: Workspace) -> None:
    three.edit(
        "gitbatch.toml",
        '"sh", "tools/agent.sh", ',
        '"sh", "-c", "case $0 in */a.md) echo x >>.git;; esac; echo text >$0; echo Done. All of it.", ',
    )
    three.commit()
    said = three.gitbatch("run", "--items", "group:1", "--checkpoint", "at-end", "--json", code=0).stdout
    events = read_run(said)[0]
    strays = {
        e["outcome"]["item"]["key"]: e["outcome"]["strays"] for e in events if e["event"] == "item-finished"
    }
    assert strays.pop("out/letters/a.md") == [".git"]
    assert set(map(tuple, strays.values())) == {()}
