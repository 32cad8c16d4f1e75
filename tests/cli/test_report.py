"""`gitbatch report`: where the page goes, and what it writes over."""

import json
from pathlib import Path

from cli.test_json import validate
from conftest import Here, Workspace


def assert_other_files_stay(three: Workspace, here: Here) -> None:
    """What is at the name and is not a report is not written over."""
    for name in ("task.md", "out", "missing/report.html"):
        code, _, error = here("report", "--html", name)
        assert code == 1
        assert "name another file" in error
    assert three.git("status", "--porcelain") == ""
    code, _, error = here("report", "--html", "-", "--open")
    assert (code, "leaves no file" in error) == (2, True)
    assert here("report", "20200101-000000-abcd")[0] == 2


def test_report(three: Workspace, here: Here, tmp_path: Path) -> None:
    assert here("report")[0] == 2
    assert "no batch has run here yet" in here("report")[2]
    three.gitbatch("run", "--items", "T101", "--checkpoint", "at-end", code=0)
    before = three.state()

    code, said, _ = here("report")
    (batch,) = [
        ref.split("/")[2]
        for ref in three.git("for-each-ref", "--format=%(refname)").split()
        if ref.endswith("/end")
    ]
    file = three.root / ".git" / "gitbatch" / batch / "report.html"
    assert (code, said) == (0, f"report of batch {batch}: {file}\n")
    page = file.read_text(encoding="utf-8")
    assert here("report", batch, "--html", "-") == (0, page, "")
    assert three.state() == before

    named = tmp_path / "named.html"
    code, said, _ = here("report", "--html", str(named), "--json")
    output = json.loads(said)
    validate(output, "report")
    assert (code, output["file"], output["bytes"]) == (0, str(named), named.stat().st_size)
    assert named.read_text(encoding="utf-8") == page
    assert here("report", "--html", str(named))[0] == 0
    assert_other_files_stay(three, here)


def test_batch_that_gc_has_removed(three: Workspace, here: Here) -> None:
    """Its record and its ledger are gone; what its commits say is still there."""
    three.edit("task.md", "Write b →", "Write b do: fail →")
    three.commit()
    three.gitbatch("run", "--items", "T101,T102", "--checkpoint", "at-end", code=1)
    batch = json.loads(here("batches", "--json")[1])["batches"][0]["batch"]
    three.gitbatch("gc", "--keep", "0", code=0)
    assert three.git("for-each-ref", "refs/gitbatch/") == ""
    code, page, _ = here("report", batch, "--html", "-")
    assert code == 0
    for said in (
        "1 of 2 items done, 1 not",
        "Wrote out/letters/a.md.",
        "Recorded in",
        "checkpoint 1/1: 1 done, 1 not",
    ):
        assert said in page
    assert "Attempt 1" not in page


def test_open(three: Workspace, tmp_path: Path) -> None:
    """The browser is the one that the environment names, as for every Python program."""
    three.gitbatch("run", "--items", "T101", "--checkpoint", "at-end", code=0)
    shown = tmp_path / "shown"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" >{shown}\n', encoding="utf-8")
    browser.chmod(0o755)
    three.environment |= {"BROWSER": f"{browser} %s", "TERM": ""}
    page = tmp_path / "a page.html"
    three.gitbatch("report", "--html", str(page), "--open", code=0)
    assert shown.read_text(encoding="utf-8") == page.as_uri()
    browser.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    done = three.gitbatch("report", "--html", str(page), "--open", code=1)
    assert f"open the page yourself: {page}" in done.stderr
