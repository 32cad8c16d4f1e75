"""`gitbatch lint --here` has an error if and only if `gitbatch run` refuses, over mutated plans and configurations.

Each mutant is committed, and both answers come from the functions of the commands, in this process. The usual round is a
sample; the long one has 5,000 mutants:

    GITBATCH_LINT=long pytest tests/batch/planning/test_lint_property.py
"""

import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from conftest import Workspace
from sessions import session_settings

from gitbatch.agents.pool import AgentPool
from gitbatch.agents.process.starter import Starter
from gitbatch.batch.caller import Unattended
from gitbatch.batch.event_stream import EventStream
from gitbatch.batch.history.record import Batch
from gitbatch.batch.opening import Opening
from gitbatch.batch.planning.lint import LintSettings, lint_start
from gitbatch.batch.planning.start_checks import Folders
from gitbatch.errors import GitbatchError
from gitbatch.project.control import BY_CONVENTION
from gitbatch.repo.opening import open_repository
from gitbatch.repo.refs.names import base_ref, record_ref
from gitbatch.repo.repository import Repository

PARTS = 10 if os.environ.get("GITBATCH_LINT") == "long" else 1
MUTANTS = 500 if PARTS > 1 else 25
"""Of each part."""
SEED = 16

PLAN = """\
# A plan

## Definition of Done
- [ ] first
- [x] second

## Work Packages

### One
- [x] T1 Begin → Output: docs/begin.md
- [ ] T2 Write → DoD: #1 → Output: out/two.md (context: docs/notes.md)
- [ ] T3 Draw → Output: out/three.md → After: T2

### Two
<!-- sequential -->
- [ ] T4 Join (context: out/two.md, docs) <!-- agent: other -->
- [ ] T5 End <!-- retries: 1 -->
"""
CONFIG = """\
[batch]
jobs = 2
agent = "writer"
retry-pause = "1s"

[project]
shared = ["inventory.md"]
condensed = ["{name}.short.md"]

[agents.writer]
kind = "command"
command = ["sh", "tools/agent.sh"]
sandbox = "none"

[agents.other]
kind = "command"
command = ["tools/agent.sh"]
sandbox = "none"
timeout = "5m"
"""
TEXTS = (  # what an editor of a plan writes instead of something else
    *("[ ]", "[x]", "[]", "[-]", "[ ]*", "→", "->", "⟶", "Output:", "Outptu:", "DoD: #9", "DoD: #1", "(context: gone.md)"),
    *("(context: docs/*.md)", "(context: sub/a.md)", "docs/notes.md", "link/x.md", "sub/x.md", "docs", "nested/x.md", "T2", "T9"),
    *("status.md", "inventory.md", "../x.md", "out/two.md", "→ Agent: nobody", "→ Agent: other", "<!-- parallel -->", "### Three"),
    *("<!-- agent: missing -->", "→ After: T5", "`", "(", "## Done", "- [ ] T6 more", "- [ ] second"),
)  # fmt: skip
VALUES = (
    *('"writer"', '"wrtier"', '"none"', '"no"', "3", '"3"', "0", "true", "[]", '["no-such-program-here"]', '["./gone.sh"]'),
    *('["tools/agent.sh"]', '["docs/notes.md"]', '"command"', '"comand"', '"anthropic"', '"1s"', '"soon"', '["a/{phase}.md"]', "{"),
    *('["status.md"]', "2.5", '"inventory.md"', '"landlok"'),
)  # fmt: skip
LINES = (
    *("max-cost = 1", "max-tokens = 100", 'worktrees = "."', 'worktrees = "/tmp/w"', "job = 1", "fetch = false"),
    *("[agents.third]", 'kind = "command"', 'output = "out/x.md"', "reports-usage = true", "[titles]", 'work = ["Done"]'),
)  # fmt: skip

Mutation = Callable[[Workspace, random.Random], str]


def change_plan(workspace: Workspace, chance: random.Random) -> str:
    """A few letters of the plan become others."""
    pieces = re.split(r"(\s+)", workspace.read("task.md"))
    at = chance.randrange(len(pieces))
    pieces[at] = chance.choice((*TEXTS, "", f"{pieces[at]} {chance.choice(TEXTS)}"))
    workspace.write("task.md", "".join(pieces))
    return f"plan {pieces[at]!r}"


def move_lines(workspace: Workspace, chance: random.Random) -> str:
    """A line of the plan is left out, doubled, or stands elsewhere."""
    lines = workspace.read("task.md").splitlines(keepends=True)
    line = lines.pop(chance.randrange(len(lines))) if lines else ""
    for _ in range(chance.randrange(3)):
        lines.insert(chance.randint(0, len(lines)), line)
    workspace.write("task.md", "".join(lines))
    return f"line {line!r}"


def tick_boxes(workspace: Workspace, chance: random.Random) -> str:
    """Criteria, items, or both are ticked."""
    head, title, items = workspace.read("task.md").partition("## Work Packages")
    if which := chance.randrange(3):
        head = head.replace("- [ ]", "- [x]")
    if which != 1:
        items = items.replace("- [ ]", "- [x]")
    workspace.write("task.md", f"{head}{title}{items}")
    return f"ticked {which}"


def change_value(workspace: Workspace, chance: random.Random) -> str:
    """A setting has another value."""
    lines = workspace.read("gitbatch.toml").splitlines()
    at = chance.choice([number for number, line in enumerate(lines) if " = " in line] or [0])
    lines[at] = f"{lines[at].partition(' = ')[0]} = {chance.choice(VALUES)}"
    workspace.write("gitbatch.toml", "\n".join(lines) + "\n")
    return lines[at]


def change_settings(workspace: Workspace, chance: random.Random) -> str:
    """A setting or a table is added or left out, or its name has another letter."""
    lines = workspace.read("gitbatch.toml").splitlines()
    at = chance.randrange(len(lines))
    line = lines[at]
    letter = chance.randrange(len(line) or 1)
    others: tuple[list[str], ...] = (
        [],
        [chance.choice(LINES), line],
        [line, chance.choice(LINES)],
        [line[:letter] + line[letter + 1 :]],
    )
    lines[at : at + 1] = chance.choice(others)
    workspace.write("gitbatch.toml", "\n".join(lines) + "\n")
    return f"settings {line!r} {lines[at : at + 2]}"


def change_scope(workspace: Workspace, chance: random.Random) -> str:
    """CLAUDE.md names a phase, or files are missing."""
    which = chance.choice(["## Active Scope\n\nPhase: one\n", "## Active Scope\n\n", "# Nothing\n"])
    workspace.write("CLAUDE.md", which)
    if chance.randrange(2):
        workspace.write("docs/phases/one/task.md", workspace.read("task.md"))
    return f"scope {which!r}"


def remove_file(workspace: Workspace, chance: random.Random) -> str:
    """A file is not there."""
    path = chance.choice(["docs/notes.md", "tools/agent.sh", "task.md", "gitbatch.toml", "docs/begin.md"])
    (workspace.root / path).unlink(missing_ok=True)
    return f"without {path}"


MUTATIONS: tuple[Mutation, ...] = (
    *(change_plan,) * 6,
    *(move_lines, move_lines, tick_boxes, change_value, change_value, change_value),
    *(change_settings, change_settings, change_scope, remove_file),
)


def disturb(workspace: Workspace, chance: random.Random) -> str:
    """Something in the checkout that is not committed, now and then."""
    match chance.randrange(24):
        case 0:
            workspace.write(chance.choice(["task.md", "status.md", "gitbatch.toml", "out/two.md"]), "dirty\n")
            return "dirty"
        case 1:
            workspace.git("branch", "gitbatch")
            return "a branch gitbatch"
        case 2:
            workspace.git("checkout", "-q", "--detach")
            return "detached"
        case 3:
            workspace.write(".git/MERGE_HEAD", workspace.git("rev-parse", "HEAD") + "\n")
            return "merging"
        case 4:
            workspace.git("init", "-q", "nested")
            return "nested"
        case _:
            return ""


@pytest.fixture
def project(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A project that runs, with a submodule and a link, and one commit."""
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    workspace.git("config", "user.name", "A")  # the variables are taken when the repository is opened first
    workspace.git("config", "user.email", "a@example.org")
    workspace.write("task.md", PLAN)
    workspace.write("gitbatch.toml", CONFIG)
    for path in ("docs/notes.md", "docs/begin.md", "rules.md", "tools/agent.sh"):
        workspace.write(path, "#!/bin/sh\n")
    (workspace.root / "tools/agent.sh").chmod(0o755)
    (workspace.root / "link").symlink_to("docs")
    workspace.commit()
    workspace.git("update-index", "--add", "--cacheinfo", f"160000,{workspace.git('rev-parse', 'HEAD')},sub")
    workspace.git("commit", "-qm", "A submodule")
    workspace.git("branch", "start")
    return workspace


def reset(workspace: Workspace) -> None:
    """Everything is as it was at the start."""
    (workspace.root / ".git/MERGE_HEAD").unlink(missing_ok=True)
    shutil.rmtree(workspace.root / "nested", ignore_errors=True)
    workspace.git("checkout", "-qfB", "main", "start")
    workspace.git("clean", "-qfdx", "-e", "sub")
    workspace.git("branch", "-qD", "gitbatch", check=False)


def run_refuses(repo: Repository, workspace: Workspace) -> str:
    """Returns why a run refuses to start; empty if it starts, or if nothing is left to do."""
    with closing(Starter()) as starter:
        pool = AgentPool(dict(workspace.environment), None, starter)
        opening = Opening(
            repo.fetching(None), session_settings(workspace), Unattended(), pool, EventStream(lambda: 0.0, ())
        )
        try:
            batch = opening.begin_batch()
        except GitbatchError as error:
            return error.message or "refused"
        if isinstance(batch, Batch):
            for ref in (record_ref(batch.id), base_ref(batch.id)):
                workspace.git("update-ref", "-d", ref)
    return ""


def lint_errors(repo: Repository, workspace: Workspace) -> str:
    """Returns the errors that lint finds; a refusal is one."""
    folders = Folders(None, session_settings(workspace).cache_dir)
    try:
        found = lint_start(repo, BY_CONVENTION, LintSettings(workspace.environment, folders))
    except GitbatchError as error:
        return error.message
    return "; ".join(f"{d.code} {d.message}" for one in found for d in one.plan.errors)


def make_mutants(workspace: Workspace, part: int) -> Iterator[str]:
    """Changes the project again and again; yields how."""
    chance = random.Random(SEED + part)  # noqa: S311 - to be the same each time
    for _ in range(MUTANTS):
        reset(workspace)
        made = []
        for _ in range(chance.randrange(1, 4)):
            mutation = chance.choice(MUTATIONS)
            if all((workspace.root / path).exists() for path in ("task.md", "gitbatch.toml")):
                made.append(mutation(workspace, chance))
        workspace.git("add", "--all", "--", ":!sub")
        workspace.git("commit", "-q", "--allow-empty", "-m", "mutant")
        made.append(disturb(workspace, chance))
        yield ", ".join(filter(None, made))


@pytest.mark.parametrize("part", range(PARTS))
def test_lint_has_an_error_if_and_only_if_a_run_refuses(project: Workspace, part: int) -> None:
    counts = Counter[bool]()
    wrong = []
    for made in make_mutants(project, part):
        with closing(open_repository(project.root)) as repo:
            refused, errors = run_refuses(repo, project), lint_errors(repo, project)
        counts[bool(refused)] += 1
        if bool(refused) is not bool(errors):
            wrong.append(f"{made}\n  run:  {refused}\n  lint: {errors}")
    assert not wrong, "\n".join(wrong[:10])
    assert min(counts[True], counts[False]) > MUTANTS // 10, counts


def test_the_project_itself_is_good(project: Workspace) -> None:
    with closing(open_repository(project.root)) as repo:
        assert (run_refuses(repo, project), lint_errors(repo, project)) == ("", "")


def test_a_full_disk_refuses(project: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs
    with closing(open_repository(project.root)) as repo:
        monkeypatch.setattr(
            os, "statvfs", lambda path: os.statvfs_result((*real(path)[:3], 0, 0, *real(path)[5:]))
        )
        assert run_refuses(repo, project).startswith("the disk is full: ")
        assert lint_errors(repo, project).startswith("GB410 the disk is full: ")
