"""The programs of agents that gitbatch knows by name: what they are used by, and how a user logs in to them."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct

from gitbatch.agents.claude_code.table import KEY_VARIABLES

_OPENAI = ("OPENAI_API_KEY",)
_CLAUDE_LOGIN = (".claude/.credentials.json",)
_CODEX_LOGIN = (".codex/auth.json",)


class KeyState(StrEnum):
    """How far a program could reach its model, without asking it."""

    KEY = "key"
    """A variable with a key is set."""
    LOGIN = "login"
    """No variable is set, but the user is logged in. Agents do not get that login."""
    MISSING = "missing"


class KnownProgram(Struct, frozen=True):
    """A program that is an agent."""

    name: str
    """The name of its file."""
    title: str
    kind: str
    """The word for `gitbatch init --agent`."""
    keys: tuple[str, ...]
    """The variables that may have its key."""
    logins: tuple[str, ...] = ()
    """The files, below the home folder, in which it keeps a login. Only their presence is looked at."""
    version_mark: str = ""
    """A text that its version has: another program may have the same name."""

    @property
    def says_version(self) -> bool:
        """Whether it knows `--version`: an adapter for ACP would wait for a client."""
        return not self.name.endswith("-acp")


KNOWN_PROGRAMS: Mapping[str, KnownProgram] = MappingProxyType(
    {
        program.name: program
        for program in (
            KnownProgram("claude", "Claude Code", "claude-code", KEY_VARIABLES, _CLAUDE_LOGIN, "Claude Code"),
            KnownProgram("codex", "Codex", "codex", ("CODEX_API_KEY",), _CODEX_LOGIN),
            KnownProgram(
                "opencode",
                "OpenCode",
                "opencode",
                ("ANTHROPIC_API_KEY", *_OPENAI, "OPENROUTER_API_KEY", "GEMINI_API_KEY"),
                (".local/share/opencode/auth.json",),
            ),
            KnownProgram(
                "gemini",
                "Gemini CLI",
                "gemini",
                ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
                (".gemini/oauth_creds.json",),
            ),
            KnownProgram("qwen", "Qwen Code", "qwen", _OPENAI, (".qwen/oauth_creds.json",)),
            KnownProgram(
                "claude-agent-acp", "Claude Code by ACP", "acp:claude", KEY_VARIABLES, _CLAUDE_LOGIN
            ),
            KnownProgram("claude-code-acp", "Claude Code by ACP", "acp:claude", KEY_VARIABLES, _CLAUDE_LOGIN),
            KnownProgram("codex-acp", "Codex by ACP", "acp:codex", (*_OPENAI, "CODEX_API_KEY"), _CODEX_LOGIN),
        )
    }
)


def find_key_variable(keys: Iterable[str], environment: Mapping[str, str]) -> str:
    """Returns the first of some variables that is set; empty if none is."""
    return next((name for name in keys if environment.get(name, "").strip()), "")


def find_unused_keys(keys: tuple[str, ...], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the variables for Claude Code that are set, and not passed because another one before them is set too."""
    if keys[-len(KEY_VARIABLES) :] != KEY_VARIABLES:
        return ()
    return tuple(name for name in KEY_VARIABLES if environment.get(name, "").strip())[1:]


def find_login(program: KnownProgram, home: Path) -> str:
    """Returns the file of a login that exists, below `~`; else an empty text. It is not opened."""
    return next((f"~/{path}" for path in program.logins if _is_there(home / path)), "")


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder that cannot be searched
        return False
