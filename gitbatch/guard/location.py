"""Finds the hooks folder of a checkout by the user's own git configuration, and what forbids to write to it.

Nothing here writes. A reason not to write is a value (`InstallBlocker`): `status` shows it, `install` refuses with it.
"""

from collections.abc import Mapping
from filecmp import cmp
from pathlib import Path
from shlex import quote

from msgspec import Struct

from gitbatch.guard.script import FRAMEWORK, HOOK, KEPT, MOVED, HookState, inspect_hook
from gitbatch.repo.repository import Repository
from gitbatch.resources import resource

_UNSET = "unknown"
"""The scope that git names for a setting that is not set anywhere."""


class InstallBlocker(Struct, frozen=True):
    """Why the hook cannot be installed or removed in a folder, and what to do about it."""

    message: str
    advice: str


class HookLocation(Struct, frozen=True):
    """A folder in which git looks for hooks."""

    folder: Path
    setting: str | None = None
    """`core.hooksPath` as it is written; None where it is not set."""
    scope: str | None = None
    """Where it is set: `local`, `worktree`, `global`, `system`, `command`."""

    @property
    def hook(self) -> Path:
        """The path of our script: the hook's own, or the one that the pre-commit framework gave it and runs it from."""
        moved, hook = self.folder / MOVED, self.folder / HOOK
        is_moved = inspect_hook(moved).is_ours and inspect_hook(hook) is HookState.FOREIGN
        return moved if is_moved else hook

    @property
    def kept(self) -> Path:
        """The path of the hook that was there before ours."""
        return self.folder / KEPT

    @property
    def chained(self) -> Path | None:
        """The hook that ours runs after itself; None if the pre-commit framework has a newer one and runs ours."""
        is_replaced = self.hook.name == MOVED and is_framework_hook(self.kept)
        return self.kept if self.kept.exists() and not is_replaced else None

    @property
    def is_in_worktrees(self) -> bool:
        """Whether git finds the folder from every worktree, and not only from this checkout."""
        return self.setting is None or Path(self.setting).is_absolute()


def find_hook_location(repo: Repository, settings: Mapping[str, str]) -> HookLocation:
    """Returns the folder in which git looks for the hooks of a checkout.

    Args:
        repo: the repository.
        settings: the user's `GIT_CONFIG_*` variables, which name their configuration files.
    """
    asked = ("--type=path", "--show-scope", "-z", "--default", "", "--get", "core.hooksPath")
    scope, value, _ = repo.git.run_with_user_config("config", *asked, extra=dict(settings)).split("\0")
    if scope == _UNSET:
        return default_hook_location(repo)
    return HookLocation(repo.root / value, value, scope)


def default_hook_location(repo: Repository) -> HookLocation:
    """Returns the folder in which git looks if `core.hooksPath` is not set."""
    return HookLocation(repo.common_dir / "hooks")


def is_in_repository(repo: Repository, folder: Path) -> bool:
    """Whether a folder, with symlinks resolved, is below this repository's `.git`, this checkout or the main one."""
    common = repo.common_dir.resolve()
    ours = (common, repo.root.resolve(), *((common.parent,) if common.name == ".git" else ()))
    return any(folder.resolve().is_relative_to(top) for top in ours)


def install_blocker(repo: Repository, location: HookLocation) -> InstallBlocker | None:
    """Returns why the hook cannot be installed in a folder; None if it can."""
    if location.setting == "":
        return InstallBlocker(
            "core.hooksPath is empty", f"remove it: git config --{location.scope} --unset core.hooksPath"
        )
    if not is_in_repository(repo, location.folder):
        source = f"core.hooksPath ({location.scope})" if location.setting else str(location.folder)
        return InstallBlocker(
            f"{source} leads out of the repository, to {location.folder.resolve()}, which other repositories may share",
            f"give this one hooks of its own: git config core.hooksPath {quote(str(repo.common_dir / 'hooks'))}\n{_chaining_advice()}",
        )
    return find_hook_conflict(repo, location)


def find_hook_conflict(repo: Repository, location: HookLocation) -> InstallBlocker | None:
    """Returns which file of a folder must not be moved, replaced or deleted, if any."""
    hook = location.hook
    state = inspect_hook(hook)
    if state is HookState.UNUSABLE:
        kind = "a symlink" if hook.is_symlink() else "not a readable file"
        return InstallBlocker(f"{hook} is {kind}", f"replace it with a file, or {_chaining_advice()}")
    if state is HookState.EDITED:
        return InstallBlocker(
            f"{hook} is gitbatch's hook, and was edited",
            "move your lines to a hook of your own: install keeps that and runs it too",
        )
    if state is not HookState.INSTALLED and _is_tracked(repo, hook):
        return InstallBlocker(f"{hook} is tracked in the repository", _chaining_advice())
    if state is HookState.FOREIGN and location.kept.exists() and not cmp(hook, location.kept, shallow=False):
        return InstallBlocker(
            f"{hook} is not gitbatch's, and {location.kept.name} next to it keeps another hook",
            "delete the one that you do not need, then try again",
        )
    return None


def _is_tracked(repo: Repository, hook: Path) -> bool:
    """Whether the hook is tracked in the checkout around it. Below `.git`, which is in no checkout, git fails."""
    here = repo.git.in_directory(hook.parent)
    return hook.parent.is_dir() and bool(here.run("ls-files", "--", hook.name, check=False).stdout)


def _chaining_advice() -> str:
    return f"call gitbatch's hook from your own: sh {quote(str(resource(f'hooks/{HOOK}')))} || exit 1"


def is_framework_hook(hook: Path) -> bool:
    """Whether a hook was written by the pre-commit framework."""
    return hook.is_file() and FRAMEWORK in hook.read_bytes()
