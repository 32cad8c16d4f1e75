"""Output paths: safe, assigned by the template, disjoint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan.plan_samples import codes, in_group, item

from gitbatch.plan.model import PlanOptions
from gitbatch.plan.outputs import collisions, control_paths, expand, path_problem, template_problem

PROTECTED = frozenset({"docs/status.md", "docs/Übersicht.md"})


@pytest.mark.parametrize(
    "path",
    [
        "a.md",
        "docs/phases/p1/out.md",
        "Größe/naïve.md",
        "with space/a b.md",
        "docs/status.md.bak",
        "status.md",
        "src/.hidden",
        "a~b",
        "console.md",
        "nul-test.md",
        "gitignore",
        "com10.md",
        "日本/語.md",
        "a" * 255,
        "x/" * 511 + "ab",
    ],
)
def test_paths_that_can_be_outputs(path: str) -> None:
    assert path_problem(path, PROTECTED) is None


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("", "is empty"),
        ("/etc/passwd", "is not relative"),
        ("~/notes.md", "is not relative"),
        ("a//b", "empty part"),
        ("out/", "empty part"),
        ("./a", "“.” or “..”"),
        ("../a", "“.” or “..”"),
        ("a/../b", "“.” or “..”"),
        ("a/..", "“.” or “..”"),
        ("out\\..\\task.md", "backslash or a colon"),
        ("C:/a", "backslash or a colon"),
        ("task.md::$DATA", "backslash or a colon"),
        ("a\nb", "control or invisible"),
        ("a\u200bb", "control or invisible"),
        ("a\u202eb", "control or invisible"),
        ("a\u00a0b", "control or invisible"),
        ("a\ud800b", "control or invisible"),
        ("a\u0308.md", "composed form"),
        ("task.md ", "dot or space"),
        ("a/ b", "dot or space"),
        ("a./b", "dot or space"),
        ("a/b.", "dot or space"),
        (".git", "only git may write"),
        (".GIT/config", "only git may write"),
        ("a/.gitattributes", "only git may write"),
        (".gitmodules", "only git may write"),
        ("git~1/x", "Windows short name"),
        ("CON", "device"),
        ("a/nul.txt", "device"),
        ("lpt9", "device"),
        ("com¹.md", "device"),
        ("aux /b", "dot or space"),
        ("aux .md", "device"),
        ("CLAUDE.md", "read-only"),
        ("docs/Claude.MD", "read-only"),
        ("Docs/STATUS.md", "shared file"),
        ("docs/ÜBERSICHT.md", "shared file"),
        ("docs", "collides with"),
        ("docs/status.md/x", "collides with"),
        ("x/" * 512 + "y", "longer than 1,024 bytes"),
        ("ä" * 128 + "a" * 128, "longer than 255 bytes"),
    ],
)
def test_paths_that_can_not(path: str, problem: str) -> None:
    said = path_problem(path, PROTECTED)
    assert said is not None
    assert problem in said


@given(st.text())
def test_any_text_is_judged(path: str) -> None:
    problem = path_problem(path, PROTECTED)
    if problem is None:
        parts = path.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert path.isprintable()
        assert path == path.strip()


def test_control_files_are_in_three_places() -> None:
    assert control_paths("docs/phases/p1/") >= {
        "task.md",
        "docs/status.md",
        "docs/phases/p1/decisions-log.md",
    }
    assert len(control_paths()) == 6


VALUES = {
    "phase": "",
    "folder": "docs/p1",
    "group": "2",
    "group-slug": "wp",
    "id": "",
    "slug": "s",
    "id-or-slug": "s",
}


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("{phase}/{group-slug}/{id-or-slug}.md", "wp/s.md"),
        ("{folder}/out/{group}-{slug}.md", "docs/p1/out/2-s.md"),
        ("a/{phase}{id}/{slug}", "a/s"),
        ("a/x{phase}/{slug}", "a/x/s"),
        ("{unknown}/{slug}", "{unknown}/s"),
        ("a//{slug}", "a//s"),
        ("u\u0308/{slug}", "ü/s"),
    ],
)
def test_the_template(template: str, path: str) -> None:
    assert expand(template, VALUES) == path


@pytest.mark.parametrize(
    "template", ["{phase}/{group-slug}/{id-or-slug}.md", "out/{slug}", "{folder}/{id}-{slug}.md"]
)
def test_good_templates(template: str) -> None:
    assert template_problem(template) is None


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{name}/{slug}", "{name} is unknown"),
        ("out.md", "same file"),
        ("../{slug}", "“..”"),
        ("/{slug}", "not relative"),
    ],
)
def test_bad_templates(template: str, problem: str) -> None:
    assert problem in (template_problem(template) or "")


def test_an_item_without_an_output_gets_one() -> None:
    options = PlanOptions(phase="p1", folder="docs/phases/p1")
    assert item("T1 Größe messen", options).output == "p1/g/T1.md"
    assert item("Größe messen", options).output == "p1/g/groesse-messen.md"
    template = PlanOptions(folder="docs/phases/p1", output_template="{folder}/{group}/{id}/{slug}.md")
    assert item("Größe messen", template).output == "docs/phases/p1/1/groesse-messen.md"


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("Create the user model in src/models/user.py", "src/models/user.py"),
        ("Write `notes.md`", "notes.md"),
        ("Write [notes](out/notes.md), z.B. kurz", "out/notes.md"),
        ("Compare and/or (TCP/IP) v1.2", "g/compare-and-or-tcp-ip-v1-2.md"),
        ("Write ../x.md", "g/write-x-md.md"),
        ("Write docs/status.md (context: a/b.md)", "g/write-docs-status-md.md"),
        ("Read a/b.md → Output: c.md", "c.md"),
    ],
)
def test_guessing_is_an_option(text: str, output: str) -> None:
    assert item(text, PlanOptions(guess_output=True)).output == output


def test_an_output_in_decomposed_form_is_composed() -> None:
    assert item("a → Output: pru\u0308fung.md").output == "prüfung.md"


def test_a_hint_is_the_output_where_no_clause_is() -> None:
    assert item("a <!-- output: `o/a b.md` -->").output == "o/a b.md"


def test_the_options_protect_paths() -> None:
    plan = in_group("- [ ] a → Output: Inventory.md", PlanOptions(protected=frozenset({"inventory.md"})))
    assert [d.code for d in plan.diagnostics] == ["GB222"]


@pytest.mark.parametrize(
    ("paths", "pairs"),
    [
        (["a", "b", "a/b"], [(2, 0)]),
        (["a/b/c", "A"], [(1, 0)]),
        (["a", "A", "a"], [(1, 0), (2, 0)]),
        (["a/b", "a/c", "ab"], []),
        (["Straße", "STRASSE"], [(1, 0)]),
        (["a/b/c", "a/b", "a"], [(1, 0), (2, 0)]),
    ],
)
def test_collisions(paths: list[str], pairs: list[tuple[int, int]]) -> None:
    assert list(collisions((1, path) for path in paths)) == pairs


@pytest.mark.parametrize(
    ("outputs", "pairs"),
    [
        ([(1, "a"), (2, "a"), (3, "a")], []),
        ([(1, "a"), (2, "a"), (2, "a")], [(2, 1)]),
        ([(1, "a"), (2, "A"), (3, "a")], [(1, 0)]),
        ([(1, "x"), (1, "a"), (2, "a"), (2, "b"), (3, "a/b")], [(4, 1)]),
        ([(1, "a"), (2, "a"), (3, "b"), (4, "B")], [(3, 2)]),
    ],
)
def test_an_output_of_a_later_group_may_be_the_same_file(
    outputs: list[tuple[int, str]], pairs: list[tuple[int, int]]
) -> None:
    assert list(collisions(outputs)) == pairs


@pytest.mark.parametrize(
    "path", [".github/workflows/ci.yml", ".gitignore", "a/.gitkeep", ".gitlab-ci.yml", "x.git"]
)
def test_names_that_begin_like_git_are_files(path: str) -> None:
    assert path_problem(path) is None


def test_assigned_outputs_never_collide() -> None:
    plan = in_group(
        "- [ ] a\n- [ ] a\n- [ ] A\n- [ ] b → Output: g/a-2.md\n- [ ] c → Output: g/d.md/e\n- [ ] d"
    )
    assert plan.diagnostics == ()
    assert [i.output for i in plan.items] == [
        "g/a.md",
        "g/a-3.md",
        "g/a-4.md",
        "g/a-2.md",
        "g/d.md/e",
        "g/d-2.md",
    ]


@pytest.mark.parametrize("path", ["gitbatch.toml", "GitBatch.toml", ".worktreeinclude", "gitbatch.toml/x.md"])
def test_what_decides_how_agents_run_is_no_output_of_any_plan(path: str) -> None:
    (found,) = in_group(f"- [ ] a \u2192 Output: {path}").diagnostics
    assert found.code == "GB222"


@pytest.mark.parametrize(
    "path",
    [
        "'a.md'",
        '"a.md"',
        "„a.md“",
        "<a.md>",
        "**a.md**",
        "_a.md_",
        "*.md",
        "docs/a?.md",
        "{phase}/a.md",
        "a.md**",
    ],
)
def test_characters_around_a_path_are_no_part_of_it(path: str) -> None:
    """They were, without a word: the file `'a.md'` was written. In backticks they are meant."""
    assert codes(in_group(f"- [ ] a → Output: {path}")) == ["GB213"]
    assert codes(in_group(f"- [ ] a → Output: `{path}`")) == []


@pytest.mark.parametrize("path", ["docs/we'll.md", "__init__.py", "docs/_a.md", "[id].md", "a's/b's.md"])
def test_characters_inside_a_name_are_part_of_it(path: str) -> None:
    assert codes(in_group(f"- [ ] a → Output: {path}")) == []
