"""Manifests of many items: equal to those of one item at a time, and found in a time that grows with the items alone."""

from collections.abc import Callable

import pytest
from counting import growth_of
from examples import count_examples
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from project.file_tree import FileTree

from gitbatch.plan.model import Group, Plan, PlanOptions, WorkItem
from gitbatch.plan.parse import parse_plan
from gitbatch.project.config import Config
from gitbatch.project.context import ContextReason, find_files, phase_context
from gitbatch.project.control import Project, find_project
from gitbatch.project.manifest import (
    EarlierOutputs,
    Manifest,
    ManifestBuilder,
    count_by_folder,
    list_paths,
    outline_files,
)

RULES = "# Rules\n\n## G2\n\n- out/1.md\n"


def build(text: str, files: tuple[str, ...] = ()) -> tuple[ManifestBuilder, Plan]:
    tree = FileTree({"task.md": text, "status.md": "s", "rules.md": RULES} | {path: path for path in files})
    project = find_project(tree, Config())
    plan = parse_plan(text.encode(), project.plan_path, PlanOptions())
    return ManifestBuilder(plan, project, tree), plan


def many_items(groups: int, items: int) -> tuple[str, tuple[str, ...]]:
    """Returns a plan without declared contexts, and the outputs of all of its items."""
    lines = ["## Work Packages"]
    outputs = []
    for group in range(1, groups + 1):
        lines += ["", f"### G{group}", ""]
        for item in range(1, items + 1):
            outputs.append(f"out/g{group}/i{item}.md")
            lines.append(f"- [ ] T{group:03}{item:03} Write → Output: {outputs[-1]}")
    return "\n".join(lines) + "\n", tuple(outputs)


def list_plainly(
    item: WorkItem, group: Group, plan: Plan, project: Project, tree: FileTree
) -> list[tuple[str, ContextReason]]:
    """The files of an item by the rules C1 to C4, each item for itself: the reference."""
    wanted = [("status.md", ContextReason.STATUS)]
    if project.rules:
        wanted.insert(0, (project.rules, ContextReason.RULES))
    wanted += [(path, ContextReason.PHASE) for path in phase_context(group, project, tree)]
    for name in item.context:
        wanted += [(path, ContextReason.DECLARED) for path in find_files(name, project, tree)]
    if item.reads_earlier:
        before = [other.output for earlier in plan.groups[: group.number - 1] for other in earlier.items]
        wanted += [(path, ContextReason.EARLIER) for path in before if path != item.output]
        awaited = [other.output for other in group.items if other.reference in item.hints.after]
        wanted += [(path, ContextReason.AWAITED) for path in awaited]
    documents = list(dict.fromkeys(path for path, _ in wanted))
    forms = {path: path.replace(".md", ".condensed.md") for path in documents}
    forms = {path: form for path, form in forms.items() if form != path and tree.blob(form)}
    found: dict[str, ContextReason] = {}
    for path, reason in wanted:
        if path in forms or tree.blob(path):
            found.setdefault(forms.get(path, path), reason)
    return list(found.items())


PATHS = [f"out/{number}.md" for number in range(1, 6)]
LINE = st.tuples(
    st.sampled_from(PATHS), st.sampled_from(["", "context", "adds", "after"]), st.sampled_from(PATHS)
)


@settings(max_examples=count_examples(50))
@given(
    st.lists(st.lists(LINE, min_size=1, max_size=4, unique_by=lambda line: line[0]), min_size=1, max_size=4),
    st.sets(st.sampled_from([*PATHS, "out/2.condensed.md", "out/4.condensed.md"])),
)
def test_shared_lists_are_those_of_each_item(
    groups: list[list[tuple[str, str, str]]], there: set[str]
) -> None:
    lines = ["## Work Packages"]
    for number, rows in enumerate(groups, 1):
        lines += ["", f"### G{number}", ""]
        for path, kind, other in rows:
            clause = {"context": f"(context: {other})", "adds": f"(context: +{other})"}.get(kind, "")
            inside = [each for each, *_ in rows]
            if kind == "after" and other in inside and inside.index(other) < inside.index(path):
                clause = f"→ After: {other}"
            lines.append(f"- [ ] Write → Output: {path} {clause}")
    builder, plan = build("\n".join(lines) + "\n", tuple(sorted(there)))
    for group in plan.groups:
        for item in group.items:
            listed = builder.list_context(item, group)
            assert isinstance(builder.snapshot, FileTree)
            expected = list_plainly(item, group, plan, builder.project, builder.snapshot)
            assert [(file.path, file.reason) for file in listed] == expected
            assert listed.paths == tuple(path for path, _ in expected)
            assert set(listed.own) == {f for f in listed if f not in listed.earlier.files}


def test_the_items_of_a_group_share_a_list() -> None:
    text, outputs = many_items(3, 3)
    builder, plan = build(text, outputs)
    _, middle, last = plan.groups
    first, second, _ = (builder.list_context(item, last) for item in last.items)
    assert first is second
    assert [file.path for file in first.earlier.files] == list(outputs[:6])
    assert builder.list_context(middle.items[0], middle).earlier.digest != first.earlier.digest
    assert EarlierOutputs(first.earlier.files).digest == first.earlier.digest


def test_a_long_list_is_counted_by_folders() -> None:
    text, outputs = many_items(3, 40)
    builder, plan = build(text, outputs)
    _, second, last = plan.groups
    short, long = (builder.list_context(group.items[0], group) for group in (second, last))
    assert list(map(str, outline_files(short))) == list(short.paths)
    assert list(map(str, outline_files(long))) == [
        "rules.md",
        "status.md",
        "out/g1/: 40 files",
        "out/g2/: 40 files",
    ]
    assert outline_files(tuple(long)) == outline_files(long) is outline_files(long)
    assert list_paths(tuple(long)) == list_paths(long) == "".join(f"{path}\n" for path in long.paths)
    pointers = tuple(replace(file, filter="lfs") if file.path.endswith("1.md") else file for file in long)
    assert sorted((entry.note, str(entry)) for entry in outline_files(pointers)[2:]) == [
        ("", "out/g1/: 36 files"),
        ("", "out/g2/: 36 files"),
        ("a Git LFS pointer, not the content", "out/g1/: 4 files"),
        ("a Git LFS pointer, not the content", "out/g2/: 4 files"),
    ]


@pytest.mark.parametrize(
    ("most", "counted"),
    [
        (4, {"": 1, "a/": 1, "a/b/": 2, "a/c/d/": 1}),
        (3, {"": 1, "a/": 2, "a/b/": 2, "a/c/": 0}),
        (2, {"": 1, "a/": 4}),
        (1, {"": 5}),
    ],
)
def test_too_many_folders_count_for_those_above(most: int, counted: dict[str, int]) -> None:
    found = count_by_folder(["top.md", "a/1.md", "a/b/1.md", "a/b/2.md", "a/c/d/1.md"], most)
    assert sum(found.values()) == 5
    assert len(found) <= most
    assert most == 3 or found == counted


def test_a_manifest_without_earlier_outputs() -> None:
    assert Manifest(()).earlier.files == ()


@pytest.mark.parametrize("revised", [False, True])
def test_manifests_cost_the_same_for_each_item(*, revised: bool) -> None:
    def prepare(items: int) -> Callable[[], object]:
        text, outputs = many_items(6, items)
        builder, plan = build(text.replace("out/g6/", "out/g5/") if revised else text, outputs)
        return lambda: [builder.list_context(item, group) for group in plan.groups for item in group.items]

    assert growth_of(prepare, 6) < (3.4 if revised else 2.2)  # a file that is left out is one comparison
