"""The output of `gitbatch gc --json`."""

from gitbatch.batch.history.gc import Kept, Removal, Rescue
from gitbatch.view.envelope import Envelope


class GcOutput(Envelope, frozen=True):
    """What was removed, or with `--dry-run` would be."""

    dry_run: bool
    removed: tuple[Removal, ...]
    rescued: tuple[Rescue, ...]
    kept: tuple[Kept, ...]
