"""The repositories that most tests begin with: git makes each once in a worker, and tests get copies."""

import hashlib
import os
import shutil
import struct
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FSCK = [
    "-c",
    "core.commitGraph=false",
    "-c",
    "core.multiPackIndex=false",
    "fsck",
    "--strict",
    "--no-dangling",
]
"""Arguments of git; without files that no repository of the tests has, for each of which it starts another git."""
SAMPLES = Path(__file__).parent.parent / "fixtures" / "repos"


@dataclass(frozen=True)
class BaseRepositories:
    """Repositories on branch main in one folder: an empty one, and those with one commit of a sample or a file."""

    folder: Path
    environment: Mapping[str, str]

    def copy_empty(self, root: Path) -> None:
        """Copy the repository that has no commit to the folder `root`."""
        kept = self.folder / "empty"
        if not kept.is_dir():
            kept.mkdir()
            self._run_git(kept, "init", "--quiet", "--initial-branch=main")
            for sample in (kept / ".git/hooks").iterdir():
                sample.unlink()
        _copy_folder(kept, root)

    def copy_sample(self, sample: str, root: Path) -> None:
        """Copy the repository with a sample, committed, to the folder `root`."""
        kept = self.folder / sample
        if not kept.is_dir():
            shutil.copytree(SAMPLES / sample, kept)
            self._commit(kept, "The plan")
        self._copy_checkout(kept, root)

    def copy_one_file(self, root: Path) -> None:
        """Copy the repository with the committed file a.txt to the folder `root`."""
        kept = self.folder / "one-file"
        if not kept.is_dir():
            kept.mkdir()
            (kept / "a.txt").write_text("a\n")
            self._commit(kept, "change")
        self._copy_checkout(kept, root)

    def keep(self, name: str, root: Path) -> None:
        """Keep a copy of what a test has made in its repository, which is as the index says: copies are not compared."""
        kept = self.folder / name
        assert self._ask_git(root, "status", "--porcelain") == b""
        kept.mkdir()
        _copy_folder(root, kept)

    def copy_kept(self, name: str, root: Path) -> bool:
        """Copy what a test has made to the folder `root`; returns whether one has."""
        kept = self.folder / name
        if kept.is_dir():
            self._copy_checkout(kept, root)
        return kept.is_dir()

    def _commit(self, kept: Path, message: str) -> None:
        self.copy_empty(kept)
        self._run_git(kept, "add", "--all")
        self._run_git(kept, "-c", "maintenance.auto=false", "commit", "--quiet", "--message", message)

    def _copy_checkout(self, kept: Path, root: Path) -> None:
        _copy_folder(kept, root)
        _refresh_index(root)

    def _run_git(self, folder: Path, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=folder, env=self.environment, check=True)

    def _ask_git(self, folder: Path, *arguments: str) -> bytes:
        return subprocess.check_output(["git", *arguments], cwd=folder, env=self.environment)


def _copy_folder(source: Path, target: Path) -> None:
    """Copy what is in a folder; `shutil.copytree` takes three times as long.

    With the times of files, which are older than a new index: git need not read what has them.
    """
    for entry in list(os.scandir(source)):
        copied = target / entry.name
        if entry.is_dir():
            copied.mkdir(exist_ok=True)
            _copy_folder(Path(entry.path), copied)
        else:
            shutil.copyfile(entry.path, copied)
            stat = entry.stat()
            copied.chmod(stat.st_mode)
            os.utime(copied, ns=(stat.st_atime_ns, stat.st_mtime_ns))


_INDEX_STAT = struct.Struct(">10I")
"""Of an entry: two times of two numbers each, device, inode, mode, owner, group, and size."""


def _refresh_index(root: Path) -> None:
    """Give the entries of an index the inodes and times of the files, as `git update-index --refresh` does."""
    file = root / ".git/index"
    content = bytearray(file.read_bytes()[:-20])
    assert content.startswith(b"DIRC\0\0\0\2")
    at = 12
    for _ in range(int.from_bytes(content[8:12])):
        end = content.index(b"\0", at + 62)
        stat = os.lstat(root / os.fsdecode(bytes(content[at + 62 : end])))
        times = (*divmod(stat.st_ctime_ns, 10**9), *divmod(stat.st_mtime_ns, 10**9))
        mode = _INDEX_STAT.unpack_from(content, at)[6]
        found = (*times, stat.st_dev, stat.st_ino, mode, stat.st_uid, stat.st_gid, stat.st_size)
        _INDEX_STAT.pack_into(content, at, *(number & 0xFFFFFFFF for number in found))
        at = end + 8 - (end - at) % 8
    file.write_bytes(content + hashlib.sha1(content, usedforsecurity=False).digest())


def list_objects(root: Path) -> frozenset[str]:
    """The names of the files of a repository's objects."""
    return frozenset(name for _, _, names in os.walk(root / ".git/objects") for name in names)


def read_loose_head(git_dir: Path) -> str:
    """The commit of the current branch, if a file names it; else nothing: it takes no process of git."""
    head = git_dir / "HEAD"
    name = head.read_text() if head.is_file() else ""
    if not name.startswith("ref: "):
        return ""
    ref = git_dir / name.removeprefix("ref: ").rstrip("\n")
    return ref.read_text().strip() if ref.is_file() else ""


def list_loose_branches(git_dir: Path) -> list[str] | None:
    """The branches of a repository whose refs are all files of their own: it takes no process of git. None: they are not."""
    if (git_dir / "packed-refs").exists() or (git_dir / "reftable").exists():
        return None
    heads = git_dir / "refs/heads"
    return sorted(
        str(file.relative_to(git_dir))
        for file in heads.rglob("*")
        if file.is_file() and file.suffix != ".lock"
    )
