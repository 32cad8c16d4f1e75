"""CLAUDE.md names one phase, in any of the ways in which people write it; anything else is an error, never a guess."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from project.file_tree import FileTree

from gitbatch.errors import ExitCode, PlanError
from gitbatch.project.config import Config, ProjectTable, TitlesTable
from gitbatch.project.phases import Phase
from gitbatch.project.scope import find_active_phase

ONE = Phase("one", "docs/phases/one")
FOLDERS = ("one", "one-b", "two", "snake_case_name", "_edges_", "with space", "v1.0")


def phase_of(claude: str | bytes, config: Config | None = None) -> Phase | None:
    """The active phase of a project with this CLAUDE.md and a folder for each of some phases."""
    folders = {f"docs/phases/{name}/task.md": "" for name in FOLDERS}
    return find_active_phase(FileTree({"CLAUDE.md": claude, "src/a.py": "", **folders}), config or Config())


def scope(text: str) -> str:
    """A CLAUDE.md with this text in its scope section."""
    return (
        f"# Project\n\nPhase: two is not meant here.\n\n## Aktiver Scope\n\n{text}\n\n## Next\n\nPhase: two\n"
    )


def problem(claude: str | bytes, config: Config | None = None) -> str:
    with pytest.raises(PlanError) as raised:
        phase_of(claude, config)
    assert raised.value.code is ExitCode.USAGE
    assert raised.value.advice
    return raised.value.message


@pytest.mark.rule("O2")
@pytest.mark.parametrize(
    "text",
    [
        "Phase: one",
        "phase : one",
        "Active phase: one",
        "Aktive Phase: one",
        "AKTIVE PHASE: one.",
        "**Phase:** one",
        "**Phase: one**",
        "**Aktive Phase**: **one**",
        "*Phase:* one",
        "__Phase:__ one",
        "Phase: _one_",
        "Phase: `one`",
        "- Phase: one",
        "* **Phase:** one",
        "+ Phase: one",
        "Some words first.\n\nPhase: one\n\nSome words after: they name nothing.",
        "[one](docs/phases/one)",
        "[one](docs/phases/one/)",
        "[one](./docs/phases/one/)",
        "[one](/docs/phases/one/)",
        "[one](<docs/phases/one/>)",
        '[one](docs/phases/one "Title")',
        "[the plan](docs/phases/one/task.md)",
        "[the plan](docs/phases/one/task.md#arbeitspakete)",
        "[one](docs/phases/%6Fne)",
        "Phase: [one](docs/phases/one/)",
        "- **Phase:** [the first](docs/phases/one/), see [the web](https://example.org/)",
        "Phase: one\n\nSee [its folder](docs/phases/one/) and [its plan](docs/phases/one/task.md).",
        "Phase: one\n\nPhase: one",
        "~~Phase: two~~\n\nPhase: one",
        "<!-- Phase: two -->\nPhase: one",
        "Phase: one <!-- was: two -->",
        "<!--\nPhase: two\n[two](docs/phases/two)\n-->\nPhase: one",
        "Phase: one\n\n```\nPhase: two\n```",
        "Phase: one\n\n~~~~ markdown\nPhase: two\n~~~\nPhase: two\n~~~~",
        "Phase: one\n\n```\nPhase: two",
        "### Now\n\nPhase: one",
        # any text in which exactly one phase is named, by its name or path, in any case
        "### one",
        "### Phase: one",
        "Phase One",
        "We are in phase ONE now; nothing else is touched.",
        "The first one.",
        "`one`",
        "`docs/phases/one`",
        "`[one](docs/phases/one/)` is active",
        "Docs/Phases/ONE/",
        "./docs/phases/one/task.md",
        "/docs/phases/one",
        "- one",
        "1. **one**",
        "* [x] one",
        "> Active: one",
        "> - Phase: one",
        "| Phase | one |\n|---|---|",
        "| Active phase: one | since May |",
        "| what | where |\n|---|---|\n| phase | `docs/phases/one/` |",
        "[one](https://example.org/)",
        "Phase: [one](https://example.org/two)",
        "[one](task.md)",
        "[its plan][p]\n\n[p]: docs/phases/one/task.md",
        "<docs/phases/one/>",
        "[notes](docs/phases/one/notes.md)",
        "[ONE](Docs/Phases/One/)",
        "Phase: one (the first)",
        "Phase: one, since May",
        "Phase: one \u2013 discovery",
        "Phase: docs/phases/one",
        "Phase: one. See [the sources](src/).",
        "~~one-b~~ one",
        "Phase: one\n\n`[two](docs/phases/two)` is how a link is written.",
        "Active phase: one\n\nDo not touch two, docs/phases/one-b.",
        "Phase: one (then two)",
        "[the plan](docs/phases/one/task.md), after two",
        "Phase: 1 \u2013 Discovery (`docs/phases/one/`)",
        "Phase: Discovery ([folder](docs/phases/one/))",
        "Phase: Discovery\n\nFolder: docs/phases/one",
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_the_phase_that_is_named(text: str, newline: str) -> None:
    assert phase_of(scope(text).replace("\n", newline)) == ONE


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Phase: snake_case_name", "snake_case_name"),
        ("**Phase:** snake_case_name", "snake_case_name"),
        ("__Phase: snake_case_name__", "snake_case_name"),
        ("Phase: snake\\_case\\_name", "snake_case_name"),
        ("Phase: `_edges_`", "_edges_"),
        ("Phase: with space", "with space"),
        ("[x](<docs/phases/with space>)", "with space"),
        ("[x](docs/phases/with%20space/)", "with space"),
        ("Phase: v1.0.", "v1.0"),
        ("now in v1.0.", "v1.0"),
        ("one-b", "one-b"),
        ("We are with  space now.", "with space"),
        ("_edges_ `_edges_`", "_edges_"),
    ],
)
def test_a_name_is_taken_as_it_is_written(text: str, name: str) -> None:
    assert phase_of(scope(text)) == Phase(name, f"docs/phases/{name}")


@pytest.mark.parametrize(
    "title",
    [
        "Aktiver Scope",
        "Active Scope",
        "ACTIVE SCOPE:",
        "**Active Scope**",
        "2.1 Aktiver Scope (Stand: heute)",
        "🎯 Active scope",
    ],
)
@pytest.mark.parametrize("marks", ["# {}", "### {} ###", "{}\n===="])
def test_the_section_has_a_known_title(title: str, marks: str) -> None:
    assert phase_of(f"{marks.format(title)}\n\nPhase: one\n") == ONE


def test_a_link_to_a_plan_elsewhere_names_its_folder() -> None:
    files = {
        "CLAUDE.md": "## Active Scope\n\n[now](work/x/task.md), see [src](src/)\n",
        "work/x/task.md": "",
        "src/a": "",
    }
    assert find_active_phase(FileTree(files), Config()) == Phase("x", "work/x")


def test_a_link_names_the_phase_after_its_folder() -> None:
    assert phase_of(scope("[the sources](src)")) == Phase("src", "src")


def test_what_the_configuration_says() -> None:
    config = Config(
        titles=TitlesTable(scope=("Jetzt",)), project=ProjectTable(phase_folder="./docs//phases/{phase}/")
    )
    assert phase_of("## Jetzt\n\nPhase: one\n", config) == ONE


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"CLAUDE.md": ""},
        {"CLAUDE.md": "# Project\n\nPhase: one\n"},
        {"CLAUDE.md": "## The active scope and how it is chosen\n\nPhase: one\n"},
        {"CLAUDE.md": "```\n## Active Scope\n\nPhase: one\n```\n"},
        {"docs/CLAUDE.md": "## Active Scope\n\nPhase: one\n"},
    ],
)
def test_without_a_scope_section_there_is_a_single_phase(files: dict[str, str]) -> None:
    assert find_active_phase(FileTree({**files, "docs/phases/one/task.md": ""}), Config()) is None


@pytest.mark.rule("O2")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "The first of them.",
        "Phase:",
        "Phase: ...",
        "Phase: **",
        "someone, phase-one, one-c, one.b, other/one, one/task, @one",
        "[it](https://example.org/docs/phases/one/)",
        "[it](..)",
        "[it](task.md)",
        "https://example.org/docs/phases/one",
        "work/docs/phases/one",
        "<!-- Phase: one -->",
        "<!-- Phase: one",
        "```\nPhase: one\n```",
    ],
)
def test_a_section_that_names_no_phase(text: str) -> None:
    assert problem(f"## Active Scope\n\n{text}\n") == "the scope section of CLAUDE.md names no phase"


@pytest.mark.rule("O2")
@pytest.mark.parametrize(
    "text",
    [
        "Phase: one\nPhase: two",
        "Phase: two\n\n[one](docs/phases/one)",
        "[one](docs/phases/one) and [two](docs/phases/two)",
        "Phase: one\n\n### Later\n\n- [two](docs/phases/two/)",
        "one is done, two is active",
        "| one | two |",
        "- one\n- TWO",
        "docs/phases/one and docs/phases/two",
        "[the next](docs/phases/two) after [one](docs/phases/one)",
        "Phase: three (docs/phases/one, docs/phases/two)",
    ],
)
def test_a_section_that_names_more_than_one(text: str) -> None:
    assert problem(scope(text)) == "the scope section of CLAUDE.md names more than one phase: one, two"


def test_a_phase_without_a_folder_is_never_another_one() -> None:
    assert problem(scope("[one](docs/phases/missing/)")) == "phase missing has no folder docs/phases/missing"
    assert problem(scope("Phase: three, docs/phases/three")) == "phase three has no folder docs/phases/three"
    assert problem(scope("Phase: three, four and (five)")) == "phase three has no folder docs/phases/three"
    assert problem(scope("Phase: three (after one)")) == "phase three has no folder docs/phases/three"


def test_a_phase_without_a_folder() -> None:
    assert problem(scope("Phase: three")) == "phase three has no folder docs/phases/three"
    config = Config(project=ProjectTable(phase_folder="plans/{phase}"))
    assert problem(scope("Phase: one"), config) == "phase one has no folder plans/one"


def test_two_sections() -> None:
    claude = scope("Phase: one") + "\n## Active Scope\n\nPhase: one\n"
    assert problem(claude) == "CLAUDE.md has more than one scope section"


@pytest.mark.rule("O2")
@pytest.mark.parametrize(
    ("claude", "message"),
    [
        (
            "# Über\n\n## Aktiver Scope\n\nPhase: one\n".encode("latin-1"),
            "CLAUDE.md:1: byte 0xdc is not UTF-8",
        ),
        ("## Aktiver Scope\n\nPhase: one\n".encode("utf-16"), "CLAUDE.md:1: the file is UTF-16"),
        (b"## Aktiver Scope\n\nPhase: one\n\0", "CLAUDE.md:4: a NUL character in a text file"),
    ],
    ids=["Latin-1", "UTF-16", "NUL"],
)
def test_a_file_that_cannot_be_read_is_no_project_of_a_single_phase(claude: bytes, message: str) -> None:
    assert problem(claude) == message


def test_a_byte_order_mark_hides_nothing() -> None:
    assert phase_of(b"\xef\xbb\xbf## Active Scope\n\nPhase: one\n") == ONE


@pytest.mark.rule("O2")
@pytest.mark.parametrize(
    ("title", "meant"),
    [
        ("Active Scope of the project", "Active Scope"),
        ("Aktiver Scope: Phase 1", "Aktiver Scope"),
        ("Aktiver Skope", "Aktiver Scope"),
    ],
)
def test_a_title_that_is_nearly_one_is_suggested(title: str, meant: str) -> None:
    with pytest.raises(PlanError, match=r"CLAUDE\.md:3: .* is not a known title") as raised:
        phase_of(f"# P\n\n## {title}\n\nPhase: one\n")
    assert meant in str(raised.value.advice)


def test_a_title_names_the_phase_in_brackets() -> None:
    assert phase_of("## Aktiver Scope (Phase one)\n\nSee the rules.\n") == ONE


@pytest.mark.parametrize(
    ("title", "advice"),
    [
        (
            "Active Scope",
            "write in CLAUDE.md:\n\n## Active Scope\n\nPhase: NAME\n\nNAME is one of _edges_, one, one-b, ",
        ),
        (
            "Aktiver Scope",
            "schreibe in CLAUDE.md:\n\n## Aktiver Scope\n\nPhase: NAME\n\nNAME ist eine von _edges_, one",
        ),
    ],
)
@pytest.mark.parametrize("text", ["", "Phase: three", "one and two"])
def test_the_error_shows_what_to_write_in_the_language_of_the_project(
    title: str, advice: str, text: str
) -> None:
    with pytest.raises(PlanError) as raised:
        phase_of(f"## {title}\n\n{text}\n")
    assert advice.partition("\n")[2] in str(raised.value.advice)
    assert ("schreibe" in str(raised.value.advice)) == (title == "Aktiver Scope")


@pytest.mark.parametrize(
    ("pattern", "folder", "text", "name"),
    [
        ("plans/phase-{phase}", "plans/phase-2", "Phase 2 since 1 May", "2"),
        ("work/{phase}/plan", "work/beta/plan", "now: beta", "beta"),
        ("{phase}", "beta", "now: beta", "beta"),
        ("docs/{phase}/{phase}", "docs/beta/beta", "now: beta", "beta"),
    ],
)
def test_a_phase_is_found_by_the_configured_pattern(pattern: str, folder: str, text: str, name: str) -> None:
    files = {"CLAUDE.md": f"## Active Scope\n\n{text}\n", f"{folder}/task.md": "", "work/x/y.md": ""}
    config = Config(project=ProjectTable(phase_folder=pattern))
    assert find_active_phase(FileTree(files), config) == Phase(name, folder)


def test_a_pattern_without_a_name_has_one_folder() -> None:
    config = Config(project=ProjectTable(phase_folder="docs/phase"))
    files = {"CLAUDE.md": "## Active Scope\n\nPhase: 7\n", "docs/phase/task.md": ""}
    assert find_active_phase(FileTree(files), config) == Phase("7", "docs/phase")


@pytest.mark.parametrize(
    ("pattern", "folder", "text"),
    [
        (".plans/{phase}", ".plans/one", "now .plans/one"),
        (".plans/{phase}", ".plans/one", "now ./.plans/one/"),
        ("docs/{phase}", "docs/.one", "now .one"),
        ("docs/{phase}", "docs/a  b", "now a b"),
        ("docs/{phase}", "docs/(a+b)*", "now `(a+b)*`"),
        ("docs/{phase}", "docs/Pha\u0308se", "now PH\u00c4SE"),
        ("docs/{phase}", "docs/stra\u00dfe", "now STRASSE"),
        ("docs/{phase}", "docs/1", "1. Phase 1\n2. nothing"),
    ],
)
def test_odd_names(pattern: str, folder: str, text: str) -> None:
    files = {"CLAUDE.md": f"## Active Scope\n\n{text}\n", f"{folder}/task.md": ""}
    config = Config(project=ProjectTable(phase_folder=pattern))
    assert find_active_phase(FileTree(files), config) == Phase(folder.rpartition("/")[2], folder)


@pytest.mark.parametrize("text", ["one", "Phase: ONE", "docs/phases/ONE"])
def test_folders_that_differ_only_in_case_are_never_guessed(text: str) -> None:
    files = {
        "CLAUDE.md": f"## Active Scope\n\n{text}\n",
        **{f"docs/phases/{n}/task.md": "" for n in ("one", "One")},
    }
    with pytest.raises(PlanError, match="more than one phase: One, one"):
        find_active_phase(FileTree(files), Config())


@given(st.text(alphabet="on eb-tw`_*~|:[](){}<>#/.\\\n\u00e4", max_size=60))
def test_any_text_names_one_phase_or_is_an_error(text: str) -> None:
    try:
        found = phase_of(f"## Active Scope\n\n{text}\n")
    except PlanError:
        return
    assert found is not None
    assert found.folder.startswith("docs/phases/")


@pytest.mark.parametrize(
    "text", ["Phase: One", "Phase: docs/phases/One/", "[x](docs/phases/One)", "[x](docs/phases/One/a.md)"]
)
def test_of_folders_that_differ_only_in_case_the_exact_one_is_taken(text: str) -> None:
    files = {f"docs/phases/{n}/task.md": "" for n in ("one", "One", "oNE")}
    claude = f"## Active Scope\n\n{text}\n"
    assert find_active_phase(FileTree({**files, "CLAUDE.md": claude}), Config()) == Phase(
        "One", "docs/phases/One"
    )
