"""The commands that start a worker and keep what is sent to it from others: by their words alone, as they are configured.

`ssh` encrypts, and `gitbatch` by itself runs on this machine. Nothing else is known to: what `srun` sends is not encrypted, and
`kubectl exec` passes a server, by whatever its configuration says. Behind `ssh` they lead on from the other machine.

A program or a file of `ssh` that is named by a path from the checkout would be the repository's own, whatever its name.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import PurePath, PurePosixPath
from types import MappingProxyType

from gitbatch.patterns import compile_later

_PYTHON = compile_later(r"python[0-9.]*")
_MODULE = ["-m", "gitbatch"]
_ONWARD = compile_later(
    "aprun|bsub|clush|dsh|flux|jsrun|kubectl|lsrun|mosh|mpiexec|mpirun|nc|ncat|netcat|nomad|oarsh|oc|pdsh|prun|pssh|"
    "qlogin|qrsh|qsub|rexec|rlogin|rsh|salloc|sattach|sbatch|socat|srun|telnet"
)
"""Programs that lead to another machine."""
_WORD = compile_later(r"[\w./+=@:~,%-]+")

_SSH_OPTIONS = "1246AB:CD:E:F:GI:J:KL:MNO:P:Q:R:S:TVW:XYab:c:e:fgi:kl:m:no:p:qstvw:xy"
"""Those of OpenSSH, as `getopt` takes them."""
_SSH_SETTING = compile_later(r"\s*(\w+)[\s=]+\"?([^\"]*?)\"?\s*", re.DOTALL)
_SSH_PROGRAMS = frozenset(
    {
        "knownhostscommand",
        "localcommand",
        "pkcs11provider",
        "proxycommand",
        "remotecommand",
        "securitykeyprovider",
        "smartcarddevice",
        "xauthlocation",
    }
)
"""Settings of `ssh` that name a program or code of its own; those of the user are in the configuration of `ssh`."""
_SSH_FILES = frozenset({"userknownhostsfile", "globalknownhostsfile"})
_OF_USER = ("~/.ssh/", "/etc/ssh/")
"""Where the files are with the hosts that the user knows."""
_PROVEN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "stricthostkeychecking": frozenset({"yes", "true", "ask"}),
        "nohostauthenticationforlocalhost": frozenset({"no", "false"}),
        "verifyhostkeydns": frozenset({"no", "false", "ask"}),
    }
)
"""By setting, the values with which `ssh` talks to hosts alone whose keys the user knows: it reads `no` in several ways."""
_NO_SAFE_PATH = frozenset({"-i", "PYTHONSAFEPATH"})
"""Words of `env` that remove the variable by which Python loads no module of the checkout."""
_PATHS = ("GIT_", "HOME", "OPENSSL_", "PATH", "SSH_")
"""Variables with which a path leads to programs, modules or settings."""
_LOADERS = ("PYTHON", "LD_", "DYLD_")
"""Variables that decide what a program loads."""


def is_private(command: Sequence[str]) -> bool:
    """Returns whether what is sent to a worker by its command is encrypted, or does not leave this machine."""
    program, *rest = _skip_env(list(command))
    if _is_of_checkout(program):
        return False
    name = PurePath(program).name
    if name == "ssh":
        return _is_private_ssh(rest)
    return name == "gitbatch" or (is_module(command) and _NO_SAFE_PATH.isdisjoint(command))


def is_module(command: Sequence[str]) -> bool:
    """Returns whether a command starts gitbatch as a module of Python."""
    program, *rest = _skip_env(list(command))
    return bool(_PYTHON.fullmatch(PurePath(program).name)) and rest[:2] == _MODULE


def _skip_env(words: list[str]) -> list[str]:
    """Returns a command without the `env` that sets or removes variables before it."""
    if PurePath(words[0]).name != "env" or _is_of_checkout(words[0]):
        return words
    rest = words[1:]
    while rest and (rest[0] in {"-i", "-u"} or _is_harmless(rest[0])):
        rest = rest[2:] if rest[0] == "-u" else rest[1:]
    return rest or words


def _is_harmless(word: str) -> bool:
    """Returns whether a word of `env` sets a variable that leads to no file of the checkout. `--split-string=…` is an option."""
    name, equals, value = word.partition("=")
    if name.startswith(_PATHS):
        return all(map(_is_elsewhere, value.split(":")))
    return bool(equals) and not name.startswith(("-", *_LOADERS))


def _is_of_checkout(program: str) -> bool:
    """Returns whether a program is named by a path: one that is not absolute begins at the checkout, `~` is not expanded there."""
    return "/" in program and not _is_elsewhere(program)


def _is_elsewhere(path: str) -> bool:
    first, *names = PurePosixPath(path).parts or ("",)
    return first.startswith("/") and ".." not in names and names[:1] not in (["proc"], ["dev"])


def _is_private_ssh(words: list[str]) -> bool:
    """Returns whether `ssh` with these words proves who the other side is, and nothing there leads on by another way."""
    from getopt import GetoptError, getopt  # noqa: PLC0415 - for few configurations

    try:
        options, rest = getopt(words, _SSH_OPTIONS)
        more, behind = getopt(rest[1:], _SSH_OPTIONS)  # it takes options after the host too
    except GetoptError:
        return False
    if any(_weakens(*option) for option in chain(options, more)):
        return False
    there = _WORD.findall(" ".join(behind))
    names = [PurePath(word).name for word in there]
    onward = (there[start + 1 :] for start, name in enumerate(names) if name == "ssh")
    return not any(map(_ONWARD.fullmatch, names)) and all(map(_is_private_ssh, onward))


def _weakens(option: str, value: str) -> bool:
    """Returns whether an option of `ssh` lets another host or another program have what is sent."""
    if option in {"-I", "-W"}:  # code of its own, and a port of another machine
        return True
    if option == "-F":
        return not _is_elsewhere(value)
    found = _SSH_SETTING.fullmatch(value) if option == "-o" else None
    if not found:
        return option == "-o"
    name, set_to = found[1].lower(), found[2].lower()
    if name in _SSH_FILES:
        return not all(path.startswith(_OF_USER) and ".." not in path for path in found[2].split())
    return (name in _SSH_PROGRAMS and set_to != "none") or set_to not in _PROVEN.get(name, {set_to})
