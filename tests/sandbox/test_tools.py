"""The parts of $HOME that a program sees because its tools are there; never a key."""

import os
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from gitbatch.sandbox import tools
from gitbatch.sandbox.tools import real_path, tool_paths, tools_in_checkouts

FILES = (
    ".pyenv/shims/python",
    ".pyenv/bin/pyenv",
    ".pyenv/versions/3.12/bin/python3",
    ".pyenv/versions/3.12/lib/os.py",
    ".pyenv/version",
    ".venv/bin/pip",
    ".venv/lib/pip.py",
    ".venv/pyvenv.cfg",
    ".venv/secrets.env",
    ".local/bin/plain",
    ".local/lib/python/site.py",
    ".local/share/keyrings/login",
    ".local/state/history",
    ".local/share/pipx/venvs/tool/bin/tool",
    ".local/share/pipx/venvs/tool/lib/tool.py",
    ".local/share/pipx/token",
    ".local/share/claude/versions/1.0.3",
    ".local/share/uv/python/3.13/bin/python3.13",
    ".local/share/uv/python/3.13/lib/os.py",
    ".cargo/bin/cargo",
    ".cargo/credentials.toml",
    ".ssh/id_ed25519",
    ".netrc",
    "scripts/mine",
    "bin/own",
    "lib/private",
)
LINKS = {
    ".local/bin/tool": "../share/pipx/venvs/tool/bin/tool",
    ".local/bin/claude": "../share/claude/versions/1.0.3",
    ".local/share/pipx/venvs/tool/bin/python": "../../../../../../.local/bin/python3.13",
    ".local/bin/python3.13": "../share/uv/python/3.13/bin/python3.13",
    ".venv/bin/python": "../../.pyenv/versions/3.12/bin/python3",
    ".local/bin/loop": "loop",
    ".local/bin/key": "../../.ssh/id_ed25519",
    ".local/bin/folder": "../../.ssh",
    ".local/bin/broken": "nowhere",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A typical home folder; only files in folders of programs are executable."""
    for name in FILES:
        file = tmp_path / "home" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(
            0o755
            if "bin" in name or "shims" in name or name.startswith(("scripts", ".local/share/claude"))
            else 0o600
        )
    for name, target in LINKS.items():
        (tmp_path / "home" / name).symlink_to(target)
    return tmp_path / "home"


def needed(home: Path, *folders: str, argv: tuple[str, ...] = ("sh",)) -> set[str]:
    """Returns the paths below $HOME that become readable."""
    path = ":".join([*(str(home / folder) for folder in folders), "/usr/bin", "/bin"])
    return {str(place.relative_to(home)) for place in tool_paths(argv, path, home, (home / "worktree",))}


TABLE = {
    (".pyenv/shims", ".pyenv/bin"): {f".pyenv/{name}" for name in ("shims", "bin", "versions", "version")},
    (".venv/bin",): {
        *(".venv/bin", ".venv/lib", ".venv/pyvenv.cfg"),
        *(".pyenv/versions/3.12/bin", ".pyenv/versions/3.12/lib"),
    },
    (".cargo/bin",): {".cargo/bin"},
    ("scripts",): {"scripts"},
    ("bin",): {"bin"},
    (".local/bin",): {
        *(".local/bin", ".local/lib", ".local/share/claude/versions/1.0.3"),
        *(f".local/share/pipx/venvs/tool/{name}" for name in ("bin", "lib")),
        *(f".local/share/uv/python/3.13/{name}" for name in ("bin", "lib")),
    },
}


@pytest.mark.parametrize("folders", TABLE, ids=" ".join)
def test_only_code_of_tools_is_visible(home: Path, folders: tuple[str, ...]) -> None:
    assert needed(home, *folders) == TABLE[folders]


@pytest.mark.parametrize("folder", ["", "..", "../..", ".ssh/..", "/", "none", ".netrc"])
def test_path_never_exposes_home(home: Path, folder: str) -> None:
    seen = tool_paths(["sh"], f"{home / folder}:/usr/bin:/bin", home, (home,))
    assert not [place for place in seen if home.is_relative_to(place)]
    assert home / ".ssh/id_ed25519" not in seen


@pytest.mark.parametrize("path", ["", ":", ".", "bin:relative", "/usr/bin:/bin:/proc/self/cwd:/dev"])
def test_invalid_path_entries_are_ignored(home: Path, path: str) -> None:
    assert tool_paths(["/bin/sh"], path, home, (home,)) == frozenset()


def test_named_files_are_visible(home: Path) -> None:
    key, script = home / ".ssh/id_ed25519", home / "scripts/mine"
    assert needed(home, argv=("sh", str(script), "--flag", str(home / "scripts"))) == {"scripts/mine"}
    assert needed(home, argv=("sh", str(key))) == {".ssh/id_ed25519"}  # whoever asks for it, gets it
    assert needed(home, argv=("sh", "/proc/self/status", "/dev/null", "/none", "id")) == set()


def test_program_is_visible(home: Path) -> None:
    assert needed(home, argv=(str(home / "scripts/mine"),)) == {"scripts/mine"}
    assert needed(home, argv=(str(home / ".cargo/bin/cargo"),)) == {".cargo/bin"}


def test_package_of_the_program_is_visible(home: Path) -> None:
    for name in ("src/agent/dist/cli.js", "src/agent/package.json", "src/other.js", "package.json"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch(0o755)
    (home / "src/linked.js").symlink_to("agent/dist/cli.js")
    found = {"src/agent", "src/agent/dist/cli.js"}
    assert needed(home, argv=(str(home / "src/agent/dist/cli.js"),)) == found
    assert needed(home, argv=(str(home / "src/linked.js"),)) == {*found, "src/linked.js"}
    assert needed(home, argv=(str(home / "src/other.js"),)) == {"src/other.js"}, "never all of $HOME"


@pytest.mark.parametrize(
    ("interpreter", "seen"),
    [
        (".pyenv/versions/3.12/bin/python3", {f".pyenv/versions/3.12/{name}" for name in ("bin", "lib")}),
        (".ssh/id_ed25519", set()),
        ("scripts/mine", set()),
        ("none/bin/python3", set()),
    ],
)
def test_interpreter_of_the_program_is_visible(home: Path, interpreter: str, seen: set[str]) -> None:
    for script, found in {
        home / "scripts/mine": {"scripts/mine", *seen},
        home / "worktree/x": {"worktree/x"},
    }.items():
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!{home / interpreter} -u\n")
        script.chmod(0o755)
        assert needed(home, argv=(str(script),)) == found


def test_program_in_worktree(home: Path) -> None:
    (home / "worktree/tools").mkdir(parents=True)
    (home / "worktree/tools/agent").touch(0o755)
    assert needed(home, argv=("./tools/agent",)) == {"worktree/tools/agent"}


@pytest.mark.parametrize("name", ["no-such-program", "./none", "/none", "", "scripts"])
def test_missing_program(home: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        needed(home, argv=(name,))
    assert caught.value.filename == name


def test_unreadable_folder_is_ignored(home: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("nothing is closed to root")
    (home / ".cargo").chmod(0)
    assert needed(home, ".cargo/bin", "scripts") == {"scripts"}
    (home / ".cargo").chmod(0o700)


def test_closed_folders_are_resolved_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolved: Counter[Path] = Counter()

    def resolve(path: Path) -> Path:
        resolved[path] += 1
        return real_path(path)

    monkeypatch.setattr(tools, "real_path", resolve)
    checkout = home / ".cargo"
    folders = (".cargo/bin", ".venv/bin", ".local/bin", ".pyenv/bin")
    path = ":".join(str(home / folder) for folder in folders)
    assert tools_in_checkouts(("sh",), path, home, (checkout,)) == (checkout / "bin",)
    assert resolved[home] == 2, "once for the folders on PATH, and once for what the command line names"


@pytest.mark.parametrize(
    "name",
    [
        "folder/file",
        "folder/../folder/file",
        "link",
        "chain",
        "broken",
        "loop",
        "loop/below",
        "missing/below",
        "pipe",
        "file (deleted)",
    ],
)
def test_real_path_is_where_the_links_lead(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    for file in ("folder/file", "file (deleted)"):
        (tmp_path / file).touch()
    os.mkfifo(tmp_path / "pipe")
    for link, target in (("link", "folder"), ("chain", "link/file"), ("broken", "none"), ("loop", "loop")):
        (tmp_path / link).symlink_to(target)
    assert real_path(tmp_path / name) == Path(os.path.realpath(tmp_path / name))


def test_real_path_of_what_has_no_name(tmp_path: Path) -> None:
    """Such as a file that is deleted while its path is resolved: the kernel writes that into the name that it tells."""
    pipe = os.pipe()
    gone = os.open(tmp_path / "gone", os.O_CREAT | os.O_RDONLY)
    (tmp_path / "gone").unlink()
    for descriptor in (*pipe, gone):
        path = Path(f"/dev/fd/{descriptor}")
        assert tools._ask_kernel(path) is None
        assert real_path(path) == Path(os.path.realpath(path))
        os.close(descriptor)


def test_real_path_asks_the_kernel_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each program has dozens of paths to resolve, in deep folders."""
    expected = home.resolve()
    with monkeypatch.context() as patched:
        patched.setattr(os.path, "realpath", None)
        if sys.platform == "linux":
            assert real_path(home) == expected
    with monkeypatch.context() as patched:
        patched.setattr(os, "readlink", partial(_refuse, 2))
        assert tools._ask_kernel(home) is None
        patched.setattr(sys, "platform", "darwin")
        assert tools._ask_kernel(home) is None


def _refuse(number: int, path: str) -> str:
    raise OSError(number, os.strerror(number), path)
