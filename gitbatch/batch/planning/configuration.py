"""What a batch runs by: the parts of gitbatch.toml that name programs, hosts, keys and paths outside the repository.

They are fixed when the batch starts. Its record has the blob of gitbatch.toml at its base; a later version that the
user has accepted, a ref of the batch has. Each group starts from the tip of the target branch, where an agent without a
sandbox, a merge, or a checkout of another person's work may have put another version: if these parts differ there, nothing
starts before the user has accepted it. All other settings may change while a batch runs.

Within one process, what was accepted is kept in memory: nothing that an agent writes meanwhile changes it.
"""

from dataclasses import dataclass

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
    """Another version of what is fixed, which the tip of the target branch has."""

    blob: str
    """Of gitbatch.toml there; empty: it is gone."""
    lines: tuple[str, ...]
    """What it says (see `project/fixed.py`)."""
    difference: tuple[str, ...]
    """What differs from what was accepted."""


@dataclass(slots=True)
class FixedConfig:
    """What was accepted last."""

    lines: tuple[str, ...]
    """See `project/fixed.py`."""

    def find_change(self, project_state: ProjectState) -> ConfigChange | None:
        """Returns what differs in a commit; None: nothing that is fixed."""
        there = fixed_lines(project_state.project.config)
        if there == self.lines:
            return None
        return ConfigChange(
            project_state.snapshot.blob(CONFIG_FILE) or "", there, diff_lines(self.lines, there)
        )

    def accept_change(self, repo: Repository, batch: str, change: ConfigChange) -> None:
        """Take another version, for this process and for later ones."""
        if change.blob:
            repo.point(config_ref(batch), change.blob)
        self.lines = change.lines


def read_fixed_config(repo: Repository, batch: Batch, project_state: ProjectState) -> FixedConfig:
    """Reads what a batch was started with, or what was accepted since.

    Of a batch that an older version of gitbatch has started, what the commit of `project_state` says is recorded.
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
    ):  # another version of gitbatch wrote it, or it is gone: all of it is news
        return FixedConfig(())
