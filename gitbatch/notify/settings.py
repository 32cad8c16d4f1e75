"""The user's own configuration: who gets notifications of runs that wait or have ended. Nothing of it comes from a repository."""

import shlex
import tomllib
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, field

from gitbatch.errors import UsageError

VARIABLE = "GITBATCH_NOTIFY"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class NotifySettings(Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """The table `[notify]`."""

    command: tuple[str, ...] = ()
    """An argument list; a sentence is added as its last argument. Empty: none."""
    webhook: str = ""
    """An address with https (http for this machine alone) that JSON is sent to. Empty: none."""
    summaries: bool = False
    """Whether texts of agents may be sent: summaries and reasons of failures."""
    bell: bool = True
    """Whether the terminal rings, and shows a notification if it can."""


class UserConfig(Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """The whole file."""

    notify: NotifySettings = field(default_factory=NotifySettings)


def read_notify_settings(file: Path, named: str | None) -> NotifySettings:
    """Returns the settings of the user's file, or what the environment names instead.

    Args:
        file: the user's configuration; it need not exist.
        named: the value of `GITBATCH_NOTIFY`: an address, a command, or empty for neither; None: it is not set.

    Raises:
        UsageError: the file or the variable is invalid.
    """
    settings = _read_file(file).notify
    if named is not None:
        settings = _use_variable(settings, named)
    _require_valid(settings, file if named is None else Path(VARIABLE))
    return settings


def _read_file(file: Path) -> UserConfig:
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), UserConfig)
    except (FileNotFoundError, NotADirectoryError):
        return UserConfig()
    except (OSError, ValueError) as error:  # msgspec's and tomllib's errors are ValueErrors
        raise UsageError(
            f"invalid user configuration {file}: {error}",
            "see “Notifications” in gitbatch help configuration",
        ) from error


def _use_variable(settings: NotifySettings, named: str) -> NotifySettings:
    """Returns the settings with the address or the command of the variable instead of both of the file."""
    if "://" in named.split(" ", 1)[0]:
        return msgspec.structs.replace(settings, webhook=named.strip(), command=())
    try:
        command = tuple(shlex.split(named))
    except ValueError as error:
        raise UsageError(f"invalid command in {VARIABLE}: {error}", "close the quotes") from error
    return msgspec.structs.replace(settings, webhook="", command=command)


def _require_valid(settings: NotifySettings, origin: Path) -> None:
    if settings.webhook and not _is_allowed(settings.webhook):
        raise UsageError(
            f"invalid webhook in {origin}: not an https address",
            'write webhook = "https://…"; http is only for this machine',
        )
    if settings.command and not settings.command[0]:
        raise UsageError(f"invalid command in {origin}: the program is empty", "name a program")


def _is_allowed(address: str) -> bool:
    """Whether an address may be sent to: it is encrypted on its way, or stays on this machine."""
    with suppress(ValueError):
        parts = urlsplit(address)
        host = parts.hostname or ""
        return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK))
    return False
