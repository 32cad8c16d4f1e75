"""The layouts in which programs of agents are installed below $HOME, each with a program that needs another file of its own."""

from dataclasses import dataclass, field
from pathlib import Path

PART = "a part of the program"
_NODE = '#!/bin/sh\nexec sh "$@"\n'
_PACKAGE = "node_modules/@vendor/agent"
_SCRIPT = """#!{interpreter}
{tell}
for file in .ssh/id_ed25519 .netrc .config/token .claude/token .local/share/token src/token; do cat "{home}/$file"; done
true
"""
"""What is run: it prints a file of its package, and tries to read others."""
_TELL = 'cat "$(dirname "$(readlink -f "$0")")/vendor/part"'
SECRETS = (".config/token", ".claude/token", ".local/share/token", "src/token")


@dataclass(frozen=True)
class Install:
    """A layout. Paths are relative to $HOME."""

    path: tuple[str, ...]
    """The folders on PATH."""
    script: str
    """The program itself."""
    links: dict[str, str] = field(default_factory=dict)
    shims: dict[str, str] = field(default_factory=dict)
    """Scripts that start another file."""
    node: str = ""
    """Where `node` is."""
    program: str = "agent"
    """A name that is found on PATH, or a path."""
    interpreter: str = ""
    """The interpreter, if it is not found on PATH."""
    more: tuple[str, ...] = ()
    """Empty files."""
    is_alone: bool = False
    """The program is one file."""

    def build(self, home: Path) -> str:
        """Makes the files. Returns the name or the absolute path of the program."""
        if self.node:
            _write(home / self.node, _NODE)
        if self.interpreter:
            _write(home / self.interpreter, _NODE)
        by_node = "/usr/bin/env node" if self.node else "/bin/sh"
        interpreter = f"{home / self.interpreter}" if self.interpreter else by_node
        script = home / self.script
        if not self.is_alone:
            _write(script.parent / "vendor/part", PART)
        tell = f"printf '%s' '{PART}'" if self.is_alone else _TELL
        _write(script, _SCRIPT.format(interpreter=interpreter, tell=tell, home=home))
        for shim, started in self.shims.items():
            _write(home / shim, f'#!/bin/sh\nexec "{home / started}" "$@"\n')
        for link, target in self.links.items():
            (home / link).parent.mkdir(parents=True, exist_ok=True)
            (home / link).symlink_to(target)
        for name in self.more:
            _write(home / name, "")
        return str(home / self.program) if "/" in self.program else self.program


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)


INSTALLS = {
    "npm": Install(
        (".npm-global/bin", "node/bin"),
        f".npm-global/lib/{_PACKAGE}/cli.js",
        {".npm-global/bin/agent": f"../lib/{_PACKAGE}/cli.js"},
        node="node/bin/node",
    ),
    "npm-local": Install(
        (".local/bin", "node/bin"),
        f".local/lib/{_PACKAGE}/cli.js",
        {".local/bin/agent": f"../lib/{_PACKAGE}/cli.js"},
        node="node/bin/node",
    ),
    "nvm": Install(
        (".nvm/versions/node/v24.1.0/bin",),
        f".nvm/versions/node/v24.1.0/lib/{_PACKAGE}/cli.js",
        {".nvm/versions/node/v24.1.0/bin/agent": f"../lib/{_PACKAGE}/cli.js"},
        node=".nvm/versions/node/v24.1.0/bin/node",
    ),
    "fnm": Install(
        (".local/state/fnm_multishells/1_2/bin",),
        f".local/share/fnm/node-versions/v24/installation/lib/{_PACKAGE}/cli.js",
        {
            ".local/state/fnm_multishells/1_2": "../../share/fnm/node-versions/v24/installation",
            ".local/share/fnm/node-versions/v24/installation/bin/agent": f"../lib/{_PACKAGE}/cli.js",
        },
        node=".local/share/fnm/node-versions/v24/installation/bin/node",
    ),
    "volta": Install(
        (".volta/bin",),
        ".volta/tools/image/packages/agent/lib/cli.js",
        {".volta/bin/agent": "volta-shim"},
        {".volta/bin/volta-shim": ".volta/tools/image/packages/agent/lib/cli.js"},
        node=".volta/bin/node",
    ),
    "asdf": Install(
        (".asdf/shims",),
        ".asdf/installs/nodejs/24/lib/cli.js",
        shims={".asdf/shims/agent": ".asdf/installs/nodejs/24/lib/cli.js"},
        node=".asdf/shims/node",
    ),
    "mise": Install(
        (".local/share/mise/shims",),
        ".local/share/mise/installs/node/24/lib/cli.js",
        {".local/share/mise/shims/agent": "../../../bin/mise"},
        {".local/bin/mise": ".local/share/mise/installs/node/24/lib/cli.js"},
        node=".local/share/mise/shims/node",
    ),
    "native": Install(
        (".local/bin",),
        ".local/share/claude/versions/2.1.332",
        {".local/bin/agent": "../share/claude/versions/2.1.332"},
        is_alone=True,
    ),
    "pip": Install(
        (),
        "venv/lib/python3/site-packages/claude_agent_sdk/_bundled/agent",
        program="venv/lib/python3/site-packages/claude_agent_sdk/_bundled/agent",
        is_alone=True,
    ),
    "bun": Install(
        (".bun/bin",),
        f".bun/install/global/{_PACKAGE}/cli.js",
        {".bun/bin/agent": f"../install/global/{_PACKAGE}/cli.js"},
        node=".bun/bin/node",
    ),
    "opencode": Install((".opencode/bin",), ".opencode/bin/agent", is_alone=True),
    "pnpm": Install(
        (".local/share/pnpm",),
        f".local/share/pnpm/global/5/{_PACKAGE}/cli.js",
        shims={".local/share/pnpm/agent": f".local/share/pnpm/global/5/{_PACKAGE}/cli.js"},
        node=".local/share/pnpm/node",
    ),
    "pnpm-bin": Install(
        (".local/share/pnpm/bin", "node/bin"),
        f".local/share/pnpm/store/v11/links/1a2b/{_PACKAGE}/cli.js",
        {f".local/share/pnpm/global/v11/3c4d/{_PACKAGE}": f"../../../../../store/v11/links/1a2b/{_PACKAGE}"},
        {".local/share/pnpm/bin/agent": f".local/share/pnpm/global/v11/3c4d/{_PACKAGE}/cli.js"},
        node="node/bin/node",
    ),
    "yarn": Install(
        (".yarn/bin", "node/bin"),
        f".config/yarn/global/{_PACKAGE}/cli.js",
        {
            ".yarn/bin/agent": "../../.config/yarn/global/node_modules/.bin/agent",
            ".config/yarn/global/node_modules/.bin/agent": "../@vendor/agent/cli.js",
        },
        node="node/bin/node",
    ),
    "claude-local": Install(
        ("node/bin",),
        f".claude/local/{_PACKAGE}/cli.js",
        shims={".claude/local/agent": f".claude/local/{_PACKAGE}/cli.js"},
        node="node/bin/node",
        program=".claude/local/agent",
        more=(".claude/local/package.json",),
    ),
    "package": Install(
        ("node/bin",),
        "src/agent/dist/cli.js",
        node="node/bin/node",
        program="src/agent/dist/cli.js",
        more=("src/agent/package.json",),
    ),
    "script-of-another-python": Install(
        (".local/bin",),
        ".local/bin/agent",
        interpreter=".pyenv/versions/3.12/bin/python3",
        is_alone=True,
    ),
}
