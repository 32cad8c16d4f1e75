"""Auditing a history with git alone: what must hold after any run, however it went."""

from dataclasses import dataclass
from pathlib import Path

from conftest import Place

SHARED = frozenset({"task.md", "status.md", "decisions-log.md", "inventory.md"})


@dataclass(frozen=True)
class Story:
    """The commits of a history by kind, the oldest first."""

    items: tuple[str, ...]
    merges: tuple[str, ...]
    checkpoints: tuple[str, ...]


def trailers(place: Place, commit: str, name: str) -> list[str]:
    """The values of one of our trailers, as git reads them."""
    said = place.git("log", "-1", f"--format=%(trailers:key=Gitbatch-{name},valueonly,unfold)", commit)
    return [line for line in said.splitlines() if line]


def changed(place: Place, old: str, new: str) -> dict[str, tuple[str, str]]:
    """Path → (status, new mode) between two commits, without rename detection."""
    said = place.git("diff-tree", "-r", "--no-renames", "--raw", "-z", old, new).split("\0")[:-1]
    heads = [head.split(" ") for head in said[::2]]
    return {path: (head[4], head[1]) for head, path in zip(heads, said[1::2], strict=True)}


def audit(place: Place, branch: str = "main") -> Story:
    """Check every commit of a branch: items change one file, only checkpoints change shared files."""
    items, merges, checkpoints = [], [], []
    for commit in place.git("rev-list", "--reverse", "--topo-order", branch).splitlines():
        parents = place.git("log", "-1", "--format=%P", commit).split()
        if trailers(place, commit, "Item"):
            (key,) = trailers(place, commit, "Item")
            (parent,) = parents
            assert changed(place, parent, commit).keys() == {key}
            assert {mode for _, mode in changed(place, parent, commit).values()} == {"100644"}
            assert "gitbatch agent" in place.git("log", "-1", "--format=%an", commit)
            items.append(commit)
        elif trailers(place, commit, "Checkpoint"):
            (parent,) = parents
            assert changed(place, parent, commit).keys() <= SHARED
            checkpoints.append(commit)
        elif trailers(place, commit, "Batch"):
            outputs = {key for parent in parents[1:] for key in trailers(place, parent, "Item")}
            assert len(outputs) == len(parents) - 1 <= 16
            assert changed(place, parents[0], commit).keys() == outputs
            merges.append(commit)
        elif parents:
            for parent in parents:
                assert "Gitbatch" not in place.git("log", "-1", "--format=%s", parent)
    return Story(tuple(items), tuple(merges), tuple(checkpoints))


def list_cached(place: Place) -> list[Path]:
    """The files in the cache folder, without those of layers, which stay for later runs."""
    cache = place.home / "cache"
    files = (path for path in cache.rglob("*") if path.is_file())
    return [path for path in files if not path.is_relative_to(cache / "gitbatch/layers")]


def assert_tidy(place: Place) -> None:
    """Nothing of a batch is left over but what is meant to stay: no worktree, no item branch, no lock."""
    assert place.git("worktree", "list", "--porcelain").count("worktree ") == 1
    assert place.git("for-each-ref", "--format=%(refname)", "refs/heads/gitbatch/") == ""
    assert not list((place.root / ".git").rglob("*.lock"))
    assert list_cached(place) == []
    assert str(place.home) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")


def ticked(place: Place, path: str = "task.md", branch: str = "main") -> list[str]:
    """The ids of the items that are ticked in the committed plan."""
    lines = place.git("show", f"{branch}:{path}").splitlines()
    return [line.split()[2] for line in lines if line.startswith("- [x] T")]
