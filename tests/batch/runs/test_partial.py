"""Partial clones: what a batch needs and what is missing is fetched at once before it starts, or named with a command."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Place
from history import assert_tidy, audit

RUN = ("run", "--items", "group:1", "--checkpoint", "at-end")
FOREIGN = 6
"""Files that no item needs (the agent program is run from elsewhere), each with a blob of its own."""


@pytest.fixture
def upstream(three: Place) -> Place:
    """A repository that serves partial clones."""
    three.git("config", "uploadpack.allowFilter", "true")
    three.git("config", "uploadpack.allowAnySHA1InWant", "true")
    for number in range(FOREIGN - 1):
        three.write(f"elsewhere/{number}.md", f"number {number}\n")
    three.write("out/letters/other.md", "a neighbour of outputs\n")
    three.write("docs/inside/notes.md", "what an item reads\n")
    three.edit("task.md", "Write a →", "Write a (context: docs/inside/notes.md) →")
    shutil.copytree(three.root / "tools", three.home / "tools")
    three.edit("gitbatch.toml", "tools/agent.sh", f"{three.home}/tools/agent.sh")
    three.commit()
    return three


def clone(upstream: Place, *options: str) -> Place:
    made = upstream.root.parent / "clone"
    upstream.git("clone", "--quiet", *options, f"file://{upstream.root}", str(made))
    return replace(upstream, root=made)


def lacks(place: Place, commit: str = "HEAD") -> int:
    """How many objects of a commit are missing."""
    listed = place.git("rev-list", "--objects", "--no-walk", "--missing=print", commit)
    return sum(line.startswith("?") for line in listed.splitlines())


def fetches(place: Place) -> list[str]:
    """What runs said of fetching."""
    logs = sorted((place.root / ".git/gitbatch").glob("*/events.jsonl"))
    events = [json.loads(line) for log in logs for line in log.read_text(encoding="utf-8").splitlines()]
    return [event["text"] for event in events if "fetching" in event.get("text", "")]


SPARSE = ("--filter=blob:none", "--sparse")
NOTHING = ("--filter=blob:none", "--no-checkout")


@pytest.mark.parametrize(
    ("options", "checkout"),
    [(SPARSE, "full"), (SPARSE, "context"), ((*SPARSE, "--filter=tree:0"), "context")],
)
@pytest.mark.sample(2)
def test_what_is_missing_is_fetched_once(upstream: Place, options: tuple[str, ...], checkout: str) -> None:
    upstream.edit("gitbatch.toml", "jobs = 4", f'jobs = 4\ncheckout = "{checkout}"')
    upstream.commit()
    place = clone(upstream, *options)
    assert lacks(place) > 0
    done = place.gitbatch(*RUN, code=0)
    said = [line for line in done.stderr.splitlines() if "fetching" in line]
    assert said, "the user is told of it"
    assert len(said) == 1 or "tree:0" in options[-1]
    assert "that this partial clone lacks from origin" in said[-1]
    assert fetches(place) == [], "nothing is fetched once agents run"
    assert len(audit(place).items) == 4
    assert lacks(place) == (0 if checkout == "full" else FOREIGN)
    assert place.git("for-each-ref", "refs/tags") == ""
    assert not (place.root / ".git/FETCH_HEAD").exists()
    assert_tidy(place)


@pytest.mark.parametrize("checkout", ["full", "context"])
def test_what_checks_need_is_fetched_before_anything_runs(upstream: Place, checkout: str) -> None:
    upstream.write("elsewhere/check.sh", '[ -s "$1" ] && ls elsewhere | wc -l >"$2"\n')
    command = json.dumps(["sh", "elsewhere/check.sh", "{output}", str(upstream.home / "seen")])
    upstream.edit("gitbatch.toml", "jobs = 4", 'jobs = 4\ncheckout = "context"')
    config = upstream.read("gitbatch.toml")
    table = f'\n[checks.it]\ncommand = {command}\ncheckout = "{checkout}"\nsandbox = "none"\non = ["out/letters/a.md"]\n'
    upstream.write("gitbatch.toml", f"{config}{table}")
    upstream.commit()
    place = clone(upstream, *SPARSE)
    place.gitbatch(*RUN, code=0)
    assert fetches(place) == [], "nothing is fetched once agents run"
    is_full = checkout == "full"
    assert lacks(place) == (0 if is_full else FOREIGN)
    assert (place.home / "seen").read_text().strip() == (str(FOREIGN) if is_full else "1")


def test_a_clone_without_any_blob_runs_on_a_branch(upstream: Place) -> None:
    place = clone(upstream, *NOTHING)
    place.gitbatch(*RUN, "--branch", "work", code=0)
    assert lacks(place) == 0


@pytest.mark.parametrize(("how", "checkout"), [("option", "full"), ("setting", "context")])
def test_without_fetching_one_line_names_the_number_and_a_command_that_works(
    upstream: Place, how: str, checkout: str
) -> None:
    setting = "\nfetch = false" if how == "setting" else ""
    upstream.edit("gitbatch.toml", "jobs = 4", f'jobs = 4\ncheckout = "{checkout}"{setting}')
    upstream.commit()
    place = clone(upstream, *SPARSE)
    option = ("--no-fetch",) if how == "option" else ()
    before = place.state()
    done = place.gitbatch(*RUN, *option, code=1)
    assert place.state() == before
    error, advice = done.stderr.splitlines()[-2:]
    missing = lacks(place)
    count = missing if checkout == "full" else missing - FOREIGN
    assert error == f"gitbatch: {count} objects that the batch needs are missing in this partial clone"
    command = advice.removeprefix("  fetch them: ")
    ran = subprocess.run(["sh", "-c", command], cwd=place.root, env=place.environment, check=True)
    assert ran.returncode == 0
    assert lacks(place) == 0
    assert "fetching" not in place.gitbatch(*RUN, *option, code=0).stderr


def test_a_remote_that_is_gone_is_one_line(upstream: Place, tmp_path: Path) -> None:
    place = clone(upstream, *SPARSE)
    upstream.root.rename(tmp_path / "gone")
    before = place.state()
    done = place.gitbatch(*RUN, code=1)
    assert "missing in this partial clone, and fetching from origin failed: " in done.stderr
    assert "git -c failed" not in done.stderr
    assert place.state() == before
    (tmp_path / "gone").rename(upstream.root)
    place.gitbatch(*RUN, code=0)


@pytest.mark.parametrize("command", [("plan",), ("status",), ("gc",)])
def test_what_changes_nothing_fetches_nothing(upstream: Place, command: tuple[str, ...]) -> None:
    upstream.git("mv", "task.md", "docs/task.md")
    upstream.commit()
    place = clone(upstream, *SPARSE)
    before = lacks(place)
    done = place.gitbatch(*command)
    assert lacks(place) == before
    assert "git -c failed" not in done.stderr
    if command == ("plan",):
        assert "missing in this partial clone" in done.stderr
        assert done.returncode == 1


@pytest.mark.parametrize("checkout", ["full", "context"])
def test_what_a_pull_between_two_groups_brings_is_fetched(upstream: Place, checkout: str) -> None:
    upstream.edit("gitbatch.toml", "jobs = 4", f'jobs = 4\ncheckout = "{checkout}"')
    upstream.edit("task.md", "out/pairs/ab.md (context:", "out/pairs/ab.md (context: docs/inside/notes.md,")
    upstream.commit()
    place = clone(upstream, *SPARSE)
    place.gitbatch("run", "--items", "all", "--checkpoint", "after-each", "--branch", "work", code=3)
    upstream.write("docs/inside/notes.md", "what an item reads, newer\n")
    upstream.write("elsewhere/new.md", "new\n")
    upstream.commit()
    place.git("fetch", "--quiet")
    place.git("-c", "core.sparseCheckout=true", "checkout", "--quiet", "work")
    place.git("merge", "--quiet", "--no-edit", "origin/main")
    place.git("checkout", "--quiet", "main")
    missing = ("docs/inside/notes.md", "elsewhere/new.md")
    assert lacks(place, "work") == len(missing) + (checkout == "context") * FOREIGN
    place.gitbatch("run", code=3)
    assert len(fetches(place)) == 1
    assert lacks(place, "work") == (checkout == "context") * (FOREIGN + 1)


def test_a_repository_that_lacks_an_object_and_is_no_partial_clone_is_damaged(three: Place) -> None:
    blob = three.git("rev-parse", "HEAD:task.md")
    (three.root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    done = three.gitbatch(*RUN, code=1)
    assert f"object {blob} is missing from the repository" in done.stderr
    assert "git fsck" in done.stderr
    three.git("hash-object", "-w", "task.md")
