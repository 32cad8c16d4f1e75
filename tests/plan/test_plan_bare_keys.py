"""A clause that lacks its arrow is reported, and what only looks like one is text."""

import pytest
from plan.plan_samples import codes, in_group, parse


@pytest.mark.parametrize(
    "text",
    [
        "T1 a. Output: docs/a.md",
        "T1 a Output: docs/a.md",
        "T1 Output: `docs/a.md`",
        "a\n  Output: docs/a.md",
        "a\n  - Ausgabe: docs/a.md",
        "a\n  - **Output:** `docs/a`",
        "a\n  - [ ] output: docs/a.md",
        "a\n\n  Output: docs/a.md",
        "a | Output: a.md",
        "a Output: a.md <!-- retries: 1 -->",
        "a Kontext: a.md, b.md",
        "a\n  - Context: [a](a.md)",
        "a Context: +a.md → Output: b.md",
        "T1 a, After: T2",
        "a DoD: #1",
        "a\n  - DoD: #1, #2",
        "T1 Agent: writer",
    ],
)
def test_a_key_without_an_arrow_is_reported(text: str) -> None:
    assert codes(in_group(f"- [ ] {text}")) == ["GB210"]


@pytest.mark.parametrize(
    "text",
    [
        "a Context: what users say about a.md and b",
        "a\n  - Context: the old API/React hooks",
        "a Output: stdout",
        "a `Output: a.md`",
        "a → Output: a.md (context: b.md)",
        "a ->  **Output**: a.md",
        "Describe the setting max-output: 3",
        "Say what comes after: a list",
        "Describe the agent: how it works",
        "a\n  - see docs/output: a.md",
    ],
)
def test_text_is_text(text: str) -> None:
    assert codes(in_group(f"- [ ] {text}")) == []


def test_the_place_and_the_help_in_german() -> None:
    text = "## Arbeitspakete\n### G\n- [ ] ä Ausgabe: a.md\n"
    (found,) = parse(text).diagnostics
    assert (found.line, found.column) == (3, 9)
    assert found.message == "“Ausgabe:” has no effect without an arrow before it"
    assert found.help == "schreibe „→ Ausgabe: pfad/der/datei.md“"
