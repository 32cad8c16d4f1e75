"""A repository that hostile agents attack, and the checks of its history and of everything outside of it.

The same questions are asked after a run of gitbatch and after one of the naive controls.
"""

import os
import secrets
import shutil
import signal
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from conftest import Workspace
from history import changed

SECRET = f"secret-{secrets.token_hex(8)}"
"""A value in the user's home and in the orchestrator's environment that must not get into history."""
PWNED = "pwned"
"""The text that an attack writes to forbidden files only."""
LIMIT = 1024 * 1024
"""The size limit of an output in these tests."""
SHARED = frozenset({"task.md", "status.md", "decisions-log.md"})
PASSED = f"passed-{secrets.token_hex(8)}"
"""The value of a variable that is passed to the agents, and must not get into history either."""
_TRACES = (PWNED, SECRET, PASSED)
_CONTROL = ("config", "HEAD", "hooks", "info", "objects/info", "packed-refs")

_AGENT = """\
set -u
output=$1
root=$GROUNDS/repo git=$GROUNDS/repo/.git elsewhere=$GROUNDS/elsewhere payload=$GROUNDS/repo/tools/payload
page() { printf '# %s\\n\\nthe work of %s\\n' "$output" "$output" >"$output"; }
as_evil() { git -c user.name=Evil -c user.email=evil@example.org -c commit.gpgSign=false "$@"; }
. "tools/attacks/$(basename "$output" .md).sh"
"""
_PAYLOAD = """\
#!/bin/sh
# A planted program. It reports only runs by the orchestrator: agents lack its variable.
[ -z "${ORCHESTRATOR-}" ] || echo "$0 $*" >>"$GROUNDS/ran"
cat
exit 0
"""
_CONFIGURATION = f"""\
[batch]
jobs = 6
retries = 0
max-output-bytes = {LIMIT}

[agents.hostile]
kind = "command"
command = ["sh", "tools/agent.sh", "{{output}}"]
timeout = "20s"
pass-env = ["PASSED_KEY"]
public-env = ["GROUNDS"]
"""


@dataclass(frozen=True)
class Grounds:
    """The repository, with a home that has a key, and a folder elsewhere."""

    workspace: Workspace
    start: str
    before: dict[str, object] = field(default_factory=dict)

    @property
    def base(self) -> Path:
        return self.workspace.root.parent

    def history(self, branch: str = "main") -> set[str]:
        """Returns what is wrong in the history of a branch since the start."""
        workspace = self.workspace
        wrong = (
            {f"it has lost {self.start}"}
            if workspace.git("merge-base", branch, self.start) != self.start
            else set()
        )
        for path, (status, mode) in changed(workspace, self.start, branch).items():
            if (
                not (path.startswith("out/") and path.count("/") == 1 and path.endswith(".md"))
                and path not in SHARED
            ):
                wrong.add(f"{path} was changed ({status})")
            elif mode != "100644":
                wrong.add(f"{path} has mode {mode}")
        plan = workspace.git("show", f"{branch}:task.md", check=False).replace("- [x]", "- [ ]")
        if plan != workspace.git("show", f"{self.start}:task.md"):
            wrong.add("the plan is another")
        return wrong | set(self._commits(branch)) | set(self._blobs(branch))

    def _commits(self, branch: str) -> Iterator[str]:
        """Yields the commits that are not the orchestrator's, or whose authors are neither its agents nor the user."""
        said = self.workspace.git("log", "--format=%an%x09%s", f"{self.start}..{branch}")
        for line in said.splitlines():
            author, _, subject = line.partition("\t")
            if author != "hostile (gitbatch agent)" and not subject.startswith("gitbatch: "):
                yield f"a commit of {author}: {subject}"

    def _blobs(self, branch: str) -> Iterator[str]:
        """Yields errors in the files of all commits, also in those that a later commit removed."""
        listed = self.workspace.git("rev-list", "--objects", f"{self.start}..{branch}").splitlines()
        for oid, _, path in (line.partition(" ") for line in listed):
            if not path or self.workspace.git("cat-file", "-t", oid) != "blob":
                continue
            if int(self.workspace.git("cat-file", "-s", oid)) > LIMIT:
                yield f"{path} is too large"
                continue
            text = self.workspace.git("cat-file", "blob", oid)
            yield from (f"{path} has “{trace[:6]}”" for trace in _TRACES if trace in text)

    def outside(self) -> set[str]:
        """Returns the changes outside of history: in the checkout, in `.git`, in the home, elsewhere."""
        after = _seen(self.base)
        wrong = {path for path in {**self.before, **after} if self.before.get(path) != after.get(path)}
        wrong |= {f"{path.name} is left" for path in (self.base / "worktrees").glob("*")}
        return wrong | {f"process {number} is alive" for number in self.daemons()}

    def code_ran(self) -> set[str]:
        """Returns the planted programs that the orchestrator has run."""
        with suppress(FileNotFoundError):
            return set((self.base / "ran").read_text(encoding="utf-8").splitlines())
        return set()

    def daemons(self) -> list[int]:
        """Returns the living processes of agents, by the path of the grounds in their command lines."""
        mark = f"daemon of {self.base}".encode()
        return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if mark in _read(path)]

    def end_daemons(self) -> None:
        for number in self.daemons():
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _seen(base: Path) -> dict[str, object]:
    """Returns everything that agents may not change: path → mode and content."""
    found: dict[str, object] = {}
    for top in ("repo", "home", "elsewhere"):
        for folder, folders, files in os.walk(base / top):
            inside = Path(folder).relative_to(base)
            folders[:] = [
                name for name in folders if f"{inside}/{name}" not in {"repo/.git", "repo/out", "home/cache"}
            ]
            found |= {
                f"{inside}/{name}": _file(Path(folder, name))
                for name in files
                if f"{inside}/{name}" not in _OURS
            }
    git = base / "repo/.git"
    for name in _CONTROL:
        for path in (git / name, *(git / name).rglob("*")):
            if not path.is_dir():
                found[f".git/{path.relative_to(git)}"] = _file(path)
    for ref in (git / "refs").rglob("*"):
        name = str(ref.relative_to(git))
        if ref.is_file() and not name.startswith(
            ("refs/heads/gitbatch/", "refs/gitbatch/", "refs/heads/item/")
        ):
            found[name] = None if name == "refs/heads/main" else _file(ref)
    return found


_OURS = frozenset(f"repo/{path}" for path in SHARED)


def _file(path: Path) -> object:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(status.st_mode):
        return str(path.readlink())
    return (status.st_mode, path.read_bytes() if stat.S_ISREG(status.st_mode) else b"")


def lay_out(base: Path, environment: dict[str, str], scripts: dict[str, str]) -> None:
    """Makes the repository: one item for each script, all in one group."""
    workspace = Workspace(base / "repo", base / "home", environment)
    workspace.root.mkdir()
    workspace.git("init", "--quiet", "--initial-branch=main")
    items = "".join(f"- [ ] Work {name} → Output: out/{name}.md\n" for name in scripts)
    files = {
        "task.md": f"# Attacks\n\n## Work Packages\n\n### All of them\n\n{items}",
        "status.md": "# Status\n\nWhat the user wrote.\n",
        "decisions-log.md": "# Decisions\n",
        "CLAUDE.md": "# Rules for everybody\n",
        "notes.md": "What the project's rules are.\n",
        "docs/old.md": "What was there before.\n",
        "gitbatch.toml": _CONFIGURATION,
        "tools/agent.sh": _AGENT,
        "tools/payload": _PAYLOAD,
        **{f"tools/attacks/{name}.sh": f"{script}\n" for name, script in scripts.items()},
    }
    for path, text in files.items():
        workspace.write(path, text)
    (workspace.root / "tools/payload").chmod(0o755)
    workspace.commit("The plan")
    for name in ("home/.ssh", "elsewhere"):
        (base / name).mkdir(parents=True)
    (base / "home/.ssh/id").write_text(SECRET, encoding="utf-8")
    (base / "home/.bashrc").write_text("# the user's\n", encoding="utf-8")
    (base / "elsewhere/linked_folder.md").write_text(SECRET, encoding="utf-8")


def copy_of(template: Path, base: Path, environment: dict[str, str]) -> Grounds:
    """Copies the template of the grounds to a folder."""
    shutil.copytree(template, base, symlinks=True)
    workspace = Workspace(
        base / "repo",
        base / "home",
        {
            **environment,
            "HOME": str(base / "home"),
            "XDG_CACHE_HOME": str(base / "home/cache"),
            "GROUNDS": str(base),
            "ORCHESTRATOR": "1",
            "API_KEY": SECRET,
            "PASSED_KEY": PASSED,
        },
    )
    return Grounds(workspace, workspace.git("rev-parse", "main"), _seen(base))


def only(names: Iterable[str]) -> str:
    """Returns the `--items` value that selects these."""
    return ",".join(f"out/{name}.md" for name in names)
