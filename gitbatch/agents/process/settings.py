"""The settings that every program has which gitbatch starts for a user: an agent's, a check's, a gate's."""

from collections.abc import Mapping
from typing import Protocol


class ProgramSettings(Protocol):
    """What a program gets of the environment, and what it may read and write. `table.ProcessTable` describes each."""

    @property
    def pass_env(self) -> tuple[str, ...]:
        """Names of variables that it gets; their values are secret."""
        ...

    @property
    def public_env(self) -> tuple[str, ...]:
        """Names of variables that it gets; their values are not secret."""
        ...

    @property
    def fixed_variables(self) -> Mapping[str, str]:
        """Variables with their values."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """Paths that it may read."""
        ...

    @property
    def writable(self) -> tuple[str, ...]:
        """Paths that it may write."""
        ...

    @property
    def strict(self) -> bool:
        """Whether its output is the only file of the worktree that it may write."""
        ...

    @property
    def max_file_bytes(self) -> int:
        """The size of any one file."""
        ...

    @property
    def max_scratch_bytes(self) -> int:
        """The size of all that it writes."""
        ...
