"""Objects in files of their own, written as git writes them, without a process of git's (gitrepository-layout(5)).

The content is on the disk before the name is there: git takes an object that has only its name for stored, for ever. A file
that a killed process leaves has the name that `git gc` removes. Names are brought to the disk by the caller.
"""

import os
import secrets
import stat
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from gitbatch.errors import GitError
from gitbatch.fs.durable import sync_contents
from gitbatch.fs.whole import write_all

_SHARED = {
    **dict.fromkeys(("group", "true", "yes", "on", "1"), 0o660),
    **dict.fromkeys(("all", "world", "everybody", "2"), 0o664),
}
"""The permissions that a value of core.sharedRepository adds."""
_OCTAL = frozenset("01234567")
_QUICKEST = 1
_LEVELS = {str(level): level for level in range(-1, 10)}


class UnwritableObjectError(GitError):
    """An object cannot be stored; `stderr` says why, as git would."""

    def __init__(self, path: str, reason: str | None) -> None:
        super().__init__(("hash-object", "-w"), 128, f"unable to write {path}: {reason}")
        self.message = self.stderr
        self.advice = "see that the folder can be written and that its disk has room"


class LooseForm(Struct, frozen=True):
    """What a repository's own configuration says of such files."""

    level: int = _QUICKEST
    """Of the compression, as zlib has it."""
    shared: int = 0
    """The permissions for others."""
    is_exact: bool = False
    """Whether they replace those by the umask, instead of being added."""

    @staticmethod
    def parse(settings: Mapping[str, str]) -> "LooseForm":
        """Returns the form that settings describe, by their names in lower case."""
        usual = _LEVELS.get(settings.get("core.compression", ""), _QUICKEST)
        level = _LEVELS.get(settings.get("core.loosecompression", ""), usual)
        sharing = settings.get("core.sharedrepository", "").lower()
        if len(sharing) in {3, 4} and _OCTAL.issuperset(sharing):
            return LooseForm(level, int(sharing, 8) & 0o666, is_exact=True)
        is_other_number = sharing.isdecimal() and sharing.strip("0") != ""
        return LooseForm(level, _SHARED.get(sharing, _SHARED["group"] if is_other_number else 0))

    def permissions(self, mode: int) -> int:
        """Returns the permissions of a new file or folder whose mode is that of the umask."""
        added = self.shared
        if not mode & stat.S_IWUSR:
            added &= ~0o222
        if mode & stat.S_IXUSR:
            added |= (added & 0o444) >> 2
        made = stat.S_IMODE(mode) & ~0o777 | added if self.is_exact else stat.S_IMODE(mode) | added
        is_of_group = stat.S_ISDIR(mode) and made & 0o060
        return made | (stat.S_ISGID if is_of_group else 0)


USUAL = LooseForm()
"""The form of a repository whose configuration says nothing of it."""


def store_loose(folder: Path, contents: Mapping[str, bytes], form: LooseForm) -> set[str]:
    """Stores objects, all or, after an error, some of them; one that has a file already only gets its time, as by git.

    Returns those that had a file: by another program, whose content may not be on the disk.

    Args:
        folder: the folder of the object store.
        contents: with the header, by id.
        form: of the files.

    Raises:
        UnwritableObjectError: a file cannot be written.
    """
    opened: list[tuple[int, str, str]] = []
    there = set()
    with _reported_as_git_does(folder):
        try:
            for oid, content in contents.items():
                path = f"{folder}/{oid[:2]}/{oid[2:]}"
                if _is_refreshed(path):
                    there.add(oid)
                    continue
                descriptor, temporary = _open_temporary(os.path.dirname(path), form)  # noqa: PTH120 - quicker as text
                opened.append((descriptor, temporary, path))
                if form.shared:
                    os.fchmod(descriptor, form.permissions(os.fstat(descriptor).st_mode))
                write_all(descriptor, zlib.compress(content, form.level))
            sync_contents(descriptor for descriptor, _, _ in opened)
            for _, temporary, path in opened:
                os.rename(temporary, path)  # noqa: PTH104 - as above
        except BaseException:
            for _, temporary, _ in opened:
                with suppress(OSError):  # it may have its name already
                    os.unlink(temporary)  # noqa: PTH108 - as above
            raise
        finally:
            for descriptor, _, _ in opened:
                os.close(descriptor)
    return there


def _is_refreshed(path: str) -> bool:
    """Makes a stored object as young as a new one, which `git prune` leaves alone. Returns whether that was possible."""
    with suppress(OSError):
        os.utime(path)
        return True
    return False


def _open_temporary(folder: str, form: LooseForm) -> tuple[int, str]:
    """Returns the descriptor and the path of a new file in a folder, which is made if it is missing."""
    path = f"{folder}/tmp_obj_{secrets.token_hex(6)}"  # noqa: S108 - git prune knows this name
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o444)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(folder)  # noqa: PTH102 - as above
            if form.shared:
                os.chmod(folder, form.permissions(os.stat(folder).st_mode))  # noqa: PTH101, PTH116 - as above
        descriptor = os.open(path, flags, 0o444)
    return descriptor, path


@contextmanager
def _reported_as_git_does(folder: Path) -> Iterator[None]:
    """Raises an error of the system as one of the object store, so that callers know one kind."""
    try:
        yield
    except OSError as error:
        named = error.filename if isinstance(error.filename, str) else os.fspath(folder)
        raise UnwritableObjectError(named, error.strerror) from error
