"""The settings of the user's own configuration that gitbatch respects: read once; its git processes run without them."""

import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from gitbatch.errors import GitError
from gitbatch.patterns import compile_later
from gitbatch.repo.config_file import render_config
from gitbatch.repo.objects.loose import LooseForm
from gitbatch.repo.process import Git

_ABOUT_FILES = (
    "core.checkstat",
    "core.filemode",
    "core.ignorecase",
    "core.precomposeunicode",
    "core.sharedrepository",
    "core.sparsecheckout",
    "core.sparsecheckoutcone",
    "core.symlinks",
    "core.trustctime",
    "index.sparse",
    "index.version",
)
"""Settings of a repository about writing and comparing files; none names a program or a path."""
_WANTED = (
    r"^(commit\.gpgsign|user\.signingkey|gpg\..*|lfs\.storage|core\.(autocrlf|eol|pager|compression|loosecompression)|filter\..*|"
    r"extensions\.partialclone|remote\..*\.promisor|" + "|".join(map(re.escape, _ABOUT_FILES)) + ")$"
)
_NOTHING_FOUND = 1
_TRUE = frozenset({"true", "yes", "on"})
_NUMBER = compile_later(r"[+-]?(0x[0-9a-f]+|[0-9]+)[kmg]?")
_REPOSITORY_SCOPES = frozenset({"local", "worktree"})
_FOLDER_BOUND = (
    *("include.", "includeif.", "core.worktree", "core.bare"),
    *("extensions.worktreeconfig", "extensions.refstorage"),
)
"""Prefixes of settings that have no meaning in a copy of the configuration."""
_LINE_ENDS = frozenset({"core.autocrlf", "core.eol"})
_NO_FILTER = {"clean": "", "smudge": "", "process": "", "required": "false"}


class Setting(Struct, frozen=True):
    """One setting, with the scope that git found it in (`global`, `local`, …); without a value it is `true`."""

    scope: str
    key: str
    value: str


class LineEnds(Struct, frozen=True):
    """The conversion of line ends where no attribute sets it."""

    on_disk: bool
    """Whether files of the checkout get CRLF."""
    stored: bool
    """Whether CRLF becomes LF in stored objects."""


def read_settings(git: Git, inherited: Mapping[str, str]) -> tuple[Setting, ...]:
    """Returns the wanted settings, in the order in which git reads them: the last one of a key counts.

    Args:
        git: in the repository.
        inherited: the GIT_* variables that this process was started with.
    """
    return _read_settings(git, inherited, "--get-regexp", _WANTED)


def read_user_setting(git: Git, inherited: Mapping[str, str], key: str) -> str | None:
    """Returns a setting of the user or the system, whatever a repository says; None if neither has it."""
    return find_user_setting(_read_settings(git, inherited, "--get-regexp", f"^{re.escape(key)}$"), key)


def find_user_setting(settings: tuple[Setting, ...], key: str) -> str | None:
    """Returns the value of a setting that the user or the system gives it; None if neither does."""
    named = (s.value for s in reversed(settings) if s.key == key and s.scope not in _REPOSITORY_SCOPES)
    return next(named, None)


def read_own_config(git: Git, inherited: Mapping[str, str]) -> bytes:
    """Returns the repository's own configuration, with the files that it includes, as one file.

    Without the settings that make sense in its folder alone: the folder of the checkout, the format of refs.
    """
    own = (s for s in _read_settings(git, inherited, "--list") if s.scope in _REPOSITORY_SCOPES)
    return render_config((s.key, s.value) for s in own if not s.key.startswith(_FOLDER_BOUND))


def _read_settings(git: Git, inherited: Mapping[str, str], *which: str) -> tuple[Setting, ...]:
    kept = {name: value for name, value in inherited.items() if name.startswith("GIT_CONFIG")}
    try:
        listed = git.run_with_user_config("config", "--show-scope", "-z", *which, extra=kept)
    except GitError as error:
        if error.status == _NOTHING_FOUND:
            return ()
        raise
    parts = listed.split("\0")
    entries = ((scope, *entry.partition("\n")) for scope, entry in zip(parts[::2], parts[1::2], strict=False))
    return tuple(
        Setting(scope, key, value if separator else "true") for scope, key, separator, value in entries
    )


def is_true(value: str) -> bool:
    """Whether git takes a value for true: a word in any case, or a number other than 0."""
    word = value.lower()
    number = _NUMBER.fullmatch(word.lstrip())
    return word in _TRUE or (number is not None and number[1].strip("0x") != "")


def line_ends(settings: tuple[Setting, ...]) -> LineEnds:
    """Returns where line ends are converted. Valid for a whole run, which stops when the configuration changes."""
    found = {setting.key: setting.value.lower() for setting in settings if setting.key in _LINE_ENDS}
    auto = found.get("core.autocrlf", "")
    always = is_true(auto)
    return LineEnds(on_disk=always or found.get("core.eol") == "crlf", stored=always or auto == "input")


def lfs_store(settings: tuple[Setting, ...], common_dir: Path) -> Path:
    """Returns the folder where Git LFS keeps the repository's files (`lfs.storage`), which need not exist."""
    named = next((s.value for s in reversed(settings) if s.key == "lfs.storage" and s.value), "lfs")
    return common_dir / named / "objects"


def is_setting_of_files(key: str) -> bool:
    """Whether a setting is about writing and comparing files, or line ends: it names no program and no path."""
    return key in _ABOUT_FILES or key in _LINE_ENDS


def files_config(settings: tuple[Setting, ...]) -> dict[str, str]:
    """Returns the repository's own settings about writing and comparing files, by name, without those about line ends."""
    return {s.key: s.value for s in settings if s.key in _ABOUT_FILES and s.scope in _REPOSITORY_SCOPES}


def loose_form(settings: tuple[Setting, ...]) -> LooseForm:
    """Returns the form of the files of objects, by the repository's own settings: all that git sees when we run it."""
    return LooseForm.parse({s.key: s.value for s in settings if s.scope in _REPOSITORY_SCOPES})


def settings_for_git(settings: tuple[Setting, ...]) -> dict[str, str]:
    """Returns the settings for each git process of ours: line ends as the user has them, and no filters.

    A filter is a program. None is run, neither to check out a worktree nor to compare a file.
    """
    found = {setting.key: setting.value for setting in settings if setting.key in _LINE_ENDS}
    drivers = {
        s.key.rpartition(".")[0] for s in settings if s.key.startswith("filter.") and s.key.count(".") > 1
    }
    return found | {f"{driver}.{name}": value for driver in drivers for name, value in _NO_FILTER.items()}
