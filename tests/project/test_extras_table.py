"""The settings about what worktrees have besides a commit's files."""

import pytest

from gitbatch.errors import PlanError
from gitbatch.project.config import parse_config
from gitbatch.project.fixed import fixed_lines


def test_commands() -> None:
    def commands(text: str) -> tuple[tuple[str, ...], ...]:
        return parse_config(f"[batch]\nprepare = {text}".encode()).batch.prepare_commands

    assert commands("[]") == ()
    assert commands('["npm", "ci"]') == (("npm", "ci"),)
    assert commands('[["npm", "ci"], ["make"]]') == (("npm", "ci"), ("make",))


def test_named_paths() -> None:
    batch = parse_config(b'[batch]\ninclude = ["/.env.test", "config/.env/", "*.pem", ".env*"]').batch
    assert batch.included_paths == {".env.test", "config/.env"}


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ('prepare = ["npm", ["ci"]]', "several as a list of such lists"),
        ("prepare = [[]]", "a command is empty"),
        ('prepare = [""]', "a command is empty"),
        ('prepare = ["a\\u0000b"]', "NUL"),
        ('include = [" "]', "' ' is not a pattern of ignored paths"),
        ('include = ["a\\nb"]', "is not a pattern of ignored paths"),
        ('prepare-on = ["a/"]', "is not a pattern of files"),
        ('prepare-timeout = "soon"', "invalid duration"),
        ("include-max = 0", ">= 1"),
    ],
)
def test_problems(setting: str, problem: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse_config(f"[batch]\n{setting}\n".encode())
    assert problem in f"{caught.value.message} {caught.value.details}"


def test_they_are_fixed_when_a_batch_starts() -> None:
    """An agent cannot make the next group run a command, or show its agents a secret."""
    text = (
        b'[batch]\ninclude = [".env"]\nprepare = ["make"]\nprepare-network = true\nprepare-sandbox = "none"\n'
    )
    assert set(fixed_lines(parse_config(text))) == {
        'batch.include = [".env"]',
        'batch.prepare = ["make"]',
        "batch.prepare-network = true",
        'batch.prepare-sandbox = "none"',
    }
    assert fixed_lines(parse_config(b"[batch]\ninclude = []\nprepare-network = false\n")) == ()
