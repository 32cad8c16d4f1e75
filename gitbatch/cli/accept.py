"""Asking whether a batch may run by another configuration than it was started with; see `batch/planning/configuration.py`."""

from collections.abc import Callable

from gitbatch.batch.events import ConfigChanged, EventStream, Notice
from gitbatch.batch.loop import Accept
from gitbatch.batch.planning.configuration import ConfigChange, FixedConfig
from gitbatch.repo.repository import Repository

ACCEPTED = "accepted: the batch runs by this configuration from now on"


def accept_at_start(
    repo: Repository,
    batch: str,
    fixed: FixedConfig,
    change: ConfigChange,
    tell: EventStream,
    accepted: bool,
    can_ask: bool,
) -> bool:
    """Show what differs before a batch resumes; accept it, if the user does. Returns whether the batch may run.

    Args:
        repo: the repository.
        batch: its id.
        fixed: what was accepted before.
        change: what differs.
        tell: shows events.
        accepted: the user has said so on the command line.
        can_ask: the user can answer.
    """
    tell(ConfigChanged(batch=batch, difference=change.difference))
    if not accepted:
        from gitbatch.cli.ask import ask_to_accept

        if not can_ask or not ask_to_accept():
            return False
    fixed.accept(repo, batch, change)
    tell(Notice(batch=batch, text=ACCEPTED))
    return True


def accept_between_groups(close: Callable[[], None], listen: Callable[[], None], *, can_ask: bool) -> Accept:
    """Make what asks in the middle of a run. `--accept-config` says nothing of what is committed after it.

    Args:
        close: takes the view off the screen.
        listen: hears signals again, which a prompt takes away.
        can_ask: the user can answer.
    """

    async def accept() -> bool:
        if not can_ask:
            return False
        from gitbatch.cli.ask import ask_to_accept_now

        close()
        try:
            return await ask_to_accept_now()
        finally:
            listen()

    return accept
