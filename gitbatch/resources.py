"""The files that come with gitbatch and are not Python code: sample repositories, hooks, documents.

In a wheel they are inside the package; in a checkout (an editable install) they are where people look for them,
at the top level.
"""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def resource(name: str) -> Path:
    """Returns the folder or file with a name such as `repos/demo`, `docs` or `hooks/pre-commit`."""
    installed = _PACKAGE / "data" / name
    return (
        installed
        if installed.exists()
        else _PACKAGE.parent / _IN_A_CHECKOUT[name.partition("/")[0]] / name.partition("/")[2]
    )


_IN_A_CHECKOUT = {"repos": "fixtures/repos", "hooks": "hooks", "docs": "docs"}
