"""The sample repository by itself: its plan, its agents, its package. Nothing of gitbatch runs here.

The agents are started as gitbatch starts them: the command of `gitbatch.toml`, the worktree's root as the current
directory, the assignment in environment variables. Each item runs in one shared copy of the tree, in plan order.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "fixtures" / "repos" / "demo"
PHASE = Path("docs/phases/reference")
CONFIG = tomllib.loads((DEMO / "gitbatch.toml").read_text(encoding="utf-8"))
FAILING = "T107"
BLOCKED = "T204"
MODULES = ("months", "weekdays", "feasts", "workdays", "rules", "phrases")


@dataclass(frozen=True, slots=True)
class Item:
    """One checkbox of the sample plan."""

    id: str
    group: str
    agent: str
    output: str
    context: tuple[str, ...]
    criteria: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one start of an agent left behind. `changed` names every file that appeared, changed or went away."""

    status: int
    stderr: str
    changed: tuple[str, ...]
    progress: tuple[str, ...]
    reply: dict[str, object] | None


def require_match(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found, f"{pattern} is not in {text!r}"
    return found[1]


def read_items() -> tuple[Item, ...]:
    work = (DEMO / PHASE / "task.md").read_text(encoding="utf-8").partition("## Work Packages")[2]
    items = []
    for part in work.split("\n### ")[1:]:
        group, _, body = part.partition("\n")
        hinted = re.search(r"<!-- agent: (\w+) -->", body)
        for text in re.findall(r"^- \[ \] (.+(?:\n  .+)*)", body, re.MULTILINE):
            named = re.search(r"→ Agent: (\w+)", text) or hinted
            declared = re.search(r"\(context: ([^)]+)\)", text)
            items.append(
                Item(
                    id=text.split()[0],
                    group=group,
                    agent=named[1] if named else str(CONFIG["batch"]["agent"]),
                    output=require_match(r"→ Output: (\S+)", text),
                    context=tuple(re.split(r",\s+", declared[1])) if declared else (),
                    criteria=tuple(int(n) for n in re.findall(r"#(\d)", text)),
                )
            )
    return tuple(items)


ITEMS = read_items()
BY_ID = {item.id: item for item in ITEMS}
GROUPS = tuple(dict.fromkeys(item.group for item in ITEMS))
RUNNING = [item.id for item in ITEMS if item.id not in (FAILING, BLOCKED)]


def copy_tree(target: Path) -> Path:
    return shutil.copytree(DEMO, target, ignore=shutil.ignore_patterns("__pycache__"))


def snapshot(tree: Path) -> dict[str, bytes]:
    return {p.relative_to(tree).as_posix(): p.read_bytes() for p in tree.rglob("*") if p.is_file()}


def read_context(item: Item, tree: Path) -> tuple[str, ...]:
    """The files that gitbatch gives an item: rules, status, what the phase names for the group, declared files."""
    waves = (tree / PHASE / "discovery-waves.md").read_text(encoding="utf-8")
    section = waves.partition(f"\n## {item.group}\n")[2].partition("\n## ")[0]
    earlier = [other.output for other in ITEMS if GROUPS.index(other.group) < GROUPS.index(item.group)]
    given = item.context or tuple(path for path in earlier if (tree / path).exists())
    base = [str(PHASE / "rules.md"), str(PHASE / "status.md")]
    return (*base, *re.findall(r"`(\S+)`", section), *given)


def start(item: Item, tree: Path, outside: Path, *, watched: bool = True, said: str = "") -> Attempt:
    """Start the item's agent and wait for it; `said` is what a check has said of the attempt before. Files that are not in the worktree go to the folder `outside`."""
    outside.mkdir(parents=True, exist_ok=True)
    manifest, progress, reply = outside / "context", outside / "progress", outside / "reply.json"
    prompt = outside / "prompt.md"
    manifest.write_text("".join(f"{path}\n" for path in read_context(item, tree)), encoding="utf-8")
    prompt.write_text(f"Do it.\n{said}", encoding="utf-8")
    program, *arguments = CONFIG["agents"][item.agent]["command"]
    assert program == "python3"
    before = snapshot(tree)
    done = subprocess.run(
        [sys.executable, *(argument.replace("{output}", item.output) for argument in arguments)],
        cwd=tree,
        env={
            "PATH": os.environ["PATH"],
            "GITBATCH_OUTPUT": item.output,
            "GITBATCH_ITEM": f"1-{item.id}",
            "GITBATCH_PROMPT_FILE": str(prompt),
            "GITBATCH_CONTEXT": str(manifest),
            "GITBATCH_REPLY": str(reply),
        }
        | ({"GITBATCH_PROGRESS": str(progress)} if watched else {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    after = snapshot(tree)
    return Attempt(
        status=done.returncode,
        stderr=done.stderr,
        changed=tuple(sorted(p for p in before | after if before.get(p) != after.get(p))),
        progress=tuple(progress.read_text(encoding="utf-8").splitlines()) if progress.exists() else (),
        reply=json.loads(reply.read_text(encoding="utf-8")) if reply.exists() else None,
    )


def run_all(tree: Path, outside: Path, ids: Iterable[str], *, watched: bool) -> dict[str, Attempt]:
    return {name: start(BY_ID[name], tree, outside / name, watched=watched) for name in ids}


@dataclass(frozen=True, slots=True)
class Batch:
    tree: Path
    attempts: dict[str, Attempt]


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """Every item that is started, in plan order, in a tree whose path has a space and an umlaut."""
    root = tmp_path_factory.mktemp("demo")
    tree = copy_tree(root / "a wörk tree")
    ids = [item.id for item in ITEMS if item.id != BLOCKED]
    return Batch(tree, run_all(tree, root / "out side", ids, watched=True))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return copy_tree(tmp_path / "tree")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


# The plan


def test_the_plan_has_three_groups_and_thirteen_items() -> None:
    assert GROUPS == ("Module pages", "Guides", "Release")
    assert [item.id for item in ITEMS] == [
        *(f"T10{n}" for n in range(1, 8)),
        *(f"T20{n}" for n in range(1, 5)),
        *(f"T30{n}" for n in range(1, 3)),
    ]


def test_no_two_items_share_an_output_and_none_is_there_already() -> None:
    outputs = [item.output for item in ITEMS]
    assert len(set(outputs)) == len(outputs)
    assert [path for path in outputs if (DEMO / path).exists()] == []


def test_every_agent_is_configured_and_every_one_is_used() -> None:
    assert {item.agent for item in ITEMS} == set(CONFIG["agents"])


def test_declared_context_is_in_the_tree_or_the_output_of_an_earlier_group() -> None:
    for item in ITEMS:
        earlier = {o.output for o in ITEMS if GROUPS.index(o.group) < GROUPS.index(item.group)}
        assert [p for p in item.context if p not in earlier and not (DEMO / p).is_file()] == []


def test_the_last_criterion_is_cross_cutting() -> None:
    plan = (DEMO / PHASE / "task.md").read_text(encoding="utf-8")
    section = plan.partition("## Definition of Done")[2].partition("\n## ")[0]
    numbers = set(range(1, section.count("- [ ] ") + 1))
    assert numbers - {n for item in ITEMS for n in item.criteria} == {max(numbers)}


def test_the_scope_names_one_phase_that_has_its_files() -> None:
    scope = (DEMO / "CLAUDE.md").read_text(encoding="utf-8").partition("## Active Scope\n")[2]
    assert re.findall(r"^Phase: (\S+)$", scope, re.MULTILINE) == [PHASE.name]
    found = {path.name for path in (DEMO / PHASE).iterdir()}
    assert found >= {"task.md", "status.md", "decisions-log.md", "rules.md", *CONFIG["project"]["shared"]}


def test_the_blocked_item_needs_what_the_failing_one_does_not_write() -> None:
    needing = [item.id for item in ITEMS if BY_ID[FAILING].output in item.context]
    assert needing == [BLOCKED]


# The agents


@pytest.mark.parametrize("name", RUNNING)
def test_an_agent_writes_its_output_and_nothing_else(batch: Batch, name: str) -> None:
    attempt = batch.attempts[name]
    assert (attempt.status, attempt.stderr, attempt.changed) == (0, "", (BY_ID[name].output,))
    assert (batch.tree / BY_ID[name].output).read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("name", RUNNING)
def test_a_reply_has_a_summary_with_numbers_and_lines_for_the_shared_file(batch: Batch, name: str) -> None:
    reply = batch.attempts[name].reply
    assert reply is not None
    assert set(reply) == {"summary", "decisions", "contributions"}
    summary, decisions, contributions = reply["summary"], reply["decisions"], reply["contributions"]
    assert isinstance(summary, str)
    assert 2 <= len(re.findall(r"[.!?](?:\s|$)", summary)) <= 3
    assert re.search(r"\d", summary)
    assert isinstance(decisions, list)
    assert isinstance(contributions, list)
    assert [c for c in contributions if c["artifact"] not in CONFIG["project"]["shared"]] == []
    assert [line for line in [*decisions, *(c["text"] for c in contributions)] if "\n" in line] == []


def test_every_module_page_hands_in_an_inventory_line_and_some_items_a_decision(batch: Batch) -> None:
    replies = {name: batch.attempts[name].reply or {} for name in RUNNING}
    lines = {name: reply["contributions"] for name, reply in replies.items()}
    assert all(lines[name] for name in RUNNING if BY_ID[name].group == "Module pages")
    assert [name for name, reply in replies.items() if reply["decisions"]] == ["T201", "T202", "T301"]


@pytest.mark.parametrize("name", RUNNING)
def test_progress_is_a_few_lines_and_ends_with_the_output(batch: Batch, name: str) -> None:
    progress = batch.attempts[name].progress
    assert 3 <= len(progress) <= 8  # each costs a moment of pacing
    assert progress[-1].startswith(f"wrote {BY_ID[name].output}, ")


def test_the_legacy_module_fails_with_its_reason_in_one_line(batch: Batch) -> None:
    attempt = batch.attempts[FAILING]
    reason = "almanac/yearsheet.py:22: not valid Python 3: Missing parentheses in call to 'print'. Did you mean print(...)?\n"
    assert (attempt.status, attempt.stderr) == (1, reason)
    assert (attempt.changed, attempt.reply) == ((), None)
    assert attempt.progress == ("reading almanac/yearsheet.py",)


def test_once_the_legacy_module_is_ported_the_two_open_items_run(batch: Batch, tmp_path: Path) -> None:
    tree = shutil.copytree(batch.tree, tmp_path / "ported")
    legacy = tree / "almanac" / "yearsheet.py"
    ported = re.sub(r"print (\".*)", r"print(\1)", legacy.read_text(encoding="utf-8"))
    legacy.write_text(ported, encoding="utf-8")
    attempts = run_all(tree, tmp_path / "outside", (FAILING, BLOCKED), watched=False)
    assert {name: (a.status, a.stderr, a.changed) for name, a in attempts.items()} == {
        name: (0, "", (BY_ID[name].output,)) for name in (FAILING, BLOCKED)
    }
    sheet = (tree / BY_ID[BLOCKED].output).read_text(encoding="utf-8")
    assert re.findall(r"^## \[(\w+)\]", sheet, re.MULTILINE) == [*MODULES, "yearsheet"]


def test_the_same_source_gives_the_same_files_anywhere_and_unwatched(batch: Batch, tmp_path: Path) -> None:
    tree = copy_tree(tmp_path / "elsewhere")
    run_all(tree, tmp_path / "outside", RUNNING, watched=False)
    assert snapshot(tree) == snapshot(batch.tree)


def test_a_page_follows_the_layout_of_the_rules(tree: Path, tmp_path: Path) -> None:
    rules = tree / PHASE / "rules.md"
    edit(rules, "1. `## Contents`", "1. `## Builds on`")
    edit(rules, "6. `## Builds on`", "6. `## Contents`")
    start(BY_ID["T105"], tree, tmp_path / "outside")
    page = (tree / BY_ID["T105"].output).read_text(encoding="utf-8")
    titles = re.findall(r"^## (.+)", page, re.MULTILINE)
    assert titles == ["Builds on", "About", "Constants", "Functions", "Classes", "Contents"]


def test_a_section_that_no_agent_can_write_fails_the_item(tree: Path, tmp_path: Path) -> None:
    edit(tree / PHASE / "rules.md", "2. `## About`", "2. `## History`")
    attempt = start(BY_ID["T101"], tree, tmp_path / "outside")
    reason = "docs/phases/reference/rules.md: no agent can write the section History\n"
    assert (attempt.status, attempt.stderr, attempt.changed) == (1, reason, ())


def test_an_example_that_fails_is_on_record_without_the_machine_it_failed_on(
    tree: Path, tmp_path: Path
) -> None:
    edit(tree / "almanac" / "months.py", "2027-04-30", "2027-04-31")
    attempt = start(BY_ID["T203"], tree, tmp_path / "outside")
    record = (tree / BY_ID["T203"].output).read_text(encoding="utf-8")
    assert attempt.reply is not None
    assert str(attempt.reply["summary"]).endswith(" passed and 1 failed.")
    assert "| `months.last` | 1 | **1 failed** |" in record
    assert 'File "almanac/months.py", line' in record
    assert str(tmp_path) not in record


def test_an_agent_without_an_assignment_says_what_it_is(tree: Path) -> None:
    for agent in CONFIG["agents"].values():
        argv = [sys.executable, *agent["command"][1:]]
        done = subprocess.run(argv, cwd=tree, env={}, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("this is an agent: gitbatch starts it")


# The pages


def read_anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_of_every_page_leads_somewhere(batch: Batch) -> None:
    broken, links = [], 0
    for page in batch.tree.rglob("*.md"):
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            path, _, anchor = target.partition("#")
            file = page.parent / path if path else page
            links += 1
            if not file.is_file() or (anchor and anchor not in read_anchors(file)):
                broken.append((page.name, target))
    assert broken == []
    assert links > 80


def test_the_gate_finds_a_link_that_leads_nowhere(batch: Batch, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(batch.tree, tree)
    command = [sys.executable, *CONFIG["gates"]["links"]["command"][1:]]
    done = subprocess.run(command, cwd=tree, capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stdout) == (0, "every link leads to a file\n")
    (tree / "docs/reference/months.md").unlink()
    done = subprocess.run(command, cwd=tree, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 1
    assert "docs/reference/weekdays.md:143: months.md does not exist\n" in done.stdout


def test_the_check_sends_the_baseline_back_and_lets_the_second_one_through(
    batch: Batch, tmp_path: Path
) -> None:
    tree, item = tmp_path / "tree", BY_ID["T302"]
    shutil.copytree(batch.tree, tree)
    command = [sys.executable, *CONFIG["checks"]["width"]["command"][1:-1], item.output]
    done = subprocess.run(command, cwd=tree, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 1
    assert done.stdout == "docs/release/api.txt:3: 168 characters, more than 120\n"
    assert start(item, tree, tmp_path / "outside", said=done.stdout).status == 0
    done = subprocess.run(command, cwd=tree, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout
    line = (tree / item.output).read_text(encoding="utf-8").splitlines()[2]
    assert (len(line), line[-1]) == (120, "…")


def test_a_page_shows_signature_docstring_and_examples_of_a_function(batch: Batch) -> None:
    page = (batch.tree / "docs/reference/months.md").read_text(encoding="utf-8")
    assert (
        "### `last`\n\n```python\ndef last(day: date) -> date\n```\n\n"
        "Return the last day of the month that `day` is in.\n\n"
        "```pycon\n>>> print(last(date(2027, 4, 9)))\n2027-04-30\n```\n"
    ) in page


def test_coverage_names_the_gaps_that_the_source_has(batch: Batch) -> None:
    page = (batch.tree / "docs/release/coverage.md").read_text(encoding="utf-8")
    assert re.findall(r"^- \[`(.+)`\]\(.+\): (.+)", page, re.MULTILINE) == [
        ("months.quarter", "no example"),
        ("weekdays.Weekday.label", "no example"),
        ("weekdays.weekend", "no docstring, no example"),
        ("workdays.Calendar.count", "no example"),
        ("rules.Unit", "no example"),
    ]


def test_the_call_table_knows_imports_methods_and_classes(batch: Batch) -> None:
    page = (batch.tree / "docs/guides/calls.md").read_text(encoding="utf-8")
    assert "| `rules.Rule.dates` | `months.shift`, `rules.Rule._positions`, `weekdays.following` |" in page
    assert "| `workdays.observing` | `feasts.moveable`, `workdays.Calendar` |" in page


def test_the_tree_speaks_of_itself_alone(batch: Batch) -> None:
    for path, data in snapshot(batch.tree).items():
        assert not re.search(rb"/(?:home|root|tmp|Users|work)/", data), path


# The package


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_the_package_pass(module: str, tree: Path) -> None:
    argv = [sys.executable, "-B", "-W", "error", "-m", "doctest", "-v", f"almanac/{module}.py"]
    done = subprocess.run(argv, cwd=tree, capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Test passed." in done.stdout
    assert "Trying:" in done.stdout


def test_the_package_reads_back_what_it_writes(tree: Path) -> None:
    program = """
from almanac import Rule, Unit, Weekday, describe, parse
rules = [Rule(unit, every) for unit in Unit for every in (1, 2, 12)]
rules += [Rule(Unit.WEEK, every, day) for every in (1, 3) for day in Weekday]
rules += [Rule(Unit.MONTH, every, day, n) for every in (1, 3) for day in Weekday for n in (1, 2, 3, 4, 5, -1)]
print(len(rules), [rule for rule in rules if parse(describe(rule)) != rule])
"""
    argv = [sys.executable, "-B", "-c", program]
    done = subprocess.run(argv, cwd=tree, capture_output=True, encoding="utf-8", check=False)
    assert (done.stdout, done.stderr) == ("110 []\n", "")
