"""The output of `gitbatch init --json`."""

from gitbatch.view.envelope import Envelope


class InitOutput(Envelope, frozen=True):
    """The files of a new project. Paths are repository paths."""

    written: tuple[str, ...]
    kept: tuple[str, ...]
    """Files that existed and were not changed."""
    scope: str
    """The section that is missing in CLAUDE.md; empty if it names the phase."""
