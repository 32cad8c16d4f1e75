"""Mounts the worktree of a program that is made of layers, in a mount namespace of this process and its children.

Only the kernel refers to the layers: no process of the program finds them by their own paths there. When the last process in the
namespace ends, however that happens, the kernel unmounts everything. No other process of the machine sees a mount.
"""

# ruff: noqa: PTH106, PTH108, PTH116 - pathlib takes longer to import than the launcher to do its work

import errno
import os
from collections.abc import Iterable
from contextlib import suppress

from gitbatch.sandbox.launcher.kernel import (
    MS_BIND,
    MS_NODEV,
    MS_NOSUID,
    MS_REC,
    filesystem_type,
    mount_filesystem,
)
from gitbatch.sandbox.launcher.namespaces import enter_mount_namespace

OVERLAY_NAME = "the overlay worktree"
"""What an error is about that names no file."""
_OVERLAY = 0x794C7630
"""OVERLAYFS_SUPER_MAGIC."""
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class OverlayMount:
    """The folders of one overlay, and its mount point."""

    def __init__(
        self, lower: list[str], upper: str, work: str, mount_point: str, *, index: bool = True
    ) -> None:
        self.lower = lower
        """The uppermost first."""
        self.upper = upper
        self.work = work
        self.mount_point = mount_point
        self.index = index
        """Whether hard links of the lower layers stay hard links when they are written, for which the kernel has a folder more."""


def mount_worktree(
    overlays: Iterable[OverlayMount], binds: Iterable[tuple[str, str]], on_parent_death: int
) -> None:
    """Mounts overlays in a new mount namespace, after folders (source, target) that one of them would hide; checks that they are there.

    Raises:
        OSError: that is not possible here.
    """
    try:
        enter_mount_namespace(on_parent_death)
        for source, target in binds:
            mount_filesystem(source, target, None, MS_BIND | MS_REC)
        for overlay in overlays:
            _forget_mount(overlay.work)
            device = os.stat(overlay.mount_point).st_dev
            _mount_overlay(overlay)
            _forget_mount(overlay.work)
            _require_overlay(overlay.mount_point, device)
    except OSError as error:
        raise OSError(error.errno, error.strerror, error.filename or OVERLAY_NAME) from error


def _forget_mount(work: str) -> None:
    """Removes the mark of a `volatile` mount, which forbids another one: by a later program in the same worktree.

    The kernel leaves it in case the machine crashes, after which such a folder must not be used again; ours are not.
    It never reads the mark while it is mounted; two folders less on the disk for each overlay.
    """
    mark = f"{work}/work/incompat"
    with suppress(FileNotFoundError):
        os.unlink(f"{mark}/volatile/dirty")
        os.rmdir(f"{mark}/volatile")
        os.rmdir(mark)


def _mount_overlay(overlay: OverlayMount) -> None:
    """Mounts one overlay. Folders are named by descriptors: their paths may be too long, or have a `:` or `,` in them."""
    paths = (*overlay.lower, overlay.upper, overlay.work)
    opened = [os.open(path, _FOLDER) for path in paths]
    try:
        *lower, upper, work = (f"/proc/self/fd/{descriptor}" for descriptor in opened)
        index = "on" if overlay.index else "off"
        options = (
            f"lowerdir={':'.join(lower)},upperdir={upper},workdir={work},userxattr,index={index},volatile"
        )
        mount_filesystem("overlay", overlay.mount_point, "overlay", MS_NOSUID | MS_NODEV, options)
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _require_overlay(mount_point: str, device: int) -> None:
    """Raises an error unless an overlay is mounted at a path: a program must never write in the bare folder.

    Args:
        mount_point: the path.
        device: the device of what was there before.

    Raises:
        OSError: none was.
    """
    descriptor = os.open(mount_point, _FOLDER)
    try:
        is_new = os.fstat(descriptor).st_dev != device
        found = filesystem_type(descriptor)
    finally:
        os.close(descriptor)
    if not is_new or found != _OVERLAY:
        raise OSError(errno.ENODEV, "it is not mounted", OVERLAY_NAME)
