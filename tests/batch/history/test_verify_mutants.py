"""No mutant of a real history passes the audit: one commit is changed, and what follows is rebuilt upon it."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from base_repositories import SAMPLES
from conftest import Workspace

from gitbatch.batch.history.trailers import Kind, parse_trailers
from gitbatch.batch.history.verify.audit import audit_history
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository

Files = dict[str, tuple[str, str]]
"""Path → mode and object."""


@dataclass(frozen=True)
class Node:
    """A commit, taken apart."""

    oid: str
    parents: tuple[str, ...]
    files: Files
    message: str
    kind: Kind | None
    twice: bool = False
    """Its top folder has its last name twice."""


@dataclass(frozen=True)
class Story:
    """A history, the oldest commit first."""

    workspace: Workspace
    repo: Repository
    nodes: tuple[Node, ...]

    def of(self, kind: Kind) -> list[Node]:
        return [node for node in self.nodes if node.kind is kind]

    def node(self, oid: str) -> Node:
        return next(node for node in self.nodes if node.oid == oid)

    def blob(self, text: str) -> str:
        return self.repo.objects.write_blob(text.encode())

    def read(self, node: Node, path: str) -> str:
        return self.repo.objects.read_blob(node.files[path][1]).decode()

    def rebuilt(self, old: Node, new: Node | None) -> str:
        """The tip of the history with one commit replaced, or left out."""
        first = old.parents[0] if old.parents else ""
        moved = {old.oid: self.write(new, {}) if new else first}
        changed = _delta(old.files, new.files) if new else {}
        for node in self.nodes[self.nodes.index(old) + 1 :]:
            if not set(node.parents) & moved.keys():
                continue
            kept = {
                path: what for path, what in changed.items() if node.files.get(path) == old.files.get(path)
            }
            files = {path: what for path, what in {**node.files, **kept}.items() if what}
            moved[node.oid] = self.write(replace(node, files=files), moved)
        return moved.get(self.nodes[-1].oid, "")

    def write(self, node: Node, moved: dict[str, str]) -> str:
        lines = [f"tree {self.tree(node.files, twice=node.twice)}"]
        lines += [f"parent {moved.get(parent, parent)}" for parent in node.parents]
        lines += [f"{role} A <a@example.org> 1767323045 +0000" for role in ("author", "committer")]
        return self.repo.objects.writer.write("commit", f"{chr(10).join(lines)}\n\n{node.message}".encode())

    def tree(self, files: Files, *, twice: bool = False) -> str:
        below: dict[str, Files] = {}
        entries: dict[str, tuple[str, str]] = {}
        for path, what in files.items():
            name, _, rest = path.partition("/")
            if rest:
                below.setdefault(name, {})[rest] = what
            else:
                entries[name] = what
        entries |= {name: ("40000", self.tree(inner)) for name, inner in below.items()}
        listed = sorted(
            entries.items(), key=lambda entry: f"{entry[0]}/" if entry[1][0] == "40000" else entry[0]
        )
        listed += listed[-1:] * twice
        data = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(oid) for name, (mode, oid) in listed)
        return self.repo.objects.writer.write("tree", data)


def _delta(old: Files, new: Files) -> dict[str, tuple[str, str] | None]:
    return {path: new.get(path) for path in old.keys() | new.keys() if old.get(path) != new.get(path)}


def read_story(workspace: Workspace, repo: Repository) -> Story:
    nodes = []
    for oid in workspace.git("rev-list", "--topo-order", "--reverse", "main").splitlines():
        commit = repo.objects.read_commit(oid)
        files = {path: (entry.mode, entry.oid) for path, entry in repo.objects.list_files(commit.tree)}
        nodes.append(Node(oid, commit.parents, files, commit.message, parse_trailers(commit.message).kind))
    return Story(workspace, repo, tuple(nodes))


Mutation = Callable[[Story, Node], Iterator["Node | None"]]


def trailers(_: Story, node: Node) -> Iterator[Node | None]:
    """Each trailer that a kind must have: gone, twice, in another case, of another value."""
    must = ("Format", "Batch", "Group", "Item", "Agent", "Attempt", "Seconds", "Checkpoint", "Succeeded")
    for line in node.message.splitlines():
        found = re.match(rf"Gitbatch-({'|'.join(must)}): ", line)
        if not found:
            continue
        for other in (
            "",
            f"{line}\n{line}",
            line.lower(),
            line.replace(": ", ":"),
            f" {line}",
            f"{line}\n more",
        ):
            yield replace(node, message=node.message.replace(f"{line}\n", f"{other}\n" if other else ""))
        if found[1] not in {"Agent", "Attempt", "Seconds"}:
            yield replace(node, message=node.message.replace(line, _changed(line)))
        if found[1] in {"Format", "Group", "Attempt", "Seconds", "Checkpoint"}:
            yield replace(node, message=node.message.replace(line, re.sub("[0-9]+", "9" * 5_000, line)))


def _changed(line: str) -> str:
    """A trailer with another value that reads as well."""
    if line.startswith("Gitbatch-Group: "):
        return line.replace(": ", ": 1")
    return re.sub(
        r"[0-9a-z](?=[^0-9a-z]*$|/[0-9]$|\.md$)", lambda c: "8" if c[0].isdigit() else "q", line, count=1
    )


def messages(_: Story, node: Node) -> Iterator[Node | None]:
    """Trailers where they are not read, or more than there are."""
    head, block = node.message.rsplit("\n\n", 1)
    yield replace(node, message=f"{head}\n\n{block}\nSigned-off-by: U <u@example.org>\n")
    yield replace(node, message=f"{head}\0\n\n{block}")
    yield replace(node, message=f"{head}\n")
    yield replace(node, message=block)
    yield replace(node, message=f"{node.message}Gitbatch-Rescued: a: b\n")
    yield replace(node, message=f"{node.message}Gitbatch-Other: a\n")


def parents(story: Story, node: Node) -> Iterator[Node | None]:
    """Every parent left out, doubled, or another commit; and one more."""
    for number in range(len(node.parents)):
        before, after = node.parents[:number], node.parents[number + 1 :]
        yield replace(node, parents=before + after)
        known = story.nodes[: story.nodes.index(node)]
        others = {other.oid for other in (known[0], known[len(known) // 2], known[-1])} - set(node.parents)
        for other in others:
            if not (number == 0 and node.kind is Kind.ITEM and story.node(other).kind is None):
                yield replace(node, parents=(*before, other, *after))
    yield replace(node, parents=(*node.parents, story.nodes[0].oid))
    yield replace(node, parents=tuple(reversed(node.parents)))


def files(story: Story, node: Node) -> Iterator[Node | None]:
    """A file more, a file less, a file changed, of another mode, a link, a name twice; of outputs and shared files."""
    evil = story.blob("evil\n")
    first = story.node(node.parents[0]).files
    own = [path for path, what in node.files.items() if first.get(path) != what]
    yield replace(node, twice=True)
    yield replace(node, files={**node.files, "stray.md": ("100644", evil)})
    yield replace(node, files={**node.files, "CLAUDE.md": ("100644", evil)})
    yield replace(node, files={path: what for path, what in node.files.items() if path != "rules.md"})
    for path in ("task.md", "status.md", "inventory.md", "gitbatch.toml", "tools/agent.sh"):
        yield replace(node, files={**node.files, path: ("100644", evil)})
    for path in own:
        mode, oid = node.files[path]
        rest = {other: what for other, what in node.files.items() if other != path}
        yield replace(node, files={**node.files, path: ("100755", oid)})
        yield replace(node, files={**node.files, path: ("120000", oid)})
        yield replace(node, files={**rest, **{p: w for p, w in first.items() if p == path}})
        yield replace(node, files={**rest, path.upper(): (mode, oid)})
        if node.kind is not Kind.ITEM:
            yield replace(node, files={**node.files, path: ("100644", evil)})


def boxes(story: Story, node: Node) -> Iterator[Node | None]:
    """Boxes of the plan that a checkpoint ticks and opens."""
    if node.kind is Kind.CHECKPOINT:
        plan = story.read(node, "task.md")
        for line in plan.splitlines():
            if "- [" in line:
                other = line.replace("[x]", "[ ]") if "[x]" in line else line.replace("[ ]", "[x]")
                changed = story.blob(plan.replace(line, other))
                yield replace(node, files={**node.files, "task.md": ("100644", changed)})


def absence(_: Story, node: Node) -> Iterator[Node | None]:
    """The commit is left out; but for the last checkpoint, with which a batch may end."""
    if node.kind is not Kind.ITEM:
        yield None


LONG = os.environ.get("GITBATCH_FAULTS") == "long"
"""Whether all mutants are judged, or every twelfth one."""


@pytest.fixture
def story(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    """A real history: three groups of four items."""
    shutil.copytree(SAMPLES / "three-groups", workspace.root, dirs_exist_ok=True)
    workspace.commit("The plan")
    workspace.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=0)
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    repo = open_repository(workspace.root)
    yield read_story(workspace, repo)
    repo.close()


LEAST = {trailers: 40, messages: 10, parents: 10, files: 30, boxes: 10, absence: 2}
"""How many mutants each mutation makes at least."""


@pytest.mark.rule("S1", "S2", "O3", "E2", "P4")
def test_no_mutant_passes(story: Story) -> None:
    assert audit_history(story.repo, "main").findings == ()
    every = 1 if LONG else 12
    for mutation, least in LEAST.items():
        made, passed = _judge_mutants(story, mutation, every)
        assert passed == []
        assert made >= max(least // every, 1), mutation.__name__


def _judge_mutants(story: Story, mutation: Mutation, every: int) -> tuple[int, list[tuple[Kind, int, str]]]:
    """The number of mutants, and those that pass the audit."""
    made, passed = 0, []
    for kind in (Kind.ITEM, Kind.MERGE, Kind.CHECKPOINT):
        for node in story.of(kind)[1:2]:
            for number, mutant in enumerate(mutation(story, node)):
                if mutant == node or number % every:
                    continue
                tip = story.rebuilt(node, mutant)
                story.repo.objects.writer.flush()
                made += 1
                if not audit_history(story.repo, tip).findings:
                    passed.append((kind, number, mutant.message if mutant else ""))
    return made, passed
