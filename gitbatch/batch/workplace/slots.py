"""Numbers for the attempts that run at the same time, so that each can have ports and databases of its own."""

import fcntl
import os
from pathlib import Path

from msgspec import Struct, field


class Slots(Struct):
    """The numbers that are taken. Belongs to one event loop."""

    folder: Path | None = None
    """Has a file for each number, which is locked while it is taken: no other owner of numbers in this folder takes it."""
    _taken: dict[int, int | None] = field(default_factory=dict)
    """With the descriptors of the locks."""

    def take_slot(self) -> int:
        """Takes the lowest free number, from 0 on: with n attempts at a time, all are below n.

        Raises:
            OSError: the folder cannot be written.
        """
        number = 0
        while not self._take_number(number):
            number += 1
        return number

    def _take_number(self, number: int) -> bool:
        if number in self._taken:
            return False
        try:
            self._taken[number] = _lock_file(self.folder / str(number)) if self.folder else None
        except BlockingIOError:
            return False
        return True

    def give_back(self, number: int | None) -> None:
        """Makes a number free again; None: none was taken."""
        descriptor = self._taken.pop(-1 if number is None else number, None)
        if descriptor is not None:
            os.close(descriptor)


def _lock_file(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
