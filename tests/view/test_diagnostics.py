"""Diagnostics of a plan for people, for programs, and as annotations of a review."""

import json

from gitbatch.plan.model import PlanOptions
from gitbatch.plan.parse import parse_plan
from gitbatch.view.block import plain_text
from gitbatch.view.diagnostics import diagnostic_annotation, diagnostic_json, diagnostic_lines

SOURCE = b"# Plan\n\n## Work\n\n### Letters\n\n- [ ] Write 100%, a: b \xe2\x86\x92 Output: ../a.md\n"
DIAGNOSTIC = parse_plan(SOURCE, "task.md", PlanOptions()).diagnostics[0]


def test_for_people() -> None:
    shown = plain_text(diagnostic_lines(DIAGNOSTIC, SOURCE, "task.md").parts)
    assert shown.startswith(f"task.md:{DIAGNOSTIC.line}:{DIAGNOSTIC.column}: {DIAGNOSTIC.code} error: ")
    assert "^" in shown
    assert DIAGNOSTIC.help.split("\n")[0] in shown


def test_for_programs() -> None:
    found = json.loads(diagnostic_json(DIAGNOSTIC, "task.md"))
    assert (found["path"], found["code"], found["line"]) == ("task.md", DIAGNOSTIC.code, DIAGNOSTIC.line)
    assert SOURCE[found["start"] : found["end"]]


def test_annotation_escapes_its_syntax() -> None:
    shown = diagnostic_annotation(DIAGNOSTIC, "a,b:c%.md")
    assert shown.startswith("::error file=a%2Cb%3Ac%25.md,line=")
    assert "\n" not in shown
