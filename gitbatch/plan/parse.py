"""`parse_plan`: the bytes of a task.md → a `Plan`, with everything that is wrong with it.

The way of the text: bytes → `source` → `blocks` (what is where) → `sections` (what is work) → `hint_owners` (whose
hint is what) → `criteria` and `groups` → Plan. Never raises, whatever the bytes are; a plan with errors still
has everything that could be read, so that all errors are reported at once.
"""

import posixpath
from functools import lru_cache

from msgspec.structs import replace

from gitbatch.plan.blocks import locate
from gitbatch.plan.criteria import read_criteria
from gitbatch.plan.findings import Findings
from gitbatch.plan.groups import read_groups
from gitbatch.plan.hint_owners import find_owned_hints
from gitbatch.plan.lookalikes import report_lookalikes
from gitbatch.plan.model import Hints, Plan, PlanOptions
from gitbatch.plan.outputs import FIXED_FILES, INVENTORIES, control_paths
from gitbatch.plan.reticked import retick_plan
from gitbatch.plan.sections import find_layout
from gitbatch.plan.source import read


def parse_plan(source: bytes, path: str, options: PlanOptions) -> Plan:
    """The plan that a task.md holds. `path`: the file's name in the repository, which no item may write."""
    text, problems = read(source)
    if problems:
        return Plan(path, (), (), Hints(), problems)
    findings = Findings(text)
    blocks = locate(text, findings)
    if not findings.is_empty:
        return Plan(path, (), (), Hints(), findings.in_order())
    layout = find_layout(blocks, options, findings)
    report_lookalikes(blocks, layout, findings)
    criteria = read_criteria(layout.criteria, findings)
    owned = find_owned_hints(blocks, layout, findings)
    artifacts = options.artifacts | {posixpath.join(posixpath.dirname(path), INVENTORIES)}
    protected = options.protected | control_paths(options.folder) | FIXED_FILES | artifacts | {path}
    options = replace(options, protected=protected, artifacts=artifacts)
    groups = read_groups(layout, owned, len(criteria), options, findings)
    return Plan(path, groups, criteria, owned.plan.hints, findings.in_order(layout.language), layout.language)


@lru_cache(maxsize=4)
def read_plan(source: bytes, path: str, options: PlanOptions) -> Plan:
    """The plan in a text. Remembered: a run asks for the same one several times at each checkpoint."""
    known = _LAST.get((path, options))
    plan = (known and retick_plan(known[1], known[0], source)) or parse_plan(source, path, options)
    if len(_LAST) >= _KEPT:
        _LAST.clear()
    _LAST[path, options] = (source, plan)
    return plan


_KEPT = 4
"""The number of paths whose last plan is kept."""
_LAST: dict[tuple[str, PlanOptions], tuple[bytes, Plan]] = {}
"""By path and options: the text that was read last, and its plan. The next one often differs in ticks alone."""
