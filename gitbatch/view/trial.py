"""The steps of a trial of an agent, for people: one line as each comes."""

from gitbatch.batch.trial.model import StepStatus, TrialStep
from gitbatch.view.block import Block, make_line

_STYLES = {StepStatus.OK: "green", StepStatus.FAILED: "red", StepStatus.UNKNOWN: "yellow"}
_MARKS = {StepStatus.OK: "ok", StepStatus.FAILED: "failed", StepStatus.UNKNOWN: "-"}


def render_step(step: TrialStep) -> Block:
    """Returns the line of a step, with what to do about it below."""
    took = "" if step.seconds is None else f" ({step.seconds:.1f} s)"
    mark = (f"{_MARKS[step.status]:<7}", _STYLES[step.status])
    first = make_line(mark, f"{step.name:<15} ", f"{step.detail}{took}", indent=2)
    lines = (make_line((f"| {line}", "dim"), indent=9) for line in step.lines)
    advice = (make_line(line, indent=9) for line in step.advice.splitlines())
    return (first, *lines, *advice)
