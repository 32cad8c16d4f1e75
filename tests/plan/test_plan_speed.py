"""A plan is read about as fast as its Markdown can be, and no text makes it quadratic."""

import mistune
import pytest
from waiting import effort

from gitbatch.plan.model import Plan, PlanOptions
from gitbatch.plan.parse import parse_plan

pytestmark = pytest.mark.slow

HEAD = "## DoD\n- [ ] a\n- [ ] b\n\n## Arbeitspakete\n\n### G\n\n- [ ] x\n"


def read(text: str) -> Plan:
    return parse_plan(text.encode(), "task.md", PlanOptions())


def test_three_thousand_items() -> None:
    """Measured 2.0 to 2.5 times plain mistune; the limit leaves room for a noisy machine."""
    lines = [
        f"- [ ] T{i:04} Write the chapter about topic {i} → DoD: #{i % 2 + 1} → Output: out/{i}.md (context: docs/a.md)"
        + ("\n\n### Next\n" if i % 20 == 19 else "")
        for i in range(3_000)
    ]
    text = HEAD.replace("- [ ] x\n", "") + "\n".join(lines) + "\n"
    assert len(read(text).items) == 3_000
    markdown = mistune.create_markdown(renderer=None, plugins=["task_lists"])
    assert effort(lambda: read(text)) < 4 * effort(lambda: markdown(text))


@pytest.mark.parametrize(
    "unit",
    [
        "  (context: a\n",
        "  (context: a)\n",
        "  → DoD: #1-2, 1\n",
        "  <!-- open\n",
        "  a <!-- max: 3 -->\n",
        "  ` `` ``` `a``\n",
        "  [a](b) [c\n",
        "  ((((((((((\n",
        "- plain <!-- max: 3 -->\n",
        "# heading\n",
        "- [-] lookalike\n",
        "- [ ] the same title\n",
        "### " + "()" * 2000 + "\n",
        "# a" + " " * 4000 + "b\n",
    ],
)
@pytest.mark.sample(6)
def test_eight_times_the_text_takes_about_eight_times_as_long(unit: str) -> None:
    """What is quadratic takes 64 times as long."""
    small, big = (HEAD + unit * (size // len(unit)) for size in (8_000, 64_000))
    assert effort(lambda: read(big)) < 24 * effort(lambda: read(small)) + 5
