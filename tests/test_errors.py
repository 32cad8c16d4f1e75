"""What an error says to a person."""

import pytest

from gitbatch.errors import GitError


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (("read-tree", "--reset"), "read-tree"),
        (("-c", "core.sparseCheckout=false", "read-tree", "HEAD"), "read-tree"),
        (("--paginate", "diff"), "diff"),
        (("--version",), "--version"),
        ((), ""),
        (("-c",), "-c"),
    ],
)
def test_a_failed_git_command_is_named_by_its_subcommand(argv: tuple[str, ...], name: str) -> None:
    assert GitError(argv, 128, "fatal: no\n").message == f"git {name} failed (128): fatal: no"
