"""`gitbatch run --dry-run`: what would run, after all checks; nothing is started."""

import json

import pytest
from conftest import Here, Workspace

from gitbatch.view.envelope import Envelope
from gitbatch.view.schemas import make_schema

NEW = ("run", "--items", "group:1,2", "--checkpoint", "after-each", "-n")


def test_new_batch_then_the_rest_of_it(here: Here, three: Workspace) -> None:
    before = three.state()
    code, said, _ = here(*NEW, "-j", "3")
    assert code == 0
    assert said.startswith(
        "would start a batch of task.md on main\n  8 items in 2 groups, checkpoint after-each"
    )
    assert "3 at a time" in said
    assert "  T104  out/letters/d.md" in said
    assert said.endswith("nothing was started\n")
    assert three.state() == before
    assert here(*NEW[:-1])[0] == 3
    before = three.state()
    code, said, _ = here("run", "--dry-run", "--json")
    shown = json.loads(said)
    assert (code, shown["ok"], shown["resumed"], shown["target"]) == (0, True, True, "refs/heads/main")
    assert [[item["name"] for item in group["items"]] for group in shown["groups"]] == [
        ["T201", "T202", "T203", "T204"]
    ]
    assert "DryRunOutput" in make_schema("dry-run")["$defs"]
    said = here("run", "-n", "--continue", "--checkpoint", "at-end")[1]
    assert said.startswith("would resume batch")
    assert "for the rest of the batch: --checkpoint at-end (was after-each)" in said
    assert three.state() == before
    three.write("CLAUDE.md", "# New\n")
    assert "note: CLAUDE.md has uncommitted changes, which are not used\n" in here("run", "-n")[2]


def test_abort_says_what_it_would_lose(here: Here, three: Workspace) -> None:
    assert here(*NEW[:-1])[0] == 3
    before = three.state()
    code, said, _ = here("-q", "abort", "--dry-run")
    assert code == 0
    assert "4 items merged" in said
    assert "loses: T201" in said
    assert "has ended" not in said
    assert three.state() == before


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--items", "T999", "--checkpoint", "at-end"), 2, "T999"),
        (("--items", "all"), 2, "missing --checkpoint"),
        (("--items", "all", "--checkpoint", "at-end", "--agent", "nobody"), 2, "nobody"),
        (("--continue",), 2, "nothing to continue"),
    ],
)
def test_refused_as_a_run(
    here: Here, three: Workspace, options: tuple[str, ...], code: int, said: str
) -> None:
    before = three.state()
    found = here("run", "--dry-run", *options)
    assert found[0] == code
    assert said in found[2]
    assert three.state() == before


def test_nothing_would_run(here: Here, three: Workspace) -> None:
    three.write("task.md", three.read("task.md").replace("- [ ]", "- [x]"))
    three.commit()
    code, said, _ = here(*NEW)
    assert (code, said.startswith("nothing would run: ")) == (0, True)
    shown = json.loads(here(*NEW, "--json")[1])
    assert shown["groups"] == []
    assert shown["reason"]
    assert set(Envelope.__struct_fields__) <= shown.keys()
