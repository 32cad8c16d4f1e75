"""The key of Claude Code: the first variable that has one, and the mistakes that can be seen before anything starts."""

from collections.abc import Mapping

from msgspec import Struct

from gitbatch.agents.claude_code.table import KEY_VARIABLES, ClaudeCodeAgent
from gitbatch.errors import GitbatchError

_TOKEN, _KEY = "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY"
_BELONGS = {"sk-ant-oat": _TOKEN, "sk-ant-api": _KEY}
"""The beginnings of values, and the variable in which Claude Code accepts them."""


class KeyVariable(Struct, frozen=True):
    """The key, and the variable in which Claude Code gets it."""

    name: str
    value: str

    def __repr__(self) -> str:
        """Returns its name: a value in a traceback would be in a file."""
        return f"KeyVariable({self.name})"


def find_key(agent: str, table: ClaudeCodeAgent, environment: Mapping[str, str]) -> KeyVariable:
    """Returns the value of the first variable of the table that is set.

    Args:
        agent: the agent's name, for errors.
        table: its settings.
        environment: the user's.

    Raises:
        GitbatchError: none is set, or the value belongs in another variable.
    """
    found = ((name, environment.get(name, "").strip()) for name in table.api_key_env)
    name, value = next(((name, value) for name, value in found if value), ("", ""))
    if not name:
        raise GitbatchError(
            f"agent {agent} needs a key, and {_list_names(table.api_key_env)}",
            "export ANTHROPIC_API_KEY=…, or for a subscription run claude setup-token and export "
            "CLAUDE_CODE_OAUTH_TOKEN=…",
        )
    if not value.isascii() or not value.isprintable():
        raise GitbatchError(f"agent {agent}: {name} has characters that no key has", f"export {name}=…")
    belongs = next((there for start, there in _BELONGS.items() if value.startswith(start)), name)
    if belongs != name and name in _BELONGS.values():
        raise GitbatchError(
            f"agent {agent}: the value of {name} belongs in {belongs}",
            f"export {belongs}=…, and unset {name}",
        )
    if name not in KEY_VARIABLES:  # one of the user's own, which Claude Code does not read
        name = _KEY if belongs == name else belongs
    return KeyVariable(name, value)


def _list_names(names: tuple[str, ...]) -> str:
    return f"{names[0]} is not set" if len(names) == 1 else f"none of {', '.join(names)} is set"
