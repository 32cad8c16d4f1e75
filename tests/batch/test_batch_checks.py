"""Checks of items in whole runs: what passes, what is tried again, what halts, and what an agent cannot do about it."""

import json

from batch.programs import AGENT, found, prompt, run
from conftest import Place
from history import assert_tidy, audit, ticked, trailers

KEPT = "refs/gitbatch/*/unchecked/*"


def set_up(place: Place, checks: str, items: str, more: str = "") -> None:
    """Commits a plan whose agent does what the items say, and a configuration with checks."""
    (place.home / "agent").write_text(f"#!/bin/sh\n{AGENT}")
    (place.home / "agent").chmod(0o755)
    command = json.dumps([str(place.home / "agent")])
    place.write(
        "gitbatch.toml",
        f'[batch]\nretry-pause = "0s"\n{more}\n[agents.told]\nkind = "command"\ncommand = {command}\n'
        f'sandbox = "none"\n{checks}',
    )
    place.write(
        "task.md",
        f"# Plan\n\n## Work Packages\n\n### One\n{items}\n## Definition of Done\n- [ ] It is there.\n",
    )
    place.commit("The plan")


def check(name: str, script: str, **settings: object) -> str:
    """Returns the table of a check that is a script of the shell."""
    table = {"command": ["sh", "-c", script], "sandbox": "none", "on": ["out/*.md"], **settings}
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
    return f"[checks.{name}]\n{lines}"


def test_a_red_check_sends_its_findings_and_the_output_to_the_next_attempt(place: Place) -> None:
    script = 'cat; grep -q more "$GITBATCH_OUTPUT" || { echo "line 1: no more"; exit 1; }'
    passes, skips = check("words", script), check("never", "exit 77")
    set_up(
        place, passes + skips, "- [ ] T1 do: ok more → Output: out/T1.md\n- [ ] T2 a → Output: src/T2.md\n"
    )
    told = run(place)
    assert place.read("out/T1.md") == "T1 1\nmore\n"
    assert "What the checks of your file report" in prompt(place, "T1", 2)
    assert "> words: T1 1\n> words: line 1: no more" in prompt(place, "T1", 2)
    assert found(place, "T1", 2) == "T1 1\n"
    (failed,) = told.of("attempt-failed")
    assert (failed["outcome"]["cause"], failed["outcome"]["reason"]) == (
        "check-failed",
        "check words failed: line 1: no more (exit 1)",
    )
    item = place.git("log", "--all", "--format=%H", "--grep", "Gitbatch-Item: out/T1.md")
    said = [value.partition(" (")[0] for value in trailers(place, item, "Check")]
    assert said == ["words pass", "never skip"]
    assert trailers(place, item, "Earlier") == ["1: check words failed: line 1: no more (exit 1)"]
    body = place.git("log", "-1", "--format=%B")
    assert "checks: words passed" in body
    assert "never skipped" in body
    results = [e["result"] for e in told.of("check-finished")]
    assert sorted((r["name"], r["verdict"]) for r in results) == [
        ("never", "skip"),
        ("never", "skip"),
        ("words", "pass"),
        ("words", "red"),
    ]
    audit(place)
    assert_tidy(place)
    assert place.git("for-each-ref", KEPT) == ""


def test_an_output_that_always_fails_its_checks_fails_its_item_alone(place: Place) -> None:
    checks = check("one", "echo bad one; exit 1") + check("two", "echo bad two; exit 2", on=["out/T1.md"])
    items = (
        "- [ ] T1 do: ok → Output: out/T1.md <!-- retries: 1 -->\n- [ ] T2 b → Output: out/T2.md → Check: none\n"
        "- [ ] T3 do: ok nothing → Output: out/T3.md\n"
    )
    set_up(place, checks, items)
    told = run(place, code=1)
    outcome = told.outcome("T1")
    assert (outcome["status"], outcome["cause"], outcome["attempts"]) == ("failed", "check-failed", 2)
    assert "checks one, two failed: bad one (exit 1)" in prompt(place, "T1", 2)
    assert "> one: bad one\n> two: bad two" in prompt(place, "T1", 2)
    assert ticked(place) == ["T2"]
    unchanged = told.outcome("T3")
    assert (unchanged["cause"], unchanged["attempts"]) == ("nothing-changed", 2)
    assert "is as the last attempt left it" in unchanged["reason"]
    kept = place.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/rescue/*").splitlines()
    assert [ref.rpartition("/")[2] for ref in kept] == ["1-t1-2", "1-t3-2"]
    assert place.git("for-each-ref", KEPT) == ""
