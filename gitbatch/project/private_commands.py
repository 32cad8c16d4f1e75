"""Which commands that start a worker keep what is sent to it from others: by their words alone, as they are configured.

`ssh` encrypts, and `gitbatch` by itself runs on this machine. Nothing else is known to: what `srun` sends is not encrypted, and
`kubectl exec` passes a server, by whatever its configuration says. Behind `ssh` they lead on from the other machine.
"""

from collections.abc import Sequence
from pathlib import PurePath

_PYTHON = "python"
_MODULE = ["-m", "gitbatch"]
_ONWARD = frozenset(
    {
        "srun",
        "sbatch",
        "mpirun",
        "mpiexec",
        "kubectl",
        "oc",
        "rsh",
        "qrsh",
        "qsub",
        "bsub",
        "nc",
        "socat",
        "telnet",
    }
)
"""Programs that lead to another machine."""


def is_private(command: Sequence[str]) -> bool:
    """Returns whether what is sent to a worker by its command is encrypted, or does not leave this machine."""
    program, *rest = _skip_env(list(command))
    name = PurePath(program).name
    if name == "ssh":
        return _ONWARD.isdisjoint(PurePath(word).name for each in rest for word in each.split())
    return name == "gitbatch" or (name.startswith(_PYTHON) and rest[:2] == _MODULE)


def _skip_env(words: list[str]) -> list[str]:
    """Returns a command without the `env` that sets or removes variables before it."""
    if PurePath(words[0]).name != "env":
        return words
    rest = words[1:]
    while rest and (rest[0] in {"-i", "-u"} or "=" in rest[0]):
        rest = rest[2:] if rest[0] == "-u" else rest[1:]
    return rest or words
