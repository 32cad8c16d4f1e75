"""The repositories that most tests begin with: git makes each once in a worker, and tests get copies."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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

    def _commit(self, kept: Path, message: str) -> None:
        self.copy_empty(kept)
        self._run_git(kept, "add", "--all")
        self._run_git(kept, "-c", "maintenance.auto=false", "commit", "--quiet", "--message", message)

    def _copy_checkout(self, kept: Path, root: Path) -> None:
        _copy_folder(kept, root)
        self._run_git(root, "update-index", "--refresh")  # it has the inodes and times of the files

    def _run_git(self, folder: Path, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=folder, env=self.environment, check=True)


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
