"""git by hand: what its commands need for each phase, without a check, a lock, a sync or a word to anybody.

Processes that stay open for trees, a sparse checkout, no index but the user's; one merge and one commit for a group. It
is no lower bound: gitbatch writes some of what the commands write (a worktree's entry, its index) itself.
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bench.repositories import AGENT, Repository, Work, file_name, fresh, output_name


class _Pipe:
    """A git process that answers on a pipe."""

    def __init__(self, repo: Repository, *arguments: str) -> None:
        self.process = subprocess.Popen(
            ["git", *arguments],
            cwd=repo.root,
            env=repo.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    @property
    def pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        """Where to ask, and where to read."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        return stdin, stdout

    def ask(self, question: bytes) -> bytes:
        stdin, stdout = self.pipes
        stdin.write(question)
        stdin.flush()
        return stdout.readline().rstrip(b"\n")

    def close(self) -> None:
        for pipe in self.pipes:
            pipe.close()
        self.process.wait()


class _Trees:
    """The change of a few paths in a tree, by `cat-file` and `mktree`."""

    def __init__(self, repo: Repository) -> None:
        self.reader = _Pipe(repo, "cat-file", "--batch")
        self.writer = _Pipe(repo, "mktree", "-z", "--batch", "--missing")

    def close(self) -> None:
        self.reader.close()
        self.writer.close()

    def entries(self, tree: bytes) -> dict[bytes, tuple[bytes, bytes]]:
        """Name → mode and id."""
        size = int(self.reader.ask(tree + b"\n").split()[2])
        data = self.reader.pipes[1].read(size + 1)
        found, at = {}, 0
        while at < size:
            nul = data.index(b"\0", at)
            mode, name = data[at:nul].split(b" ", 1)
            found[name] = mode, data[nul + 1 : nul + 21].hex().encode()
            at = nul + 21
        return found

    def put(self, tree: bytes | None, parts: list[bytes], blobs: dict[bytes, bytes]) -> bytes:
        """A tree with blobs put into the folder that is `parts` below it."""
        found = self.entries(tree) if tree else {}
        if parts:
            below = found.get(parts[0], (b"", b""))[1] or None
            found[parts[0]] = b"40000", self.put(below, parts[1:], blobs)
        else:
            found |= {name: (b"100644", blob) for name, blob in blobs.items()}
        lines = (
            b"%s %s %s\t%s\0" % (mode.zfill(6), b"tree" if mode == b"40000" else b"blob", oid, name)
            for name, (mode, oid) in found.items()
        )
        return self.writer.ask(b"".join(lines) + b"\0")


class Floor:
    """The batch, phase by phase. `times`: seconds of each step."""

    def __init__(self, repo: Repository, work: Work) -> None:
        self.repo = repo
        self.work = work
        self.agent = fresh(AGENT)
        self.times: dict[str, list[float]] = {}

    def run(self) -> None:
        """Do all of the work."""
        trees = _Trees(self.repo)
        try:
            for group in range(1, self.work.groups + 1):
                self._group(trees, group)
        finally:
            trees.close()

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.times.setdefault(phase, []).append(time.monotonic() - began)

    def _group(self, trees: _Trees, group: int) -> None:
        git = self.repo.git
        base = git("rev-parse", "HEAD")
        tree = git("rev-parse", f"{base}^{{tree}}")
        blobs, commits = {}, []
        for item in range(1, self.work.items + 1):
            output = output_name(group, item)
            branch, place = f"floor/{group}-{item}", self.repo.worktrees / f"floor-{group}-{item}"
            with self._timed("worktree"):
                self._add_worktree(branch, place, base, (group * 10_000 + item, output))
            with self._timed("agent"):
                subprocess.run(["sh", "-c", self.agent, "sh", output, output], cwd=place, check=True)
            with self._timed("harvest"):
                blob = git("hash-object", "-w", "--stdin", stdin=(place / output).read_bytes()).encode()
                folder, name = output.encode().rsplit(b"/", 1)
                made = trees.put(tree.encode(), folder.split(b"/"), {name: blob})
                commit = git("commit-tree", "-p", base, "-m", output, made.decode())
                git("update-ref", f"refs/heads/{branch}", commit, base)
            with self._timed("clean-up"):
                shutil.rmtree(place)
                shutil.rmtree(self.repo.root / ".git" / "worktrees" / place.name)
            blobs[name] = blob
            commits.append(commit)
        with self._timed("merge"):
            folder = output_name(group, 1).encode().rpartition(b"/")[0]
            merged = trees.put(tree.encode(), folder.split(b"/"), blobs).decode()
            above = [part for commit in (base, *commits) for part in ("-p", commit)]
            merge = git("commit-tree", *above, "-m", "merge", merged)
            final = git("commit-tree", "-p", merge, "-m", "checkpoint", merged)
            git("update-ref", "refs/heads/main", final, base)
        with self._timed("follow"):
            git("read-tree", "-m", "-u", base, final)
        with self._timed("clean-up"):
            gone = "".join(f"delete refs/heads/floor/{group}-{item + 1}\n" for item in range(self.work.items))
            git("update-ref", "--stdin", stdin=gone.encode())

    def _add_worktree(self, branch: str, place: Path, base: str, item: tuple[int, str]) -> None:
        number, output = item
        git = self.repo.git
        if self.work.checkout == "full":
            git("worktree", "add", "--quiet", "-b", branch, str(place), base)
        else:
            git("worktree", "add", "--quiet", "--no-checkout", "-b", branch, str(place), base)
            info = self.repo.root / ".git" / "worktrees" / place.name / "info"
            info.mkdir()
            reads = (file_name(number * factor % self.repo.files, self.repo.files) for factor in (7, 31))
            (info / "sparse-checkout").write_text("".join(f"/{path}\n" for path in reads))
            sparse = ("-c", "core.sparseCheckout=true", "-c", "core.sparseCheckoutCone=false")
            git("-C", str(place), *sparse, "read-tree", "-mu", "HEAD")
        (place / output).parent.mkdir(parents=True, exist_ok=True)
