"""Private git directories, so that a git process that converts files reads nothing that an agent can write.

The configuration and the attributes of a repository name programs that git runs by itself: filters, pagers. An agent
without a sandbox, or a process that it has left behind, can write both at any moment, also between a check and
the git command that the check is for. So each git command that could run such a program gets a git directory that is
made for this one call and removed after it:

- We write its configuration: the format, settings about files, and nothing that names a program.
- `info/attributes` is the user's, as it was when this process started; `.gitattributes` come from a commit.
- Objects are the repository's, by GIT_OBJECT_DIRECTORY. The index is the one that the caller names, HEAD a commit.

These commands are `hash-object --path`, `cat-file --filters` and `check-attr` (outputs, and files that follow),
`read-tree -u` (worktrees), `status`, `update-index` (git compares files when it writes an index), and `diff` in a pager.
All others read objects and refs, or write them unchanged. Of the programs that git could start for those, hooks are
turned off for every git process of ours, and the signing one is fixed (`signing.py`).

An agent without a sandbox has the rights of the user, so it can also find this directory and write into it during the
milliseconds in which it exists. No folder and no mode of a file prevents that. Therefore a git that converts cannot start
a process at all, where the kernel can enforce it (`childless.py`). Converting by code of our own would need no git, but
it would read the bytes of outputs (rule O1), and repeat git's rules for line ends, `ident` and encodings.

A directory for each call costs 0.2 ms of processor time. One for a whole run would cost nothing, and could be found for hours.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitbatch.fs.durable import sync_file
from gitbatch.repo.config_file import format_settings, render_config
from gitbatch.repo.process import Git
from gitbatch.repo.refs.lock_files import TEMPORARY
from gitbatch.repo.repository import Repository

_SHARED = "sharedindex.*"
_OURS = (("core.bare", "false"),)


@contextmanager
def private_git(
    repo: Repository, work_tree: Path | None = None, *, head: str = "", index: Path | None = None
) -> Iterator[Git]:
    """Yields a git in a private git directory. It cannot start a process.

    Args:
        repo: the repository whose objects it reads and writes.
        work_tree: the folder of its files; None: a new empty folder (`Git.directory`).
        head: the commit that HEAD is; empty: a branch that does not exist.
        index: the index that it uses.
    """
    repo.own_dir.mkdir(exist_ok=True)
    repo.objects.writer.flush()  # this git reads the objects
    # If an agent writes into it, its removal may fail; the next start removes it.
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=repo.own_dir, ignore_cleanup_errors=True) as made:
        top = Path(made)
        _write_git_dir(top / "git", repo, head)
        files = work_tree or top / "files"
        files.mkdir(exist_ok=True)
        git = repo.git.with_config({"core.attributesFile": os.devnull})
        with _link_index_files(index, top / "git"):
            yield git.in_directory(
                files, **_git_variables(repo, top / "git", files, index)
            ).without_children()


def _write_git_dir(folder: Path, repo: Repository, head: str) -> None:
    for made in (folder, folder / "refs", folder / "info"):
        made.mkdir()
    files = {
        "HEAD": f"{head or 'ref: refs/heads/none'}\n".encode(),
        "config": render_config((*repo.files_config.items(), *_OURS, *format_settings(repo.id_bytes))),
        "info/attributes": repo.attributes,
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)


@contextmanager
def _link_index_files(index: Path | None, folder: Path) -> Iterator[None]:
    """Links the files that belong to an index and that git expects next to HEAD.

    These are the shared half of a split index, which git also writes there, and the patterns of a sparse index.
    """
    if index is None:
        yield
        return
    for shared in index.parent.glob(_SHARED):
        (folder / shared.name).symlink_to(shared)
    patterns = Path("info", "sparse-checkout")
    (folder / patterns).symlink_to(index.parent / patterns)
    yield
    for shared in folder.glob(_SHARED):
        if not shared.is_symlink():
            sync_file(shared)
            shared.rename(index.parent / shared.name)


def _git_variables(repo: Repository, folder: Path, files: Path, index: Path | None) -> dict[str, str]:
    return {
        "GIT_DIR": str(folder),
        "GIT_WORK_TREE": str(files),
        "GIT_OBJECT_DIRECTORY": str(repo.objects.folder),
        "GIT_ATTR_NOSYSTEM": "1",
        **({"GIT_INDEX_FILE": str(index)} if index else {}),
    }


def read_diff(repo: Repository, before: str, after: str, *paths: str) -> bytes:
    """Returns the changes between two commits as a patch without colours; no program of the user's or of the repository runs.

    Without paths: all changes.
    """
    with private_git(repo, repo.root) as private:
        options = ("--stat", "--patch", "--no-color", "--no-ext-diff", "--no-textconv")
        return private.run("diff", *options, before, after, "--", *paths).stdout
