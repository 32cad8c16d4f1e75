"""Choosing the sandbox: the one that is asked for, or the best that works here."""

from gitbatch.errors import GitbatchError
from gitbatch.sandbox.bubblewrap import find_bubblewrap
from gitbatch.sandbox.landlock import find_landlock
from gitbatch.sandbox.model import Sandbox, SandboxKind, Unavailable
from gitbatch.sandbox.none import NoSandbox

_ADVICE = 'install bubblewrap (https://github.com/containers/bubblewrap), or ask for sandbox = "none" by name: then agents run without a wall'


def find_sandbox(wanted: SandboxKind) -> Sandbox:
    """The sandbox to use. The answer costs a few milliseconds the first time, nothing after that.

    Raises:
        GitbatchError: the wanted one, or for `AUTO` any but `NONE`, does not work here.
    """
    if wanted is SandboxKind.NONE:
        return NoSandbox()
    reasons = []
    for kind, find in _FINDERS.items():
        if wanted in {kind, SandboxKind.AUTO}:
            found = find()
            if not isinstance(found, Unavailable):
                return found
            reasons.append(f"{kind}: {found.why}")
    if wanted is SandboxKind.AUTO:
        raise GitbatchError("there is no sandbox for agents here", _ADVICE, "\n".join(reasons))
    raise GitbatchError(f"the sandbox can't be used: {reasons[0]}", _ADVICE)


_FINDERS = {SandboxKind.BUBBLEWRAP: find_bubblewrap, SandboxKind.LANDLOCK: find_landlock}
"""The best first."""
