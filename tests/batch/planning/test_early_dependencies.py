"""What each item has to wait for before it can start early, from the plan and its files. Pure."""

from collections.abc import Callable, Mapping

import pytest
from counting import growth_of
from msgspec.structs import replace
from plan.plan_samples import parse
from project.file_tree import FileTree

from gitbatch.batch.planning.early.dependencies import plan_early
from gitbatch.batch.planning.early.doubled import find_doubled
from gitbatch.batch.planning.early.model import EarlyGroup, EarlyItem, EarlyPlan, Obstacle
from gitbatch.batch.planning.project_state import ProjectView
from gitbatch.plan.model import ItemReference
from gitbatch.project.config import parse_config
from gitbatch.project.control import find_project

FIRST = "### One\n- [ ] A1 a → Output: out/a.md\n- [ ] A2 b → Output: out/b.md\n"


def view_of(text: str, files: Mapping[str, str] | None = None, config: str = "") -> ProjectView:
    task = f"## Work Packages\n{text}\n"
    tree = FileTree({"task.md": task, "status.md": "", "gitbatch.toml": config, **(files or {})})
    plan = parse(task)
    assert plan.errors == ()
    return ProjectView("", tree, find_project(tree, parse_config(config.encode())), plan, task.encode())


def plan_text(
    text: str,
    files: Mapping[str, str] | None = None,
    *,
    chosen: frozenset[str] | None = None,
    config: str = "",
    pauses: frozenset[int] = frozenset(),
) -> EarlyPlan:
    view = view_of(text, files, config)
    references = frozenset(i.reference for i in view.plan.items if chosen is None or i.name in chosen)
    return plan_early(view, 4, references, pauses)


def list_reads(found: EarlyPlan) -> str:
    return " ".join(each.partition(":")[2] for each in found.items[-1].reads)


@pytest.mark.parametrize(
    ("item", "reads"),
    [
        ("c (context: out/a.md)", "out/a.md"),
        ("c (context: /out/a.md, src/x.md)", "out/a.md"),
        ("c (context: src/x.md)", ""),
        ("c (context: out)", "out/a.md out/b.md"),
        ("c (context: src/x.md) → After: A2", "out/b.md"),
        ("c (context: src/x.md) → Output: out/b.md", "out/b.md"),
        ("c (context: src/x.md) <!-- wait -->", ""),
    ],
)
def test_what_an_item_reads(item: str, reads: str) -> None:
    assert list_reads(plan_text(f"{FIRST}### Two\n- [ ] B1 {item}", {"src/x.md": ""})) == reads


@pytest.mark.parametrize(
    ("written", "declared", "files", "is_read"),
    [
        ("src/x.condensed.md", "src/x.md", {"src/x.md": ""}, True),
        ("src/condensed/x.md", "src/x.md", {"src/x.md": ""}, True),
        ("status.condensed.md", "src/x.md", {"src/x.md": ""}, True),
        ("rules.condensed.md", "src/x.md", {"src/x.md": "", "rules.md": "# Rules"}, True),
        ("rules.condensed.md", "src/x.md", {"src/x.md": ""}, False),
        ("x.md", "x.md", {}, True),
        ("named.md", "src/x.md", {"src/x.md": "", "rules.md": "# Rules\n\n## Two\n\n- named.md\n"}, True),
        ("named.md", "src/x.md", {"src/x.md": "", "rules.md": "# Rules\n\n## Three\n\n- named.md\n"}, False),
        ("src/new/y.md", "src", {"src/x.md": ""}, True),
        ("srcs/y.md", "src", {"src/x.md": ""}, False),
    ],
)
def test_forms_documents_and_folders(
    written: str, declared: str, files: dict[str, str], *, is_read: bool
) -> None:
    text = f"### One\n- [ ] A1 a → Output: {written}\n### Two\n- [ ] B1 b (context: {declared})"
    assert list_reads(plan_text(text, files)) == (written if is_read else "")


def test_a_path_that_exists_is_the_one_that_a_name_means() -> None:
    text = "### One\n- [ ] A1 a → Output: docs/x.md\n### Two\n- [ ] B1 b (context: x.md)"
    assert list_reads(plan_text(text, {"x.md": ""})) == ""
    task = f"## Work Packages\n{text}\n"
    tree = FileTree({"docs/task.md": task})
    project = find_project(tree, parse_config(b""))
    view = ProjectView("", tree, project, parse(task), task.encode())
    found = plan_early(view, 4, frozenset(item.reference for item in view.plan.items))
    assert list_reads(found) == "docs/x.md"
    there = replace(view, snapshot=FileTree({"docs/task.md": task, "x.md": ""}))
    assert list_reads(plan_early(there, 4, frozenset(item.reference for item in view.plan.items))) == ""


def test_what_does_not_run_is_not_waited_for() -> None:
    text = f"{FIRST}- [x] A3 c → Output: out/c.md\n### Two\n<!-- sequential -->\n" + "".join(
        f"- [ ] B{n} b (context: out)\n" for n in (1, 2, 3)
    )
    found = plan_text(text, {"out/c.md": ""}, chosen=frozenset({"A1", "B1", "B3"}))
    assert list_reads(found) == "out/a.md"
    assert [item.obstacle for item in found.items] == [
        *(
            Obstacle.NO_CONTEXT,
            Obstacle.MISSING_INPUT,
            Obstacle.MISSING_INPUT,
        ),  # A2 was not chosen, or failed
    ]
    assert found.items[-1].waits == (found.items[1].reference,)
    assert [group.at_once for group in found.groups] == [4, 1]


def test_a_group_that_waits() -> None:
    text = f"{FIRST}### Two\n<!-- after: A2 -->\n- [ ] B1 b (context: src)\n- [ ] B2 b (context: out/a.md)"
    found = plan_text(text, chosen=frozenset({"A1", "A2", "B1", "B2"}))
    assert [item.reads for item in found.items[2:]] == [("1:out/b.md",), ("1:out/a.md", "1:out/b.md")]
    assert plan_text(text, chosen=frozenset({"A1", "B1"})).items[-1].reads == ()


def test_why_an_item_starts_with_its_group() -> None:
    text = (
        f"{FIRST}### Two\n<!-- barrier -->\n- [ ] B1 b\n- [ ] B2 b (context: +out/a.md)\n- [ ] B3 b (context: out/a.md)\n"
        "- [ ] B4 b (context: out/a.md) <!-- wait -->\n### Three\n- [ ] C1 c (context: out/a.md)\n"
        "### Four\n- [ ] D1 d (context: out/a.md)"
    )
    found = plan_text(text, pauses=frozenset({3}))
    assert [found.find_obstacle(item) for item in found.items] == [
        *(Obstacle.FIRST_GROUP,) * 2,
        *(Obstacle.NO_CONTEXT,) * 2,
        *(None, Obstacle.WAIT, Obstacle.BARRIER, Obstacle.PAUSE),
    ]
    without = plan_text(text, chosen=frozenset({"A1", "C1"}))  # nothing of the group with the barrier runs
    assert [without.find_obstacle(item) for item in without.items] == [Obstacle.FIRST_GROUP, Obstacle.BARRIER]


def test_an_item_that_declares_what_checkpoints_write_starts_with_its_group() -> None:
    text = (
        f"{FIRST}### Two\n- [ ] B1 b (context: list-inventory.md)\n- [ ] B2 b (context: status.md, out/a.md)"
    )
    found = plan_text(text, {"list-inventory.md": ""})
    assert [item.obstacle for item in found.items[2:]] == [Obstacle.SHARED_FILE, None]


DOD = "\n## Definition of Done\n- [ ] one\n- [x] two\n"


@pytest.mark.parametrize(
    ("dod", "config", "ends"),
    [
        (DOD, "", 2),
        (DOD, "[batch]\ntick-dod = false\n", None),
        (f"{DOD}- [ ] named by none\n", "", None),
        ("\n## Definition of Done\n- [x] one\n", "", 0),
        ("", "", None),
    ],
)
def test_nothing_passes_a_group_that_can_complete_the_definition_of_done(
    dod: str, config: str, ends: int | None
) -> None:
    def served(number: str) -> str:
        return f" → DoD: {number}" if dod else ""

    text = (
        f"### One\n- [ ] A1 a{served('#1')}\n### Two\n- [ ] B1 b{served('#1')}\n### Three\n- [ ] C1 c\n"
        f"### Four\n- [ ] D1 d\n{dod}"
    )
    found = plan_text(text, config=config)
    boundaries = [group.number for group in found.groups if group.boundary is Obstacle.DEFINITION_OF_DONE]
    assert boundaries == ([] if ends is None else [n for n in (1, 2, 3, 4) if n >= ends])
    if ends == 2:
        of_first = plan_text(text, config=config, chosen=frozenset({"A1", "C1"}))
        assert not any(group.boundary for group in of_first.groups)


def test_what_items_read_is_found_in_a_time_that_grows_with_the_items_alone() -> None:
    def prepare(size: int) -> Callable[[], object]:
        lines = (
            f"### G{group}\n" + "".join(f"- [ ] T{group}{n:03} a (context: x/T{n}.md)\n" for n in range(size))
            for group in (1, 2, 3)
        )
        view = view_of("".join(lines))
        references = frozenset(item.reference for item in view.plan.items)
        return lambda: plan_early(view, 4, references)

    assert growth_of(prepare, 10) < 2.2


A, B, C, D, E, F = (ItemReference(f"{number}:{name}") for number, name in enumerate("ABCDEF", 1))
_OUTPUTS = {A: "a.md", B: "a.md", C: "c.md", D: "d.md", E: "e.md", F: "f.md"}


def plan_of(**reads: tuple[ItemReference, ...]) -> EarlyPlan:
    items = tuple(EarlyItem(each, n, reads.get(each[2:], ())) for n, each in enumerate(_OUTPUTS, 1))
    return EarlyPlan(items, tuple(EarlyGroup(item.group, 9) for item in items))


@pytest.mark.rule("F2")
def test_a_base_has_no_file_in_two_versions() -> None:
    """B writes the file of A again. Who reads both has two versions; also by way of others, in any order of the plan.

    Whose base has A alone would be stale in its turn, after that of B.
    """
    assert find_doubled(plan_of(B=(A,), D=(B,)), _OUTPUTS) == {D}
    assert find_doubled(plan_of(C=(A,), D=(B,), E=(C, D), F=(E,)), _OUTPUTS) == {C, E, F}
    assert find_doubled(plan_of(D=(B,), E=(D,)), _OUTPUTS) == frozenset()
    assert find_doubled(plan_of(C=(D,), D=(A, B)), _OUTPUTS) == {C, D}
    assert find_doubled(plan_of(C=(A,), D=(C,)), {**_OUTPUTS, B: "b.md"}) == frozenset()


@pytest.mark.rule("F2")
def test_who_reads_a_file_that_several_items_write_starts_with_its_group() -> None:
    """`gitbatch plan` says so too. B1 revises what A1 writes; B2 reads one version; C1 reads both."""
    text = (
        f"{FIRST}### Two\n- [ ] B1 c (context: x.md) → Output: out/a.md\n- [ ] B2 c (context: out/b.md)\n"
        "### Three\n- [ ] C1 d (context: out/a.md)"
    )
    found = plan_text(text, {"x.md": ""})
    obstacles = [found.find_obstacle(item) for item in found.items[2:]]
    assert obstacles == [None, None, Obstacle.SEVERAL_WRITERS]
