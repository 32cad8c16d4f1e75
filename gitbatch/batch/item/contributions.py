"""Contributions of agents to shared artifacts (rule O4): the artifact that each one means, and what is said of the others."""

from collections.abc import Iterable, Mapping

from gitbatch.agents.protocol import Contribution
from gitbatch.batch.planning.project_state import ProjectState, find_path_problem
from gitbatch.paths import path_key
from gitbatch.plan.outputs import INVENTORIES
from gitbatch.project.control import Project
from gitbatch.text import CleanText, clean_text


def group_contributions(
    contributions: Iterable[Contribution], project_state: ProjectState
) -> Mapping[str, tuple[str, ...]]:
    """Returns the texts for each shared artifact, by its path, in order; without those that no artifact can have."""
    texts: dict[str, list[str]] = {}
    spelt: dict[str, str] = {}
    for contribution in contributions:
        path = project_state.project.find_artifact(contribution.artifact)
        if path and not find_path_problem(project_state, path):
            # Two names that a file system may not tell apart create one file.
            texts.setdefault(spelt.setdefault(path_key(path), path), []).append(contribution.text)
    return {path: tuple(lines) for path, lines in texts.items()}


def describe_lost_contributions(
    contributions: Iterable[Contribution], project_state: ProjectState
) -> tuple[CleanText, ...]:
    """Returns a line for each artifact that a reply names and that cannot be written, with those that can."""
    found = []
    for name in dict.fromkeys(contribution.artifact for contribution in contributions):
        path = project_state.project.find_artifact(name)
        problem = find_path_problem(project_state, path) if path else _describe_unknown(project_state.project)
        if problem:
            found.append(clean_text(f"contributed to {name}: {problem}; the text is in the item's commit"))
    return tuple(found)


def _describe_unknown(project: Project) -> str:
    known = dict.fromkeys((*(path.rpartition("/")[2] for path in project.artifacts), INVENTORIES))
    return f"unknown shared artifact (known: {', '.join(known)})"
