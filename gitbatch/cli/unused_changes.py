"""The note about changes that are not committed and therefore not used, on standard error."""

from gitbatch.batch.planning.uncommitted import find_unused_changes
from gitbatch.cli.verbosity import show_note
from gitbatch.project.control import PlanChoice
from gitbatch.repo.repository import Repository


def tell_unused_changes(repo: Repository, choice: PlanChoice) -> None:
    """Shows which of the files that decide what runs have uncommitted changes."""
    for path in find_unused_changes(repo, choice):
        show_note(f"note: {path} has uncommitted changes, which are not used")
