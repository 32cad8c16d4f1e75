"""Diagnostics of a plan in its repository (GB401 and up): lint, plan and run show the same.

An error concerns an item that cannot run; a run refuses to start if such an item is chosen. A warning concerns what is
probably a mistake. No program that the repository names is started for any of this.
"""

from bisect import bisect_right

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.planning.check_problems import find_check_problems, find_self_read, find_self_reviews
from gitbatch.batch.planning.item_problems import (
    OUTPUT_BLOCKED,
    OUTPUT_NESTED,
    find_default_agent,
    find_item_problems,
)
from gitbatch.batch.planning.project_state import ProjectState, read_with_objects
from gitbatch.batch.planning.surroundings import CommitSurroundings, Surroundings
from gitbatch.plan.findings import Findings, quoted
from gitbatch.plan.model import Diagnostic, Plan, WorkItem
from gitbatch.plan.source import Span, read
from gitbatch.project import help_texts
from gitbatch.project.context import LFS, LFS_WITH_STORE, ContextFile, describe_filter, find_files
from gitbatch.project.control import Project
from gitbatch.repo.repository import Repository
from gitbatch.repo.templates.real_files import has_lfs_files
from gitbatch.text import clean_text

CONTEXT_FILTERED = "GB402"
"""A context file is stored by a filter (Git LFS): agents read what is stored."""
OUTPUT_IGNORED = "GB403"
"""An output is ignored."""
TICKED_WITHOUT_FILE = "GB405"
"""An item is ticked, and its output does not exist."""
OUTPUT_FILTERED = "GB407"
"""An output has a filter, which would have to be run."""
PREPARED_FROM = "GB424"
"""An output is a file that `batch.prepare-on` names."""
OPEN_IN_COMPLETE = "GB412"
"""An item is open, and every criterion of the Definition of Done is ticked."""


def find_risks(plan: Plan, source: bytes, project: Project, around: Surroundings) -> tuple[Diagnostic, ...]:
    """Returns the diagnostics of a plan in its surroundings, in the order of the plan."""
    lines = tuple(item.line for item in plan.items)
    report = _Report(plan, Findings(read(source)[0]), lines)
    unplaced = _report_problems(report, project, around)
    placed = tuple(item for item in report.open_items if item.output not in unplaced)
    _check_outputs(report, placed, around)
    _check_preparation(report, placed, project)
    _check_contexts(report, project, around)
    _check_ticks(report, around)
    _check_completion(report)
    return report.findings.in_order(plan.language)


def add_risks(repo: Repository, project_state: ProjectState, *, followed: bool) -> ProjectState:
    """Returns the project state of a commit with these diagnostics. `followed`: the checkout is on the branch."""
    around = CommitSurroundings(repo, project_state, followed)
    found = read_with_objects(
        repo,
        project_state.commit,
        lambda: find_risks(project_state.plan, project_state.source, project_state.project, around),
    )
    return replace(
        project_state, plan=replace(project_state.plan, diagnostics=(*project_state.plan.diagnostics, *found))
    )


def mark_filtered(
    repo: Repository, project_state: ProjectState, files: tuple[ContextFile, ...]
) -> tuple[ContextFile, ...]:
    """Returns the files of a manifest, with the name of the filter for those that a filter stores."""
    found = dict(
        CommitSurroundings(repo, project_state, followed=False).find_filters(file.path for file in files)
    )
    config = project_state.project.config
    if config.batch.checkout == "full" and not config.executor.is_remote and has_lfs_files(repo):
        found = {path: LFS_WITH_STORE if name == LFS else name for path, name in found.items()}
    return tuple(replace(f, filter=clean_text(found[f.path])) if f.path in found else f for f in files)


class _Report(Struct, frozen=True):
    """The findings so far, and the places in the plan that they refer to."""

    plan: Plan
    findings: Findings
    lines: tuple[int, ...]
    """The lines at which the items begin."""

    @property
    def open_items(self) -> tuple[WorkItem, ...]:
        """Returns the items that are still to run: none in a complete phase (rule O6)."""
        return () if self.plan.is_complete else tuple(item for item in self.plan.items if not item.done)

    def span_of(self, item: WorkItem, word: str = "") -> Span:
        """Returns the span of a word in an item; of the item's line if the word does not occur."""
        source = self.findings.source
        first = item.line - 1
        later = bisect_right(self.lines, item.line)
        end = source.starts[self.lines[later] - 1] if later < len(self.lines) else len(source.text)
        at = source.text.find(word, source.starts[first], end) if word else -1
        if at >= 0:
            return Span(at, at + len(word))
        line = source.raw_line(first)
        return Span(source.starts[first] + len(line) - len(line.lstrip()), source.ends[first])


def _report_problems(report: _Report, project: Project, around: Surroundings) -> frozenset[str]:
    """Reports what keeps open items from running; returns the outputs that cannot be written."""
    unplaced = set()
    default = find_default_agent(project.config)
    problems = find_item_problems(report.plan, project, report.open_items, default, around)
    unknown = find_check_problems(report.plan, project.config, report.open_items)
    for problem in (*problems, *unknown):
        if problem.code in {OUTPUT_NESTED, OUTPUT_BLOCKED}:
            unplaced.add(problem.item.output)
        message = problem.describe(quoted(problem.item.name), quoted(problem.word))
        span = report.span_of(problem.item, problem.word)
        report.findings.error(problem.code, span, message, problem.advice)
    plan, config, items = report.plan, project.config, report.open_items
    for problem in (
        *find_self_read(plan, config, items),
        *find_self_reviews(plan, config, items, default or ""),
    ):
        span = report.span_of(problem.item, problem.word)
        message = problem.describe(quoted(problem.item.name), quoted(problem.word))
        report.findings.warning(problem.code, span, message, problem.advice)
    return frozenset(unplaced)


def _check_outputs(report: _Report, placed: tuple[WorkItem, ...], around: Surroundings) -> None:
    """Checks the paths of open items that can be written."""
    by_pattern = around.find_ignored(item.output for item in placed)
    by_filter = around.find_filters(item.output for item in placed)
    for item in placed:
        span = report.span_of(item, item.output)
        pattern = by_pattern.get(item.output)
        if pattern:
            said = f"the pattern {quoted(pattern.text)} in {clean_text(pattern.file)}"
            message = f"the output {quoted(item.output)} is ignored by {said}"
            report.findings.warning(OUTPUT_IGNORED, span, message, help_texts.IGNORED_OUTPUT)
        if item.output in by_filter:
            message = f"the output {quoted(item.output)} has the filter {quoted(by_filter[item.output])}"
            report.findings.warning(OUTPUT_FILTERED, span, message, help_texts.NO_FILTER_RUNS)


def _check_preparation(report: _Report, placed: tuple[WorkItem, ...], project: Project) -> None:
    """Checks that no open item writes what worktrees are prepared from."""
    for item in placed:
        if project.config.batch.is_prepared_from(item.output):
            message = f"worktrees are prepared from the output {quoted(item.output)} (batch.prepare-on)"
            report.findings.warning(
                PREPARED_FROM, report.span_of(item, item.output), message, help_texts.PREPARES_AGAIN
            )


def _check_contexts(report: _Report, project: Project, around: Surroundings) -> None:
    """Checks the existing files that open items declare as context."""
    declared: list[tuple[WorkItem, dict[str, str]]] = []
    for item in report.open_items:
        found = ((path, name) for name in item.context for path in find_files(name, project, around.snapshot))
        declared.append((item, dict(found)))
    by_filter = around.find_filters({path for _, names in declared for path in names})
    for item, names in declared:
        for path, name in names.items():
            if path in by_filter:
                message = (
                    f"{quoted(item.name)} reads {quoted(path)}, which is {describe_filter(by_filter[path])}"
                )
                span = report.span_of(item, name)
                report.findings.warning(CONTEXT_FILTERED, span, message, help_texts.COMMIT_TEXT)


def _check_ticks(report: _Report, around: Surroundings) -> None:
    """Checks that the outputs of ticked items exist."""
    for item in report.plan.items:
        if item.done and not around.has_file(item.output):
            message = f"{quoted(item.name)} is ticked, and its output {quoted(item.output)} does not exist"
            report.findings.warning(TICKED_WITHOUT_FILE, report.span_of(item), message, help_texts.CLEAR_BOX)


def _check_completion(report: _Report) -> None:
    """Checks that no item is open in a complete phase."""
    for item in report.plan.items if report.plan.is_complete else ():
        if not item.done:
            message = f"{quoted(item.name)} does not run: every criterion of the Definition of Done is ticked"
            report.findings.warning(OPEN_IN_COMPLETE, report.span_of(item), message, help_texts.REOPEN_PHASE)
