"""Selects the sandbox: the configured one, or the strongest that works on this machine."""

# ruff: noqa: PLC0415 - a kind is imported when it is asked for: start-up is a feature

from gitbatch.errors import GitbatchError
from gitbatch.sandbox.model import Sandbox, SandboxKind, Unavailable

_ADVICE = 'install bubblewrap (https://github.com/containers/bubblewrap), or set sandbox = "none" to run agents without a sandbox'


def select_sandbox(wanted: SandboxKind) -> Sandbox:
    """Returns the sandbox to use. The first call takes a few milliseconds; later ones use its answer.

    Raises:
        GitbatchError: the wanted kind does not work here, or for `AUTO` no kind but `NONE` does.
    """
    if wanted is SandboxKind.NONE:
        from gitbatch.sandbox.none import NoSandbox

        return NoSandbox()
    reasons = []
    for kind, find in _FINDERS.items():
        if wanted in {kind, SandboxKind.AUTO}:
            found = find()
            if not isinstance(found, Unavailable):
                return found
            reasons.append(f"{kind}: {found.reason}")
    if wanted is SandboxKind.AUTO:
        raise GitbatchError("no sandbox for agents works here", _ADVICE, "\n".join(reasons))
    raise GitbatchError(f"cannot use the sandbox: {reasons[0]}", _ADVICE)


def _find_bubblewrap() -> Sandbox | Unavailable:
    from gitbatch.sandbox.bubblewrap import find_bubblewrap

    return find_bubblewrap()


def _find_landlock() -> Sandbox | Unavailable:
    from gitbatch.sandbox.landlock import find_landlock

    return find_landlock()


_FINDERS = {SandboxKind.BUBBLEWRAP: _find_bubblewrap, SandboxKind.LANDLOCK: _find_landlock}
"""The strongest first."""
