"""The paths that Claude Code (2.1.332) does not write without a terminal, whatever its permissions allow.

An item with such an output would only be denied, attempt after attempt. Names are compared in lower case, as it does.
"""

from gitbatch.patterns import compile_later

_FOLDERS = frozenset(
    {".git", ".vscode", ".idea", ".claude", ".husky", ".cargo", ".devcontainer", ".yarn", ".mvn"}
)
_FILES = frozenset(
    {
        *(".gitconfig", ".gitmodules", ".bashrc", ".bash_profile", ".bash_login", ".bash_aliases"),
        *(".bash_logout", ".zshrc", ".zprofile", ".zshenv", ".zlogin", ".zlogout", ".profile", ".envrc"),
        *(
            ".ripgreprc",
            ".mcp.json",
            ".claude.json",
            ".npmrc",
            ".yarnrc",
            ".yarnrc.yml",
            ".pnp.cjs",
            ".pnp.js",
        ),
        *(".pnp.loader.mjs", ".pnp.data.json", ".pnpmfile.cjs", "bunfig.toml", ".bunfig.toml", ".bazelrc"),
        *(".bazelversion", ".bazeliskrc", ".pre-commit-config.yaml", "lefthook.yml", ".lefthook.yml"),
        *("lefthook.yaml", ".lefthook.yaml", "gradle-wrapper.properties", "maven-wrapper.properties"),
        *(".devcontainer.json", "pyrightconfig.json"),
    }
)
_ODD = compile_later(r"[ .]$|~[0-9]")


def find_protected_part(path: str) -> str:
    """Returns the part of an output's path because of which Claude Code does not write it, or an empty text."""
    *folders, name = path.split("/")
    protected = [part for part in folders if part.lower() in _FOLDERS]
    odd = [part for part in (*folders, name) if _ODD.search(part) or "?" in part]
    return next(iter((*protected, *([name] if name.lower() in _FILES else []), *odd)), "")
