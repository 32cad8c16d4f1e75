"""What the tests of the plan language share: small plans, and how to look at them."""

from gitbatch.plan.model import Diagnostic, Plan, PlanOptions, WorkItem
from gitbatch.plan.parse import parse_plan
from gitbatch.plan.render import render_diagnostic

DOD = "## Definition of Done\n- [ ] first\n- [ ] second\n- [ ] third\n\n"


def parse(text: str, options: PlanOptions | None = None) -> Plan:
    """The plan that a whole file holds."""
    return parse_plan(text.encode(), "task.md", options or PlanOptions())


def in_group(items: str, options: PlanOptions | None = None) -> Plan:
    """A plan with three DoD entries, and one group G with these lines."""
    return parse(f"{DOD}## Arbeitspakete\n### G\n{items}\n", options)


def item(text: str, options: PlanOptions | None = None) -> WorkItem:
    """The only item of a group without problems, from the text behind its box."""
    plan = in_group(f"- [ ] {text}", options)
    assert plan.diagnostics == ()
    (only,) = plan.items
    return only


def codes(plan: Plan) -> list[str]:
    """The codes of all diagnostics, in order."""
    return [diagnostic.code for diagnostic in plan.diagnostics]


def rendered(text: str, options: PlanOptions | None = None) -> str:
    """All diagnostics of a file as a user sees them."""
    plan = parse(text, options)
    return "\n\n".join(render_diagnostic(d, text.encode(), plan.path) for d in plan.diagnostics)


def marked(diagnostic: Diagnostic, text: str) -> str:
    """The part of a file that a diagnostic is about."""
    return text.encode()[diagnostic.start : diagnostic.end].decode()
