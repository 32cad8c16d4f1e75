"""The fixed configuration of a batch: the settings that name programs, hosts, keys and paths outside the repository.

They are fixed when the batch starts. Its record has the blob of gitbatch.toml at its base; a later version that the
user has accepted is kept by a ref of the batch. Each group starts from the tip of the target branch, where an agent without a
sandbox, a merge, or a checkout of another person's work may have put another version: if these parts differ there, nothing
starts before the user has accepted it. All other settings may change while a batch runs.

Within one process, the accepted version is kept in memory, so nothing that an agent writes meanwhile changes it, and a
ref that it has changed is set back at the end (`repo/refs/pinned.py`). Between two processes nothing protects the refs
from a process with the user's rights, such as one that an agent without a sandbox has left.
"""

from msgspec import Struct

from gitbatch.batch.history.record import Batch
from gitbatch.batch.planning.project_state import ProjectState
from gitbatch.errors import PlanError
from gitbatch.project.config import CONFIG_FILE, parse_config
from gitbatch.project.fixed import diff_lines, fixed_lines
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.refs.store import config_ref
from gitbatch.repo.repository import Repository


class ConfigChange(Struct, frozen=True):
    """Other values of fixed settings, at the tip of the target branch."""

    blob: str
    """The blob of gitbatch.toml there; empty if the file was deleted."""
    lines: tuple[str, ...]
    """Its settings (see `project/fixed.py`)."""
    difference: tuple[str, ...]
    """The differences from the accepted settings."""


class FixedConfig(Struct):
    """The settings that were accepted last."""

    lines: tuple[str, ...]
    """See `project/fixed.py`."""

    def find_change(self, project_state: ProjectState) -> ConfigChange | None:
        """Returns the fixed settings that differ in a commit; None if all are equal."""
        there = fixed_lines(project_state.project.config)
        if there == self.lines:
            return None
        return ConfigChange(
            project_state.snapshot.blob(CONFIG_FILE) or "", there, diff_lines(self.lines, there)
        )

    def accept_change(self, repo: Repository, batch: str, change: ConfigChange) -> None:
        """Accepts a change, for this process and for later ones."""
        if change.blob:
            repo.point(config_ref(batch), change.blob)
        self.lines = change.lines


def read_fixed_config(repo: Repository, batch: Batch, project_state: ProjectState) -> FixedConfig:
    """Reads the settings that a batch was started with, or that were accepted later.

    A batch of an older version of gitbatch has none: the settings in the commit of `project_state` become its own.
    """
    blob = repo.refs.read(config_ref(batch.id)) or batch.record.config
    if blob is None:
        there = ConfigChange(
            project_state.snapshot.blob(CONFIG_FILE) or "", fixed_lines(project_state.project.config), ()
        )
        fixed = FixedConfig(())
        fixed.accept_change(repo, batch.id, there)
        return fixed
    try:
        return FixedConfig(fixed_lines(parse_config(repo.objects.read_blob(blob))))
    except (
        PlanError,
        MissingObjectError,
    ):  # written by another version of gitbatch, or missing: every setting counts as changed
        return FixedConfig(())
