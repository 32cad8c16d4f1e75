"""Auditing a history with git alone: what must hold after any run, however it went."""

from dataclasses import dataclass
from pathlib import Path

from conftest import Workspace

SHARED = frozenset({"task.md", "status.md", "decisions-log.md", "inventory.md"})


@dataclass(frozen=True)
class Story:
    """The commits of a history by kind, the oldest first."""

    items: tuple[str, ...]
    merges: tuple[str, ...]
    checkpoints: tuple[str, ...]


@dataclass(frozen=True)
class CommitFacts:
    """A commit as git reads it; `changed` is against its first parent: path → (status, new mode)."""

    parents: tuple[str, ...]
    author: str
    subject: str
    items: tuple[str, ...]
    is_checkpoint: bool
    is_merge: bool
    changed: dict[str, tuple[str, str]]


def _format_trailers(name: str) -> str:
    return f"%(trailers:key=Gitbatch-{name},valueonly,unfold)"


_FIELDS = ("%H", "%P", "%an", "%s", *map(_format_trailers, ("Item", "Checkpoint", "Batch")))


def trailers(workspace: Workspace, commit: str, name: str) -> list[str]:
    """The values of one of our trailers, as git reads them."""
    said = workspace.git("log", "-1", f"--format={_format_trailers(name)}", commit)
    return [line for line in said.splitlines() if line]


def changed(workspace: Workspace, old: str, new: str) -> dict[str, tuple[str, str]]:
    """Path → (status, new mode) between two commits, without rename detection."""
    said = workspace.git("diff-tree", "-r", "--no-renames", "--raw", "-z", old, new)
    return _read_changes(said.split("\0")[:-1])


def _read_changes(words: list[str]) -> dict[str, tuple[str, str]]:
    heads = [head.split(" ") for head in words[::2]]
    return {path: (head[4], head[1]) for head, path in zip(heads, words[1::2], strict=True)}


def _read_all_changes(
    workspace: Workspace, parents: dict[str, tuple[str, ...]]
) -> dict[str, dict[str, tuple[str, str]]]:
    """The changes of each commit against its first parent, by one git."""
    asked = "".join(f"{commit} {found[0]}\n" for commit, found in parents.items() if found)
    words = workspace.git("diff-tree", "--stdin", "-r", "--no-renames", "--raw", "-z", given=asked).split(
        "\0"
    )[:-1]
    starts = []
    position = 0
    while position < len(words):
        is_change = words[position].startswith(":")
        if not is_change:
            starts.append(position)
        position += 2 if is_change else 1
    ends = [*starts[1:], len(words)][: len(starts)]
    return {
        words[start]: _read_changes(words[start + 1 : end]) for start, end in zip(starts, ends, strict=True)
    }


def _read_commits(workspace: Workspace, branch: str) -> dict[str, CommitFacts]:
    """All commits of a branch, the oldest first."""
    said = workspace.git("log", "-z", "--reverse", "--topo-order", f"--format={'%x00'.join(_FIELDS)}", branch)
    words = said.split("\0")
    size = len(_FIELDS)
    rows = [words[start : start + size] for start in range(0, len(words) - size + 1, size)]
    changes = _read_all_changes(workspace, {row[0]: tuple(row[1].split()) for row in rows})
    return {
        commit: CommitFacts(
            tuple(parents.split()),
            author,
            subject,
            tuple(line for line in items.splitlines() if line),
            bool(checkpoint.strip()),
            bool(batch.strip()),
            changes.get(commit, {}),
        )
        for commit, parents, author, subject, items, checkpoint, batch in rows
    }


def audit(workspace: Workspace, branch: str = "main") -> Story:
    """Check every commit of a branch: items change one file, only checkpoints change shared files."""
    items, merges, checkpoints = [], [], []
    told = _read_commits(workspace, branch)
    for commit, said in told.items():
        if said.items:
            (key,) = said.items
            assert len(said.parents) == 1
            assert said.changed.keys() == {key}
            assert {mode for _, mode in said.changed.values()} == {"100644"}
            assert "gitbatch agent" in said.author
            items.append(commit)
        elif said.is_checkpoint:
            assert len(said.parents) == 1
            assert said.changed.keys() <= SHARED
            checkpoints.append(commit)
        elif said.is_merge:
            outputs = {key for parent in said.parents[1:] for key in told[parent].items}
            assert len(outputs) == len(said.parents) - 1 <= 16
            assert said.changed.keys() == outputs
            merges.append(commit)
        else:
            for parent in said.parents:
                assert "Gitbatch" not in told[parent].subject
    return Story(tuple(items), tuple(merges), tuple(checkpoints))


def list_cached(workspace: Workspace) -> list[Path]:
    """The files in the cache folder, without layers and what is remembered of trials, which stay for later runs."""
    cache = workspace.home / "cache/gitbatch"
    stays = cache / "layers", cache / "trials"
    files = (path for path in cache.parent.rglob("*") if path.is_file())
    return [path for path in files if not any(map(path.is_relative_to, stays))]


def assert_tidy(workspace: Workspace) -> None:
    """Nothing of a batch is left over but what is meant to stay: no worktree, no item branch, no lock."""
    assert workspace.git("worktree", "list", "--porcelain").count("worktree ") == 1
    assert workspace.git("for-each-ref", "--format=%(refname)", "refs/heads/gitbatch/") == ""
    assert not list((workspace.root / ".git").rglob("*.lock"))
    assert list_cached(workspace) == []
    assert str(workspace.home) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")


def ticked(workspace: Workspace, path: str = "task.md", branch: str = "main") -> list[str]:
    """The ids of the items that are ticked in the committed plan."""
    lines = workspace.git("show", f"{branch}:{path}").splitlines()
    return [line.split()[2] for line in lines if line.startswith("- [x] T")]
