"""What an error says to a person."""

import pytest

from gitbatch.errors import GitError, find_reason


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


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (
            (
                "warning: x\nfatal: 'y' does not appear to be a git repository\nfatal: Could not read from remote "
                "repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.\n"
            ),
            "fatal: 'y' does not appear to be a git repository",
        ),
        ("error: a\nerror: b\n\n", "error: b"),
        ("\n", ""),
    ],
)
def test_the_reason_is_the_line_that_says_it(stderr: str, reason: str) -> None:
    assert find_reason(stderr) == reason
    assert GitError(("fetch",), 1, stderr).message.endswith(f": {reason or 'no message'}")
