"""The form of each value in the trailers of our commits.

A value that is not of its form makes the commit invalid: it is not read as if it said less.
"""

import re
from collections.abc import Callable, Mapping

from gitbatch.batch.history.decisions import parse_chosen_agent, parse_decision
from gitbatch.batch.model import ItemStatus
from gitbatch.batch.verdicts import GateState
from gitbatch.paths import quote_for_message, unquote_path
from gitbatch.patterns import compile_later
from gitbatch.project.context import InputProblem

PATH_TRAILERS = frozenset({"Item", "Succeeded", "Plan"})
"""The trailers whose value is a path and nothing else."""
_PARSERS: Mapping[str, Callable[[str], object]] = {
    "Review": parse_decision,
    "Review-Agent": parse_chosen_agent,
}
_NUMBER = r"[1-9][0-9]{0,5}"
"""Bounded, as `int` raises `ValueError` for more than 4,300 digits."""
FORMS = {
    "Format": _NUMBER,
    "Batch": r"[0-9]{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])-(?:[01][0-9]|2[0-3])(?:[0-5][0-9]){2}-[0-9a-f]{4}",
    "Group": rf"{_NUMBER}(?: .*)?",
    "Checkpoint": rf"{_NUMBER}/{_NUMBER}",
    "Reviewed": rf"{_NUMBER}/{_NUMBER}",
    "Revision": _NUMBER,
    "Attempt": _NUMBER,
    "Seconds": r"[0-9]{1,9}[.][0-9]",
    "Waited": r"[0-9]{1,9}[.][0-9]",
    "Tokens": r"[0-9]{1,18}",
    "Cost": r"[0-9]{1,9}[.][0-9]{6}",
    "Cost-Unknown": _NUMBER,
    "Context-Outputs": r"([1-9][0-9]{0,8}) ([0-9a-f]{64})",
    "Plan-Item": r"[0-9a-f]{64}",
    "DoD": rf"#{_NUMBER}(?:, #{_NUMBER})*",
    "Check": r"(\S+) (pass|skip) \(([0-9]{1,9}[.][0-9])\)(?: at (\S.{0,99}))?",
    "Gate": rf"(\S+) ({'|'.join(GateState)}) ([0-9a-f]{{40}}(?:[0-9a-f]{{24}})?)(?: at (\S.{{0,99}}))?",
}
_STATUSES = "|".join(status for status in ItemStatus if status.is_failure)
FAILED_FORM = compile_later(rf"(.+?): ({_STATUSES}):(?: (.*))?")
MISSING_FORM = compile_later(rf"(.+?): ({'|'.join(InputProblem)}):(?: (.*))?")


def is_well_formed(name: str, value: str) -> bool:
    """Whether gitbatch can have written a value of the trailer of a name."""
    if name in PATH_TRAILERS:
        return _is_path(value)
    if form := {"Failed": FAILED_FORM, "Missing": MISSING_FORM}.get(name):
        found = form.fullmatch(value)
        return bool(found and _is_path(found[1]))
    if name in _PARSERS:
        return _PARSERS[name](value) is not None
    if name == "Rescued":
        return _is_path(value.partition(": ")[0])
    if name == "Context":
        path, _, blob = value.rpartition("@")
        return _is_path(path) and bool(re.fullmatch(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", blob))
    return bool(re.fullmatch(FORMS.get(name, ".*"), value))


def _is_path(text: str) -> bool:
    """Whether a path is quoted in the one way in which we quote it."""
    return bool(text) and quote_for_message(unquote_path(text)) == text
