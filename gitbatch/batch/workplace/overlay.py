"""Workplaces whose files are layers that they share: the launcher mounts them for the programs of an agent, and only for those.

The folder of the worktree is the upper layer: it has the pointer `.git`, and then what the agent changes. Nothing is ever
mounted where the orchestrator is. It reads the upper layer as files, without following links, and never walks the rest.

Programs see the worktree at the path of the user's checkout: a virtual environment with absolute paths in it, and
caches that name files, then refer to the worktree. They see it at the path of its own folder if they need something of
the checkout itself, or if the checkout is $HOME.
"""

from functools import partial
from pathlib import Path

from msgspec import Struct

from gitbatch.agents.protocol import Agent, AgentFolders, Assignment, Failure, Progress, Reply
from gitbatch.batch.workplace.local import PROCESS, LocalWorkplaces, put_on_new_branch, raising_disk_errors
from gitbatch.batch.workplace.protocol import Collected, StartPermit, WorkplaceSetup
from gitbatch.batch.workplace.sparse_layers import SparseLayer, SparseLayers
from gitbatch.batch.workplace.upper_layer import UpperLayer, collect_from_upper, note_upper
from gitbatch.fs.layers import is_in_layers
from gitbatch.fs.removal import remove_tree
from gitbatch.repo.attributes import put_output
from gitbatch.repo.base import Base
from gitbatch.repo.fingerprint import require_untouched
from gitbatch.repo.repository import Repository
from gitbatch.repo.snapshot import TreeSnapshot
from gitbatch.repo.templates.layers import Layers
from gitbatch.repo.templates.templates import Templates
from gitbatch.repo.worktrees.agent_git import git_dir_of
from gitbatch.repo.worktrees.layered import (
    LayeredGit,
    add_layered_worktree,
    remove_layered_worktree,
    work_folders_of,
)
from gitbatch.repo.worktrees.worktree import NewWorktree
from gitbatch.sandbox.model import GitLayer, Overlay
from gitbatch.sandbox.trial_memory import TrialMemory
from gitbatch.text import CleanText


class SharedLayers(Struct, frozen=True):
    """The layers of the worktrees of a run."""

    templates: Templates
    sparse: SparseLayers
    """Those with some files of a commit."""
    git: LayeredGit
    mount_point: Path | None
    """Where all worktrees are mounted; None: each at its own folder."""
    memory: TrialMemory | None = None
    """Notes when an agent has worked in an overlay."""


class OverlayWorkplaces(Struct, frozen=True):
    """The workplaces of a run, each a worktree of layers."""

    plain: LocalWorkplaces
    """What they share with workplaces of the kind `copy`."""
    layers: SharedLayers

    def open_workplace(
        self,
        batch: str,
        slug: str,
        agent: str,  # noqa: ARG002 - all agents work here
        permit: StartPermit | None = None,  # noqa: ARG002 - and start at once
    ) -> "OverlayWorkplace":
        """Returns a workplace, not yet prepared, for an attempt at the item with a slug by any agent."""
        folder = self.plain.folder
        return OverlayWorkplace(self, folder / f"{batch}-{slug}-{PROCESS}", folder / f"{slug}-{PROCESS}.io")

    async def close(self, *, in_hurry: bool) -> None:
        """Nothing works on other machines."""


class PreparedWorkplace(Struct, frozen=True):
    """A workplace that is prepared."""

    setup: WorkplaceSetup
    upper: UpperLayer
    overlay: Overlay
    extra: tuple[Path, ...]
    """The layers on top of the commit's files."""
    held: Layers | SparseLayer
    """The layers that must not be removed while it is used."""


class OverlayWorkplace(Struct):
    """A worktree of layers with the item's branch, and a scratch folder: a `protocol.Workplace`."""

    shared: OverlayWorkplaces
    path: Path
    """The worktree's folder, which is the upper layer."""
    scratch: Path
    made: PreparedWorkplace | None = None
    slot: int | None = None

    async def prepare(self, setup: WorkplaceSetup) -> None:
        """Makes the worktree and the item's branch.

        Raises:
            DiskError: the folder, or the cache folder, cannot be written.
            PrepareError: a command of `batch.prepare` failed.
        """
        plain = self.shared.plain
        self.slot = plain.slots.take_slot()
        extra = await plain.list_extra_layers(setup.commit)
        self.made = await plain.git(_make_workplace, self.shared, self.path, setup, extra)

    async def work(self, agent: Agent, assignment: Assignment, progress: Progress) -> Reply | Failure:
        """Runs an agent in the worktree until it has ended."""
        made = self.made
        assert made is not None  # noqa: S101 - the order of calls that the protocol demands
        plain, layers = self.shared.plain, self.shared.layers
        snapshot = TreeSnapshot(plain.repo.objects, made.setup.tree)
        folders = AgentFolders(
            worktree=layers.mount_point or self.path,
            scratch=self.scratch,
            git=layers.git.readable(self.path),
            checkouts=plain.checkouts,
            hidden=(plain.folder.parent.parent, *plain.hidden),
            base=Base(made.setup.commit, snapshot, plain.git, plain.repo.git),
            overlay=made.overlay,
            slot=self.slot or 0,
        )
        shown = folders.show_to(agent.find_used_in(plain.checkouts))
        reply = await agent.run(assignment, shown, progress)
        if layers.memory and isinstance(reply, Reply):
            layers.memory.confirm(agent.sandbox_kind)
        return reply

    async def collect(self) -> Collected | None:
        """Lists the changes; None: the worktree was removed while the agent ran, or was never made."""
        if self.made is None:
            return None
        return await self.shared.plain.git(collect_from_upper, self.made.upper, self.made.setup.output)

    @property
    def host(self) -> CleanText:
        """Empty: it is on this machine."""
        return CleanText("")

    async def note_recorded(self, *, in_git: bool) -> None:
        """Keeps nothing that could be removed now."""

    async def discard(self) -> bool:
        """Removes the worktree and the scratch folder. The item's branch is left alone."""
        self.shared.plain.slots.give_back(self.slot)
        held = self.made.held if self.made else None
        return await self.shared.plain.git(
            _remove_folders, self.shared.plain.repo, self.path, self.scratch, held
        )


def _remove_folders(
    repo: Repository, worktree: Path, scratch: Path, held: Layers | SparseLayer | None
) -> bool:
    gone = [remove_layered_worktree(repo, worktree), remove_tree(scratch)]
    if held:
        held.close()
    return all(gone)


def choose_mount_point(checkout: Path, home: Path, worktrees: Path) -> Path | None:
    """Returns the checkout's path, for worktrees to be mounted there; None: that would hide what is needed.

    Args:
        checkout: the user's.
        home: the user's home folder.
        worktrees: the folder of the worktrees.
    """
    root = checkout.resolve()
    is_needed = any(path.resolve().is_relative_to(root) for path in (home, worktrees))
    return None if is_needed else root


def make_git_layer(git: LayeredGit, worktree: Path, base: str, index: Path) -> GitLayer:
    """Returns the git directory of a worktree: a shared index, and what the worktrees of a base share.

    Raises:
        OSError: the folder of the index cannot be written.
    """
    lower = (git.share_index(index), git.agents.shared(base))
    return GitLayer(lower, git_dir_of(worktree), work_folders_of(worktree)[1])


def _make_workplace(
    shared: OverlayWorkplaces, path: Path, setup: WorkplaceSetup, extra: tuple[Path, ...]
) -> PreparedWorkplace:
    plain, repo = shared.plain, shared.plain.repo
    with raising_disk_errors(path.parent):
        require_untouched(repo, plain.fingerprint)
        repo.objects.writer.flush()  # git reads them in the worktree
        held = _hold_layers(shared, setup)
        try:
            return _fill_workplace(shared, path, setup, extra, held)
        except BaseException:
            held.close()
            raise


def _hold_layers(shared: OverlayWorkplaces, setup: WorkplaceSetup) -> Layers | SparseLayer:
    """Returns the layers with the files of the base: all of them, or those that the item reads."""
    if setup.paths is None:
        return shared.layers.templates.layers(setup.commit)
    tree = shared.plain.repo.objects.tree_of(setup.commit)
    return shared.layers.sparse.take_layer(tree, setup.paths)


def _fill_workplace(
    shared: OverlayWorkplaces,
    path: Path,
    setup: WorkplaceSetup,
    extra: tuple[Path, ...],
    held: Layers | SparseLayer,
) -> PreparedWorkplace:
    repo, git = shared.plain.repo, shared.layers.git
    new = NewWorktree(path, setup.branch, setup.commit, setup.output, setup.paths)
    made = put_on_new_branch(repo, new, partial(add_layered_worktree, repo, git, new))
    lower = held.lower
    folder = setup.output.rpartition("/")[0]
    if folder and not is_in_layers((*extra, *lower), folder):
        (path / folder).mkdir(parents=True)
    if setup.earlier:
        put_output(repo, path, setup.output, setup.earlier, setup.tree)
    upper = note_upper(path, lower, extra=extra, pointer=made.pointer, guarded=setup.guarded)
    work = work_folders_of(path)[0]
    of_git = make_git_layer(git, path, setup.commit, held.index)
    overlay = Overlay(upper.lower, path, work, of_git, git.binds)
    return PreparedWorkplace(setup, upper, overlay, extra, held)
