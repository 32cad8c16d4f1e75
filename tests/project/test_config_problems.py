"""Every problem of gitbatch.toml is found at once, at its line and column, with what was probably meant."""

import pytest

from gitbatch.errors import PlanError
from gitbatch.plan.help_texts import Language
from gitbatch.project.config import parse_config, read_config
from gitbatch.project.config_diagnostics import find_config_diagnostics

MANY = b"""\
[batch]
jobs = "4"
max_cost = 2
checkout = "ful"
output = "out/x.md"

[project]
shared = ["a.md", 1, "task.md", 2]

[agents.writer]
kind = "comand"

[agents.other]
kind = "command"
timeout = "soon"
sandbx = "none"

[agents.model]
kind = "anthropic"
price = { input = "a", outpt = 1 }

[agents.third]
kind = "command"
command = ["x"]
timeout = "soon"
"""

FOUND = [
    "2:8 Expected `int`, got `str` - at `$.batch.jobs` | ",
    "3:1 Object contains unknown field `max_cost` - at `$.batch` | did you mean “max-cost”? ",
    "4:12 Invalid enum value 'ful' - at `$.batch.checkout` | did you mean “full”? use one of: full, context",
    "5:10 invalid output template 'out/x.md': it names the same file for every item - at `$.batch.output` | ",
    "8:19 Expected `str`, got `int` - at `$.project.shared[1]` | ",
    "8:33 Expected `str`, got `int` - at `$.project.shared[3]` | ",
    "11:8 invalid kind 'comand' - at `$.agents.writer.kind` | did you mean “command”? use one of the kinds",
    "13:9 Object missing required field `command` - at `$.agents.other` | ",
    "16:1 Object contains unknown field `sandbx` - at `$.agents.other` | did you mean “sandbox”? ",
    "20:9 Object missing required field `output` - at `$.agents.model.price` | ",
    "20:19 Expected `float`, got `str` - at `$.agents.model.price.input` | ",
    "20:24 Object contains unknown field `outpt` - at `$.agents.model.price` | did you mean “output”? ",
    "25:11 invalid duration 'soon' (write it like 90, 90s, 5m or 1h30m) - at `$.agents.third.timeout` | ",
]


def problems_of(data: bytes) -> list[str]:
    """Line, column, message and help of each diagnostic."""
    found = find_config_diagnostics(data, read_config(data).problems)
    return [f"{each.line}:{each.column} {each.message} | {each.help}" for each in found]


@pytest.mark.parametrize(
    "change", [lambda data: data, lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n")]
)
def test_all_problems_are_found(change: object) -> None:
    assert callable(change)
    found = problems_of(change(MANY))
    assert len(found) == len(FOUND)
    for said, expected in zip(found, FOUND, strict=True):
        assert said.startswith(expected)


def test_what_is_valid_counts() -> None:
    config = read_config(MANY).config
    assert (config.batch.jobs, sorted(config.agents)) == (4, ["model", "third"])
    assert read_config(b"batch = 1").config == read_config(None).config


@pytest.mark.parametrize(
    ("data", "table"),
    [
        (b"jobs = 4", "“jobs” below [batch]?"),
        (
            b"[agents.a]\nkind = 'command'\ncommand = ['x']\nretry_pause = '1s'",
            "“retry-pause” below [batch]?",
        ),
        (b"[batch]\nsandbox = 'none'", "“sandbox” below [agents.NAME]?"),
        (b"[batch]\nshared = []", "“shared” below [project]?"),
    ],
)
def test_a_setting_of_another_table(data: bytes, table: str) -> None:
    (said,) = problems_of(data)
    assert f"did you mean {table}" in said


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (b"[batch]\njobs == 1\n", "2:7 gitbatch.toml is not valid TOML"),
        (b"a = 1\n[batch", "2:7 gitbatch.toml is not valid TOML"),
        (b"a = 1\nb = caf\xe9", "2:8 gitbatch.toml is not UTF-8"),
        (b"a = " + b"[" * 5000, "1:1 gitbatch.toml is not valid TOML"),
        (b"[agents.a]\nkind = 3", "2:8 invalid kind 3"),
        (
            b"[project]\nshared = ['a.md', 'task.md']",
            "2:19 'task.md' is a control file - at `$.project.shared`",
        ),
        (b"agents = 3", "1:10 Expected `object`, got `int`"),
        (b"[agents]\na = 3", "2:5 Expected `object`, got `int`"),
        (b"[agents.a]", "1:9 missing `kind`"),
        (b"[titles]\nwork = 1\n[project]\nshared = []\ncondensed = [[]]", "2:8 Expected `array`"),
    ],
)
def test_the_place_of_a_problem(data: bytes, place: str) -> None:
    assert problems_of(data)[0].startswith(place)


def test_a_run_shows_all_of_them() -> None:
    with pytest.raises(PlanError) as raised:
        parse_config(MANY)
    assert raised.value.message == "cannot use gitbatch.toml: 13 errors"
    assert raised.value.details.count("GB411 error") == len(FOUND)
    assert '4 | checkout = "ful"\n  |            ^^^^^' in raised.value.details


def test_help_is_in_the_language_of_the_plan() -> None:
    found = find_config_diagnostics(MANY, read_config(MANY).problems, Language.DE)
    assert found[1].help == "ist „max-cost“ gemeint? alle Einstellungen: gitbatch help configuration"
    english = find_config_diagnostics(MANY, read_config(MANY).problems)
    assert not {each.help for each in found} & {each.help for each in english}
