"""Diagnostics of a plan in its repository (GB401 and up): lint, plan and run show the same.

An error concerns an item that cannot run; a run refuses to start if such an item is chosen. A warning concerns what is
probably a mistake. No program that the repository names is started for any of this.
"""

from contextlib import closing
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.planning.project_state import ProjectState, read_with_objects
from gitbatch.batch.planning.surroundings import CommitSurroundings, DiskSurroundings, Surroundings
from gitbatch.errors import GitbatchError
from gitbatch.plan import help_texts
from gitbatch.plan.findings import Findings, quoted
from gitbatch.plan.model import Diagnostic, Plan, WorkItem
from gitbatch.plan.source import Span, read
from gitbatch.project.context import ContextFile, describe_filter, find_files, possible_paths
from gitbatch.project.control import Project
from gitbatch.project.lint import Checked, read_project_on_disk
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text

CONTEXT_ELSEWHERE = "GB401"
"""A context file is in a submodule or in a nested repository."""
CONTEXT_FILTERED = "GB402"
"""A context file is stored by a filter (Git LFS): agents read what is stored."""
OUTPUT_IGNORED = "GB403"
"""An output is ignored."""
OUTPUT_NESTED = "GB404"
"""An output is below a nested repository."""
TICKED_WITHOUT_FILE = "GB405"
"""An item is ticked, and its output does not exist."""
OUTPUT_WITHOUT_PLACE = "GB406"
"""An output is in a submodule, below a link or a file, or a folder."""
OUTPUT_FILTERED = "GB407"
"""An output has a filter, which would have to be run."""

CONTEXT_ADVICE = help_texts.COPY_CONTEXT.english


def find_risks(plan: Plan, source: bytes, project: Project, around: Surroundings) -> tuple[Diagnostic, ...]:
    """Returns the diagnostics of a plan in its surroundings, in the order of the plan."""
    report = _Report(plan, Findings(read(source)[0]))
    _check_outputs(report, around)
    _check_contexts(report, project, around)
    _check_ticks(report, around)
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


def find_disk_risks(checked: Checked) -> tuple[Diagnostic, ...]:
    """Returns these diagnostics for a plan on the disk; none outside of a repository."""
    path = Path(checked.path).resolve()
    try:
        repo = open_repository(path.parent, read_only=True)
    except GitbatchError:
        return ()
    with closing(repo):
        here = path.relative_to(repo.root.resolve()).as_posix()
        around = DiskSurroundings.of_checkout(repo)
        project = read_project_on_disk(around.snapshot.checkout, here)
        if project is None:
            return ()
        return find_risks(checked.plan, checked.source, project, around)


def find_foreign_context(name: str, project: Project, around: Surroundings) -> str | None:
    """Returns why a declared context file cannot be in a commit: it is part of another repository; else None."""
    for path in possible_paths(name, project):
        submodule, nested = around.submodule_of(path), around.nested_repository_of(path)
        if submodule or nested:
            kind = "the submodule" if submodule else "the nested repository"
            return f"which is in {kind} {submodule or nested}: its files are in no commit of this repository"
    return None


def find_nesting(path: str, around: Surroundings) -> str | None:
    """Returns why an output cannot be written because of a nested repository; else None."""
    nested = around.nested_repository_of(path)
    return f"{nested} is a repository of its own and not a submodule of this one" if nested else None


def mark_filtered(
    repo: Repository, project_state: ProjectState, files: tuple[ContextFile, ...]
) -> tuple[ContextFile, ...]:
    """Returns the files of a manifest, with the name of the filter for those that a filter stores."""
    found = CommitSurroundings(repo, project_state, followed=False).find_filters(file.path for file in files)
    return tuple(replace(f, filter=clean_text(found[f.path])) if f.path in found else f for f in files)


class _Report(Struct, frozen=True):
    """The findings so far, and the places in the plan that they refer to."""

    plan: Plan
    findings: Findings

    @property
    def open_items(self) -> tuple[WorkItem, ...]:
        """Returns the items that are still to run."""
        return tuple(item for item in self.plan.items if not item.done)

    def span_of(self, item: WorkItem, word: str = "") -> Span:
        """Returns the span of a word in an item; of the item's line if the word does not occur."""
        source = self.findings.source
        first = item.line - 1
        later = [other.line - 1 for other in self.plan.items if other.line > item.line]
        end = source.starts[min(later)] if later else len(source.text)
        at = source.text.find(word, source.starts[first], end) if word else -1
        if at >= 0:
            return Span(at, at + len(word))
        line = source.raw_line(first)
        return Span(source.starts[first] + len(line) - len(line.lstrip()), source.ends[first])


def _check_outputs(report: _Report, around: Surroundings) -> None:
    """Checks the paths that open items write to."""
    placed = []
    for item in report.open_items:
        problem, nested = around.find_place_problem(item.output), find_nesting(item.output, around)
        if problem or nested:
            code = OUTPUT_WITHOUT_PLACE if problem else OUTPUT_NESTED
            message = f"the output {quoted(item.output)} cannot be written: {problem or nested}"
            span = report.span_of(item, item.output)
            report.findings.error(code, span, message, help_texts.OTHER_OUTPUT)
        else:
            placed.append(item)
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


def _check_contexts(report: _Report, project: Project, around: Surroundings) -> None:
    """Checks the files that open items declare as context."""
    for item in report.open_items:
        paths: dict[str, str] = {}
        for name in item.context:
            found = find_files(name, project, around.snapshot)
            paths |= dict.fromkeys(found, name)
            problem = None if found else find_foreign_context(name, project, around)
            if problem:
                message = f"{quoted(item.name)} reads {quoted(name)}, {problem}"
                report.findings.error(
                    CONTEXT_ELSEWHERE, report.span_of(item, name), message, help_texts.COPY_CONTEXT
                )
        for path, stored_by in around.find_filters(paths).items():
            note = describe_filter(stored_by)
            message = f"{quoted(item.name)} reads {quoted(path)}, which is {note}"
            span = report.span_of(item, paths[path])
            report.findings.warning(CONTEXT_FILTERED, span, message, help_texts.COMMIT_TEXT)


def _check_ticks(report: _Report, around: Surroundings) -> None:
    """Checks that the outputs of ticked items exist."""
    for item in report.plan.items:
        if item.done and not around.has_file(item.output):
            message = f"{quoted(item.name)} is ticked, and its output {quoted(item.output)} does not exist"
            report.findings.warning(TICKED_WITHOUT_FILE, report.span_of(item), message, help_texts.CLEAR_BOX)
