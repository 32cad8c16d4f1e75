"""Selects the sandbox: the configured one, or the strongest that works on this machine."""

# ruff: noqa: PLC0415 - a kind is imported when it is asked for: start-up is a feature

import sys

from gitbatch.errors import GitbatchError
from gitbatch.sandbox.model import Sandbox, SandboxKind, Unavailable

_WITHOUT = 'set sandbox = "none" to run agents without a sandbox'
_ADVICE = f"install bubblewrap (https://github.com/containers/bubblewrap), or {_WITHOUT}"


def select_sandbox(wanted: SandboxKind) -> Sandbox:
    """Returns the sandbox to use. The first call takes a few milliseconds; later ones use its answer.

    Raises:
        GitbatchError: the wanted kind does not work here, or for `AUTO` no kind but `NONE` does.
    """
    if wanted is SandboxKind.NONE:
        from gitbatch.sandbox.none import NoSandbox

        return NoSandbox()
    automatic = _MAC_KINDS if sys.platform == "darwin" else _LINUX_KINDS
    reasons = []
    for kind in automatic if wanted is SandboxKind.AUTO else (wanted,):
        found = _FINDERS[kind]()
        if not isinstance(found, Unavailable):
            return found
        reasons.append(f"{kind}: {found.reason}")
    advice = _WITHOUT if sys.platform == "darwin" else _ADVICE
    if wanted is SandboxKind.AUTO:
        raise GitbatchError("no sandbox for agents works here", advice, "\n".join(reasons))
    raise GitbatchError(f"cannot use the sandbox: {reasons[0]}", advice)


def _find_bubblewrap() -> Sandbox | Unavailable:
    from gitbatch.sandbox.bubblewrap import find_bubblewrap

    return find_bubblewrap()


def _find_landlock() -> Sandbox | Unavailable:
    from gitbatch.sandbox.landlock import find_landlock

    return find_landlock()


def _find_seatbelt() -> Sandbox | Unavailable:
    from gitbatch.sandbox.seatbelt import find_seatbelt

    return find_seatbelt()


_FINDERS = {
    SandboxKind.BUBBLEWRAP: _find_bubblewrap,
    SandboxKind.LANDLOCK: _find_landlock,
    SandboxKind.SEATBELT: _find_seatbelt,
}
_LINUX_KINDS = (SandboxKind.BUBBLEWRAP, SandboxKind.LANDLOCK)
"""The strongest first."""
_MAC_KINDS = (SandboxKind.SEATBELT,)
