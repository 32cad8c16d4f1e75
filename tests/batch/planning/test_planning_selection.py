"""What the words of `--items` name."""

import pytest
from conftest import Workspace
from history import ticked
from sessions import run_here

from gitbatch.batch.planning.selection import select_items
from gitbatch.errors import ExitCode, UsageError
from gitbatch.plan.model import ItemReference, Plan, PlanOptions
from gitbatch.plan.parse import parse_plan
from gitbatch.project.control import PlanChoice

TEXT = """# P

## Work Packages

### 1. Guides (draft):

- [ ] T101 One → Output: docs/a.md
- [x] T102 Two → Output: docs/b.md
- [ ] T103b Three → Output: docs/[c].md

### Pages, and more

- [ ] T201 Four → Output: out/d.md
- [ ] T202 Five → Output: docs/a.md

### *Guides*

- [ ] WP-1 Six → Output: `out/e,f.md`
"""
EVERY = ["docs/a.md", "docs/[c].md", "out/d.md", "docs/a.md", "out/e,f.md"]


def parsed() -> Plan:
    plan = parse_plan(TEXT.encode(), "task.md", PlanOptions())
    assert len(plan.items) == 6
    return plan


def chosen(words: str) -> list[str]:
    """The outputs that words name, with T201 and the done T102 as what failed last."""
    failed = frozenset(map(ItemReference, ("2:out/d.md", "1:docs/b.md")))
    return [item.output for item in select_items(parsed(), words, lambda: failed)]


@pytest.mark.parametrize(
    ("words", "outputs"),
    [
        ("all", EVERY),
        (" Open ", EVERY),
        ("failed", ["out/d.md"]),
        ("T101", ["docs/a.md"]),
        ("t101, T103B", ["docs/a.md", "docs/[c].md"]),
        ("docs/[c].md", ["docs/[c].md"]),
        ("2:docs/a.md", ["docs/a.md"]),
        ("out/e,f.md", ["out/e,f.md"]),
        ("wp-1,T201,T201,", ["out/d.md", "out/e,f.md"]),
        ("group:1", ["docs/a.md", "docs/[c].md"]),
        ("group:1-2", EVERY[:4]),
        ("Group:3,1", ["docs/a.md", "docs/[c].md", "out/e,f.md"]),
        ("group:3,T201", ["out/d.md", "out/e,f.md"]),
        ("T201,group:1,3,wp-1", [*EVERY[:3], "out/e,f.md"]),
        ("group:guides", ["docs/a.md", "docs/[c].md", "out/e,f.md"]),
        ("group:Pages, and more", ["out/d.md", "docs/a.md"]),
        ("T1*", ["docs/a.md", "docs/[c].md"]),
        ("t20?", ["out/d.md", "docs/a.md"]),
        ("out/*", ["out/d.md", "out/e,f.md"]),
        ("T[12]01, failed", ["docs/a.md", "out/d.md"]),
        ("*", EVERY),
    ],
)
def test_words(words: str, outputs: list[str]) -> None:
    assert chosen(words) == outputs


@pytest.mark.parametrize(
    ("words", "message", "advice"),
    [
        (" , ", "--items is empty", "use all"),
        ("T110", "no item is called 'T110'", "did you mean T101?"),
        ("t1o1", "no item is called 't1o1'", "did you mean T101?"),
        ("docs/x.md", "no item is called 'docs/x.md'", "did you mean docs/a.md?"),
        ("nonsense", "no item is called 'nonsense'", "see gitbatch plan"),
        (
            "docs/a.md",
            "2 items are called docs/a.md",
            "name the one that you mean: 1:docs/a.md or 2:docs/a.md",
        ),
        ("t102", "t102 is done", "untick it"),
        ("group:Gudes", "group:Gudes is not in the plan", "did you mean group:guides?"),
        ("group:9", "group:9 is not in the plan", "its groups are 1 to 3"),
        ("group:0", "group:0 is not in the plan", "its groups are 1 to 3"),
        ("group:2-1", "group:2-1 is not in the plan", "its groups are 1 to 3"),
        (f"group:1-{'9' * 5000}", "is not in the plan", "its groups are 1 to 3"),
        ("group:", "group: is not in the plan", "see gitbatch plan"),
        ("X*", "no open item has an id or output path like 'X*'", "see gitbatch plan"),
        ("t102*", "no open item has an id or output path like 't102*'", "see gitbatch plan"),
    ],
)
def test_words_that_name_nothing(words: str, message: str, advice: str) -> None:
    with pytest.raises(UsageError) as raised:
        chosen(words)
    assert (message in raised.value.message, advice in raised.value.advice) == (True, True), (
        raised.value.advice
    )
    assert raised.value.code is ExitCode.USAGE


def test_nothing_failed() -> None:
    with pytest.raises(UsageError, match="no open item failed in the last batch"):
        select_items(parsed(), "failed", frozenset)
    with pytest.raises(UsageError, match="failed items are not known here"):
        select_items(parsed(), "failed")


def test_a_group_without_open_items() -> None:
    plan = parse_plan(TEXT.replace("[ ]", "[x]").encode(), "task.md", PlanOptions())
    assert select_items(plan, "group:1") == ()


def test_what_failed_last_runs_again(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only that, by the last batch of the same plan: T201 reads what T101 did not write, and T202 is merely open."""
    three.edit("task.md", "Write a →", "Write a do: fail →")
    three.write("docs/task.md", three.read("task.md").replace("→ Output: out", "→ Output: docs/out"))
    three.commit()
    with pytest.raises(UsageError, match="no open item failed in the last batch"):
        run_here(three, monkeypatch, items="failed")
    run_here(three, monkeypatch, items="T101,T102,T201")
    run_here(three, monkeypatch, items="T104", plan=PlanChoice("docs/task.md"))
    three.edit("task.md", " do: fail", "")
    three.commit()
    assert ticked(three) == ["T102"]
    run_here(three, monkeypatch, items="failed")
    assert ticked(three) == ["T101", "T102", "T201"]
    with pytest.raises(UsageError, match="no open item failed in the last batch"):
        run_here(three, monkeypatch, items="failed")
