"""The requests that a kind of agent needs."""

from typing import NamedTuple


class Route(NamedTuple):
    """A request that a kind of agent needs: the method and the path below the address of its server.

    A `*` in the path stands for one part of it, such as the name of a model.
    """

    method: str
    path: str
    spends: bool = False
    """Whether a model answers it, so that it costs something."""
