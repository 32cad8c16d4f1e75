"""What a batch fixes of gitbatch.toml, and how a difference is shown."""

import pytest

from gitbatch.project.config import parse_config
from gitbatch.project.fixed import diff_lines, fixed_lines

WRITER = '[agents.writer]\nkind = "command"\ncommand = ["a", "b"]\n'


def lines(text: str) -> tuple[str, ...]:
    return fixed_lines(parse_config(text.encode()))


def test_it_is_what_names_programs_hosts_keys_and_paths_outside() -> None:
    text = f"""
        [batch]
        jobs = 2
        worktrees = "~/trees"
        {WRITER}
        pass-env = ["KEY"]
        [agents."a.b ü"]
        kind = "anthropic"
        base-url = "https://example.org"
        price = {{input = 1.5, output = 2}}
    """
    found = lines(text)
    assert set(found) >= {
        'agents."a.b \\u00fc".base-url = "https://example.org"',
        'agents."a.b \\u00fc".kind = "anthropic"',
        'agents."a.b \\u00fc".price.input = 1.5',
        'agents."a.b \\u00fc".price.output = 2.0',
        'agents.writer.command = ["a", "b"]',
        'agents.writer.kind = "command"',
        'agents.writer.pass-env = ["KEY"]',
        'batch.worktrees = "~/trees"',
    }
    assert list(found) == sorted(found)
    assert {line.partition(".")[0] for line in found} == {"agents", "batch"}
    assert [line for line in found if line.startswith("batch")] == ['batch.worktrees = "~/trees"']


@pytest.mark.parametrize(
    "same", [f"{WRITER}timeout = '30m'", f"# a note\n[batch]\njobs = 7\nretries = 0\n{WRITER}", f"\n{WRITER}"]
)
def test_defaults_notes_and_other_settings_are_no_difference(same: str) -> None:
    assert lines(same) == lines(WRITER)


def test_a_difference_has_both_values_of_a_key_together() -> None:
    after = WRITER.replace('"b"', '"\\u001b[2J\\u202e"') + "network = true\n"
    assert diff_lines(lines(WRITER), lines(after)) == (
        '- agents.writer.command = ["a", "b"]',
        '+ agents.writer.command = ["a", "\\u001b[2J\\u202e"]',
        "+ agents.writer.network = true",
    )
    assert diff_lines((), lines(WRITER)) == tuple(f"+ {line}" for line in lines(WRITER))
