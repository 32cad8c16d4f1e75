"""Seatbelt: the text of its profile, row by row and read back; and the command, with a program in place of `sandbox-exec`.

None of this has run on a Mac: the kernel's part is that of `sbpl.Profile`, which is written from documents.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sandbox.arena import Arena, Wall, behind
from sandbox.layouts import LAYOUTS, Layout
from sandbox.sbpl import Profile

from gitbatch.errors import GitbatchError
from gitbatch.sandbox.filesystem_view import Access, access_at
from gitbatch.sandbox.model import Network, Sandbox, SandboxKind, Unavailable
from gitbatch.sandbox.seatbelt import Seatbelt, find_seatbelt
from gitbatch.sandbox.seatbelt_profile import render_profile
from gitbatch.sandbox.selection import select_sandbox

STAND_IN = """#!/bin/sh
[ "$1" = -p ] || exit 64
printf %s "$2" >"$(dirname "$0")/profile"
shift 2
exec "$@"
"""
"""A `sandbox-exec` that keeps the profile, and confines nothing."""
WT, SCRATCH = Path("/Users/me/Library/Caches/w"), Path("/private/var/folders/x/T/s")
RULES = {
    Path("/usr"): Access.READ,
    Path("/System"): Access.READ,
    Path("/System/Volumes"): Access.HIDDEN,
    Path("/Users/me"): Access.HIDDEN,
    Path("/Users/me/.nvm/versions"): Access.READ,
    WT.parent: Access.HIDDEN,
    WT: Access.WRITE,
    WT / ".git": Access.READ,
    SCRATCH: Access.WRITE,
}
STRICT = {**RULES, WT: Access.READ, WT / "docs/a.md": Access.WRITE}


def lines_of(*rules: tuple[str, Access]) -> list[str]:
    """Returns the lines of a profile that some rules add."""
    common = render_profile({}, Network.NONE).splitlines()
    text = render_profile({Path(path): access for path, access in rules}, Network.NONE)
    return [line for line in text.splitlines() if line not in common]


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("/a b", '"/a b"'),
        ('/a"b', '"/a\\"b"'),
        ("/a\\b", '"/a\\\\b"'),
        ("/a\nb", '"/a\\nb"'),
        ("/a\r\tb", '"/a\\r\\tb"'),
        ('/a\\"(allow default)', '"/a\\\\\\"(allow default)"'),
        ("/ä(b)#;'", '"/ä(b)#;\'"'),
        ("/var/x", '"/private/var/x"'),
        ("/tmp", '"/private/tmp"'),  # noqa: S108 - no file is made there
        ("/etc/ssl", '"/private/etc/ssl"'),
        ("/private/var/x", '"/private/var/x"'),
        ("/variable", '"/variable"'),
        ("/Users/me/var/x", '"/Users/me/var/x"'),
    ],
)
def test_path_in_profile(name: str, quoted: str) -> None:
    assert lines_of((name, Access.READ)) == [
        f"(allow file-read* file-map-executable process-exec* (subpath {quoted}))"
    ]


def test_rules_of_worktree() -> None:
    assert lines_of(("/w", Access.WRITE), ("/w/.git", Access.READ)) == [
        '(allow file-read* file-map-executable process-exec* (require-all (subpath "/w") (require-not (subpath "/w/.git"))))',
        '(allow file-write* (require-all (subpath "/w") (require-not (subpath "/w/.git")) (require-not (literal "/w"))))',
        '(allow file-read* file-map-executable process-exec* (subpath "/w/.git"))',
    ]


def test_nothing_is_allowed_for_hidden_folder() -> None:
    assert lines_of(("/h", Access.HIDDEN), ("/h/x/y", Access.HIDDEN)) == []


@pytest.mark.parametrize(
    ("path", "usual", "strict"),
    [
        ("/usr/bin/git", "read", "read"),
        ("/System/Library/dyld/x", "read", "read"),
        ("/System/Volumes/Data/Users/me/.ssh/id", "", ""),
        ("/Users/me/.ssh/id", "", ""),
        ("/Users/me/.nvm/versions/node", "read", "read"),
        ("/Users/me/Library/Keychains/login.keychain-db", "", ""),
        ("/Library/Keychains/System.keychain", "", ""),
        (f"{WT}/docs/a.md", "write", "write"),
        (f"{WT}/docs/b.md", "write", "read"),
        (f"{WT}/.git", "read", "read"),
        (f"{WT}-other/docs/a.md", "", ""),
        (f"{SCRATCH}/home/x", "write", "write"),
        ("/private/tmp/x", "", ""),
        ("/dev/tty", "", ""),
        ("/dev/fd/3", "", ""),
    ],
)
def test_access_to_path(path: str, usual: str, strict: str) -> None:
    if path == "/dev/fd/3":  # may be read, and is no program
        assert Profile(render_profile(RULES, Network.NONE)).allows("file-read-data", path)
        return
    assert Profile(render_profile(RULES, Network.NONE)).access(path) == usual
    assert Profile(render_profile(STRICT, Network.NONE)).access(path) == strict


def test_folder_above_exception_cannot_be_renamed() -> None:
    rules = {**RULES, Path("/w"): Access.WRITE, Path("/w/a/b/hidden"): Access.HIDDEN}
    profile = Profile(render_profile(rules, Network.NONE))
    for folder in (str(WT), "/w", "/w/a", "/w/a/b"):
        assert not profile.allows("file-write-unlink", folder)
    for file in (f"{WT}/docs", "/w/a/x", "/w/a/b/x"):
        assert profile.allows("file-write-unlink", file)
    assert not profile.allows("file-read-data", "/w/a/b/hidden/x")


_NAMES = st.sampled_from(["a", "b", "c"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=4).map(lambda names: Path("/", *names))


@given(st.dictionaries(_PATHS, st.sampled_from(Access), max_size=6), st.lists(_PATHS, max_size=6))
def test_deepest_path_wins(rules: dict[Path, Access], asked: list[Path]) -> None:
    profile = Profile(render_profile(rules, Network.NONE))
    for path in (*rules, *asked):
        wanted = access_at(path, rules)
        assert profile.allows("file-read-data", str(path)) == (wanted in {Access.READ, Access.WRITE})
        assert profile.allows("file-write-create", str(path / "new")) == (
            access_at(path / "new", rules) is Access.WRITE
        )


def test_keys_are_out_of_reach() -> None:
    services = Profile(render_profile(RULES, Network.ALL)).strings("mach-lookup", "global-name")
    assert "com.apple.system.opendirectoryd.libinfo" in services
    for name in services:
        assert not any(
            word in name.lower()
            for word in ("security", "keychain", "launchservices", "pasteboard", "appleevents")
        )
    assert "kern.procargs2" not in Profile(render_profile(RULES, Network.ALL)).strings(
        "sysctl-read", "sysctl-name"
    )


def test_minimum_to_start() -> None:
    profile = Profile(render_profile({}, Network.NONE))
    assert profile.allows("file-read-data", "/")  # dyld of macOS 26 aborts without it
    assert profile.allows("file-read-metadata", "/Users/me")  # Node's realpath
    assert profile.allows("file-write-data", "/dev/null")
    assert not profile.allows("file-read-data", "/Users")
    for operation in ("process-fork", "ipc-posix-sem"):
        assert profile.filters(operation) == [[]]
    assert profile.filters("signal") == [[["target", "same-sandbox"]]]


@pytest.mark.parametrize(
    "operation", ["network-outbound", "network-inbound", "network-bind", "system-socket"]
)
def test_no_network_by_default(operation: str) -> None:
    assert not Profile(render_profile(RULES, Network.NONE)).filters(operation)
    (filters,) = Profile(render_profile(RULES, Network.ALL)).filters(operation)
    assert filters  # without one, Unix sockets would be allowed too


def test_network_is_of_the_remote_end() -> None:
    (filters,) = Profile(render_profile(RULES, Network.ALL)).filters("network-outbound")
    assert filters == [["remote", "ip", "*:*"], ["literal", "/private/var/run/mDNSResponder"]]


def test_api_is_one_port() -> None:
    profile = Profile(render_profile(RULES, Network.API, 4711))
    assert profile.filters("network-outbound") == [[["remote", "ip", "localhost:4711"]]]
    for operation in ("network-inbound", "network-bind", "system-socket"):
        assert not profile.filters(operation)
    assert "com.apple.trustd.agent" in profile.strings("mach-lookup", "global-name")
    assert "com.apple.SystemConfiguration.configd" not in profile.strings("mach-lookup", "global-name")
    assert not Profile(render_profile(RULES, Network.API)).filters("network-outbound")


@pytest.fixture
def stand_in(tmp_path: Path) -> Seatbelt:
    program = tmp_path / "sandbox-exec"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    return Seatbelt(str(program))


def profile_of(command: list[str]) -> Profile:
    assert command[1] == "-p"
    return Profile(command[2])


@behind(Wall.CONTROL)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_as_other_sandboxes(arena: Arena, layout: Layout) -> None:
    (arena.home / ".bashrc").write_text("# mine")
    confined, expected = layout(arena.usual, arena.base)
    profile = profile_of(Seatbelt().wrap_command(["sh"], confined))
    assert {
        path: profile.access(f"/private{os.path.realpath(arena.base / path)}") for path in expected
    } == expected


@behind(Wall.CONTROL)
def test_program_is_started(arena: Arena, stand_in: Seatbelt) -> None:
    (arena.home / ".tool").mkdir()
    (arena.home / ".tool/x").write_text("visible")
    confined = arena.usual._replace(needs=(arena.home / ".tool",))
    code = 'pwd; echo "$HOME $TMPDIR"; cat "$HOME/.tool/x"; ls -A "$HOME"; exit 7'
    command = stand_in.wrap_command(["sh", "-c", code], confined)
    with arena._start(command, -3) as process:
        said, errors = process.communicate()
    assert (process.returncode, errors) == (7, "")
    home, tmp = arena.scratch / "home", arena.scratch / "tmp"
    assert said.splitlines() == [str(arena.worktree), f"{home} {tmp}", "visible.tool"]
    assert Path(stand_in.program).with_name("profile").read_text() == command[2]


@behind(Wall.CONTROL)
@pytest.mark.parametrize(("network", "rules"), [(Network.NONE, 0), (Network.API, 0), (Network.ALL, 1)])
def test_network_of_program(arena: Arena, network: Network, rules: int) -> None:
    command = Seatbelt().wrap_command(["sh"], arena.usual._replace(network=network))
    assert len(profile_of(command).filters("network-outbound")) == rules


@behind(Wall.CONTROL)
def test_strict_output(arena: Arena) -> None:
    strict = arena.usual._replace(strict_output=arena.worktree / "new/output.md")
    profile = profile_of(Seatbelt().wrap_command(["sh"], strict))
    inside = f"/private{arena.worktree}"
    assert [
        profile.access(f"{inside}/{name}") for name in ("new/output.md", "new/other.md", "README.md")
    ] == [
        "write",
        "read",
        "read",
    ]
    assert (arena.worktree / "new").is_dir()


@behind(Wall.CONTROL)
def test_writable_home_is_kept(arena: Arena) -> None:
    command = Seatbelt().wrap_command(["sh"], arena.usual._replace(writable=(arena.home,)))
    assert str(arena.scratch / "home") not in command[3:]


@pytest.fixture
def elsewhere() -> Iterator[None]:
    find_seatbelt.cache_clear()
    yield
    find_seatbelt.cache_clear()


REFUSES = '#!/bin/sh\n[ "$1" = -p ] || exit 64\nshift 2\nunset TMPDIR\necho started\n'


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (REFUSES, None),
        (STAND_IN, "it is not effective"),
        (
            "#!/bin/sh\necho 'sandbox-exec: sandbox_apply: Operation not permitted' >&2; exit 71\n",
            "not permitted",
        ),
        ("#!/bin/sh\nkill -ABRT $$\n", "exit code -6"),
        (None, "cannot be started"),
    ],
)
@pytest.mark.usefixtures("elsewhere")
def test_trial(tmp_path: Path, program: str | None, said: str | None) -> None:
    path = tmp_path / "sandbox-exec"
    if program:
        path.write_text(program)
        path.chmod(0o755)
    found = find_seatbelt(str(path), "darwin")
    if said is None:
        assert found == Seatbelt(str(path))
    else:
        assert isinstance(found, Unavailable)
        assert said in found.reason


def test_needs_macos() -> None:
    with pytest.raises(GitbatchError, match="cannot use the sandbox: seatbelt: it needs macOS"):
        select_sandbox(SandboxKind.SEATBELT)


def test_auto_on_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    found: Sandbox | Unavailable = Seatbelt()
    monkeypatch.setattr("gitbatch.sandbox.seatbelt.find_seatbelt", lambda: found)
    monkeypatch.setattr("sys.platform", "darwin")
    assert select_sandbox(SandboxKind.AUTO).kind is SandboxKind.SEATBELT
    found = Unavailable("it does not work")
    with pytest.raises(GitbatchError) as error:
        select_sandbox(SandboxKind.AUTO)
    assert error.value.advice == 'set sandbox = "none" to run agents without a sandbox'
    assert error.value.details == "seatbelt: it does not work"
