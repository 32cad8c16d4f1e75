"""Choosing the sandbox: the one that is asked for, or the best that works here."""

# ruff: noqa: PLC0415 - a kind is imported when it is asked for: start-up is a feature

from gitbatch.errors import GitbatchError
from gitbatch.sandbox.model import Sandbox, SandboxKind, Unavailable

_ADVICE = 'install bubblewrap (https://github.com/containers/bubblewrap), or ask for sandbox = "none" by name: then agents run without a wall'


def find_sandbox(wanted: SandboxKind) -> Sandbox:
    """The sandbox to use. The answer costs a few milliseconds the first time, nothing after that.

    Raises:
        GitbatchError: the wanted one, or for `AUTO` any but `NONE`, does not work here.
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
        raise GitbatchError("there is no sandbox for agents here", _ADVICE, "\n".join(reasons))
    raise GitbatchError(f"the sandbox can't be used: {reasons[0]}", _ADVICE)


def _find_bubblewrap() -> Sandbox | Unavailable:
    from gitbatch.sandbox.bubblewrap import find_bubblewrap

    return find_bubblewrap()


def _find_landlock() -> Sandbox | Unavailable:
    from gitbatch.sandbox.landlock import find_landlock

    return find_landlock()


_FINDERS = {SandboxKind.BUBBLEWRAP: _find_bubblewrap, SandboxKind.LANDLOCK: _find_landlock}
"""The best first."""
