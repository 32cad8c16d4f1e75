"""Dangerous output paths in a plan: outside the repository, or equal to another file on some system."""

import re
import unicodedata
from pathlib import Path

import pytest
from wall import naive
from wall.grounds import Grounds

PATHS = {
    "leaves the repository": [
        "../elsewhere/x.md",
        "out/../../elsewhere/x.md",
        "/gitbatch-x.md",
        "~/x.md",
    ],
    "is git's": [
        ".git/hooks/post-commit",
        ".GIT/config",
        "sub/.git/config",
        ".gitattributes",
        "sub/.gitattributes",
        ".gitmodules",
    ],
    "is a shared file to some system": [
        "task.md",
        "TASK.md",
        "Status.MD",
        "CLAUDE.md",
        "claude.md",
        "ta\u017fk.md",
        "task.md::$DATA",
        "docs/DECISIONS-LOG.md",
    ],
    "is another file to some system": [
        "./out/x.md",
        "out//x.md",
        "out/x.md.",
        "out /x.md",
        "out\\x.md",
        "x:y.md",
        "CON",
        "aux.md",
        "out/LPT1.txt",
        "PLAN_FILE~1.md",
    ],
    "can't be seen": ["out/a\u200bb.md", "out/a\u202egnp.md"],
}
"""Paths that git and a naive writer accept; see also the table in `test_plan_outputs.py`."""
ALL = [path for paths in PATHS.values() for path in paths]
COLLIDING = {
    "equal": ("out/same.md", "out/same.md"),
    "case": ("out/Same.md", "out/same.md"),
    "form": ("out/\u212b.md", "out/\u00e5.md"),
    "folder": ("out/same", "out/same/x.md"),
}
RUN = ("run", "--items", "all", "--checkpoint", "at-end", "--sandbox", "none")


def with_outputs(grounds: Grounds, *paths: str) -> str:
    """Commits a plan with items that write these; returns the commit."""
    items = "".join(f"- [ ] T{number} Write → Output: `{path}`\n" for number, path in enumerate(paths, 1))
    grounds.workspace.write("task.md", f"# P\n\n## Work Packages\n\n### G\n\n{items}")
    return grounds.workspace.commit()


def assert_refused(grounds: Grounds, start: str, lines: int) -> None:
    """Requires that nothing runs, and that every item is reported."""
    done = grounds.workspace.gitbatch(*RUN, code=2)
    said = {int(line) for line in re.findall(r"task\.md:(\d+):\d+: GB\d+ error", done.stderr)}
    assert said == set(range(7, 7 + lines))
    assert grounds.workspace.git("rev-parse", "main") == start
    assert grounds.workspace.git("for-each-ref", "refs/gitbatch") == ""
    assert grounds.workspace.git("status", "--porcelain") == ""
    assert grounds.outside() == set()


@pytest.mark.rule("S1", "S2")
def test_dangerous_outputs_are_refused(forked: Grounds) -> None:
    assert_refused(forked, with_outputs(forked, *ALL), len(ALL))


@pytest.mark.parametrize("path", [path for path in ALL if not path.startswith("/")])
@pytest.mark.sample(12)
def test_control_writes_dangerous_output(grounds: Grounds, path: str) -> None:
    """It writes elsewhere, to git's files or over another file, or adds a misleading name to history."""
    before = set(naive.written(grounds.workspace))
    naive.write(grounds.workspace, path)
    new = set(naive.written(grounds.workspace)) - before
    changed = grounds.workspace.git("diff", "--name-only", "--diff-filter=MDT", grounds.start, "HEAD")
    assert grounds.outside() or changed or new == {path} or new == {"out/x.md"} != {path}


@pytest.mark.rule("S2")
@pytest.mark.parametrize("kind", COLLIDING)
def test_colliding_outputs_are_refused(forked: Grounds, kind: str) -> None:
    start = with_outputs(forked, *COLLIDING[kind])
    done = forked.workspace.gitbatch(*RUN, code=2)
    assert re.search(r"task\.md:8:\d+: GB\d+ error", done.stderr)
    assert forked.workspace.git("rev-parse", "main") == start


@pytest.mark.parametrize("kind", COLLIDING)
def test_control_writes_twice(grounds: Grounds, kind: str) -> None:
    first, second = COLLIDING[kind]
    naive.write(grounds.workspace, first)
    try:
        naive.write(grounds.workspace, second)
    except OSError:
        assert kind == "folder"
        return
    keys = [unicodedata.normalize("NFC", path.casefold()) for path in naive.written(grounds.workspace)]
    assert len(keys) != len(set(keys)) or kind == "equal"


@pytest.mark.rule("S1")
def test_output_below_symlink_is_refused(forked: Grounds) -> None:
    link_to(forked, forked.base / "elsewhere")
    start = with_outputs(forked, "linked/x.md")
    done = forked.workspace.gitbatch(*RUN, code=2)
    assert "cannot write the output linked/x.md: linked is a symlink" in done.stderr
    assert forked.workspace.git("rev-parse", "main") == start
    assert not (forked.base / "elsewhere/x.md").exists()


def test_control_follows_symlink(grounds: Grounds) -> None:
    link_to(grounds, grounds.base / "elsewhere")
    naive.write(grounds.workspace, "linked/x.md")
    assert (grounds.base / "elsewhere/x.md").exists()


def link_to(grounds: Grounds, target: Path) -> None:
    (grounds.workspace.root / "linked").symlink_to(target)
    grounds.workspace.commit()
