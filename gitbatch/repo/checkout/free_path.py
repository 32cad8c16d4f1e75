"""Writes a file of git to the user's checkout, where nothing of the user's is lost by it."""

from gitbatch.repo.attributes import as_committed, read_rules
from gitbatch.repo.checkout.files import FileChange, update_files
from gitbatch.repo.checkout.follow import find_converted
from gitbatch.repo.repository import Repository


def write_to_free_path(repo: Repository, tree: str, path: str, blob: str) -> bool:
    """Writes a blob to a path of the checkout that is free, or whose file is the one of a tree.

    No link is followed. The index stays as it is.

    Args:
        repo: the repository.
        tree: what the checkout has committed; its attributes apply.
        path: a repository path.
        blob: the content.

    Returns:
        Whether the file has the content now; false: the path has something else, which stays.

    Raises:
        OSError: the disk fails.
    """
    entry = repo.objects.find_entry(tree, path)
    committed = entry.oid if entry and entry.is_file else None
    with as_committed(repo, read_rules(repo, tree, (path,))) as git:
        converted = path in find_converted(repo, git, (path,))
        changes = (FileChange(path, old, blob, converted) for old in dict.fromkeys((committed, None)))
        return any(not update_files(repo, [change], git) for change in changes)
