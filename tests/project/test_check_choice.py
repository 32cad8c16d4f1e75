"""The checks that an item gets and the gates of a group, and the tables that define them."""

import pytest
from plan.plan_samples import parse

from gitbatch.project.check_choice import group_gates, item_checks, item_reviewers
from gitbatch.project.config import parse_config, read_config
from gitbatch.project.fixed import fixed_lines
from gitbatch.project.path_patterns import compile_pattern, pattern_problem

CONFIG = b"""\
[checks.links]
command = ["lychee", "{output}"]
on = ["docs/**/*.md"]

[checks.style]
agent = "reviewer"
prompt = "Is it short?"
on = ["*.md", "!x"]

[agents.reviewer]
kind = "command"
command = ["review"]

[checks.spelling]
command = ["aspell"]

[gates.tests]
command = ["pytest"]

[gates.docs]
command = ["mkdocs"]
groups = ["Docs*", "3"]
"""


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("docs/**/*.md", "docs/a.md", True),
        ("docs/**/*.md", "docs/a/b/c.md", True),
        ("docs/**/*.md", "docs.md", False),
        ("docs/*.md", "docs/a/b.md", False),
        ("docs/**", "docs/a/b", True),
        ("*.md", "a/b.md", True),
        ("*.md", "b.MD", False),
        ("/b.md", "a/b.md", False),
        ("**/b?.md", "b1.md", True),
        ("a[!b]c.md", "abc.md", False),
        ("a[!b]c.md", "a/c.md", False),
        ("a[xb]c.md", "abc.md", True),
        ("a.b", "axb", False),
    ],
)
def test_patterns_of_paths(pattern: str, path: str, matches: bool) -> None:  # noqa: FBT001 - a column of the table
    assert pattern_problem(pattern) is None
    assert bool(compile_pattern(pattern).fullmatch(path)) == matches


@pytest.mark.parametrize("pattern", ["", "/", "docs/", "[z-a]"])
def test_patterns_that_match_no_file(pattern: str) -> None:
    assert pattern_problem(pattern) == f"{pattern!r} is not a pattern of files"


def test_the_nearest_place_that_names_checks_decides() -> None:
    plan = parse(
        "## Work Packages\n<!-- gate: tests -->\n### One\n"
        "- [ ] a → Output: docs/a.md\n- [ ] b → Output: b.md → Check: spelling, links\n"
        "- [ ] c → Output: docs/c.md <!-- check: none -->\n- [ ] d → Output: d.py\n"
        "### Two\n<!-- check: spelling -->\n<!-- gate: none -->\n"
        "- [ ] e → Output: docs/e.md\n- [ ] f → Output: docs/f.md → Check: linkz\n"
    )
    config = parse_config(CONFIG)
    found = [item_checks(config, plan, group, item) for group in plan.groups for item in group.items]
    assert found == [("links", "style"), ("links", "spelling"), (), (), ("spelling",), ("linkz",)]
    assert [group_gates(config, plan, group) for group in plan.groups] == [("tests",), ()]


def test_gates_by_the_title_the_slug_or_the_number_of_a_group() -> None:
    plan = parse("## Work Packages\n### Docs pages\n- [ ] a\n### Code\n- [ ] b\n### Rest\n- [ ] c\n")
    config = parse_config(CONFIG)
    found = [group_gates(config, plan, group) for group in plan.groups]
    assert found == [("tests", "docs"), ("tests",), ("tests", "docs")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[checks.a]\n", "missing `command` or `agent` - at `$.checks.a.command`"),
        (
            '[checks.a]\ncommand = ["x"]\nagent = "y"\nprompt = "z"\n',
            "a check has a command or an agent, not both",
        ),
        ('[checks.a]\nagent = "y"\n', "missing `prompt`: what the agent is asked"),
        ('[checks.a]\ncommand = ["x"]\nprompt = "z"\n', "a prompt is for an agent, and `agent` is missing"),
        ('[checks.a]\nagent = "y"\nprompt = "z"\nneeds = ["/x"]\n', "is for a command"),
        ('[checks.a]\ncommand = ["x"]\non = ["[z-a]"]\n', "'[z-a]' is not a pattern of files"),
        ('[checks.a]\ncommand = ["x"]\nneeds = ["x"]\n', "'x' is neither an absolute path"),
        ('[checks.a]\ncommand = ["x"]\nenv = { "a b" = "c" }\n', "'a b' is not the name of a variable"),
        ('[checks.a]\ncommand = ["x"]\ntimeout = "soon"\n', "invalid duration 'soon'"),
        ('[checks.a]\ncommand = ["x"]\ntimout = "1m"\n', "Object contains unknown field `timout`"),
        ('[checks.none]\ncommand = ["x"]\n', "invalid name 'none' (letters"),
        ('[checks."a b"]\ncommand = ["x"]\n', "invalid name 'a b'"),
        ("[checks]\na = 1\n", "Expected `object`, got `int` - at `$.checks.a`"),
        ("[gates.a]\n", "Object missing required field `command` - at `$.gates.a`"),
        ("[gates.a]\ncommand = []\n", "Expected `array` of length >= 1"),
        ('[gates.a]\ncommand = ["x"]\nretries-of-gate = 99\n', "Expected `int` <= 10"),
        ("checks = 1\n", "Expected `object`, got `int` - at `$.checks`"),
    ],
)
def test_every_problem_of_a_check_has_its_place(text: str, problem: str) -> None:
    agent = '[agents.y]\nkind = "command"\ncommand = ["x"]\n'
    (found,) = read_config(f"{text}{agent}".encode()).problems
    assert problem in found.text


def test_what_checks_and_gates_run_is_fixed_when_a_batch_starts() -> None:
    lines = fixed_lines(parse_config(CONFIG))
    assert 'checks.links.command = ["lychee", "{output}"]' in lines
    assert 'gates.tests.command = ["pytest"]' in lines


def test_a_key_in_a_check_is_seen() -> None:
    text = b'[gates.a]\ncommand = ["x", "sk-abcdefghijklmnop1234"]\nenv = { T = "ghp_abcdefghijklm" }\n'
    assert list(parse_config(text).find_keys()) == [("gates", "a", "command"), ("gates", "a", "env", "T")]


def test_the_agents_that_review_an_item() -> None:
    config = parse_config(CONFIG)
    plan = parse(
        """
# P

## Work Packages

### G

- [ ] A → Output: a.md
- [ ] B → Output: b.txt
- [ ] C → Output: c.md → Check: spelling
"""
    )
    (group,) = plan.groups
    found = [item_reviewers(config, plan, group, item) for item in group.items]
    assert found == [{"reviewer"}, frozenset(), frozenset()]


def test_a_check_by_an_agent_that_is_not_configured() -> None:
    source = CONFIG.replace(b"[agents.reviewer]", b"[agents.reviewers]")
    (problem,) = read_config(source).problems
    assert problem.text == "unknown agent 'reviewer' - at `$.checks.style.agent`"
    assert problem.advice.english == "did you mean “reviewers”? use one of: reviewers"
    broken = CONFIG.replace(b'kind = "command"', b'kind = "comand"')
    (problem,) = read_config(broken).problems
    assert problem.path == ("agents", "reviewer", "kind"), "it is configured, and has another problem"
