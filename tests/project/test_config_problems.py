"""Every problem of gitbatch.toml is found at once, at its line and column, with what was probably meant."""

import json

import pytest
from msgspec.structs import fields

from gitbatch.errors import PlanError
from gitbatch.plan.help_texts import Language
from gitbatch.plan.model import Severity
from gitbatch.project.agent_kinds import find_kind
from gitbatch.project.config import parse_config, read_config
from gitbatch.project.config_diagnostics import find_config_diagnostics, find_key_diagnostics
from gitbatch.project.key_values import looks_like_key

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


def test_variables_and_exit_codes_are_checked() -> None:
    data = b"""[agents.a]
kind = "command"
command = ["x"]
env = {"A-B" = "x", GITBATCH_ITEM = "x", NUL = "\\u0000", GOOD_1 = "x"}
exit-codes = {0 = "busy", 256 = "fatal", x = "fatal", 41 = "fatal"}
"""
    assert [found.partition(" - at")[0] for found in problems_of(data)] == [
        "4:7 'A-B' is not the name of a variable",
        "4:7 GITBATCH_ITEM is set by gitbatch",
        "4:7 the value of NUL holds a NUL character",
        "5:14 '0' is not an exit code of a failure (1 to 255)",
        "5:14 '256' is not an exit code of a failure (1 to 255)",
        "5:14 'x' is not an exit code of a failure (1 to 255)",
    ]
    unknown = " ".join(problems_of(data.replace(b'41 = "fatal"', b'41 = "x"')))
    assert "use one of: busy, context, declined, failed, fatal" in unknown


@pytest.mark.parametrize(
    ("value", "is_key"),
    [
        ("sk-ant-api03-abcdefgh_ijkl-mnop", True),
        ("Bearer ghp_abcdefghijklmnop", True),
        ("AKIAIOSFODNN7EXAMPLE1", True),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x", True),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", True),
        ("http://me:secret@proxy.example", True),
        ("a1b2c3d4e5f6a7b8c9d0e1f2", True),
        ("claude-sonnet-4-5-20250929", False),
        ("https://example.org:8080/v1/messages", False),
        ("{scratch}/codex", False),
        ("/usr/share/ca-certificates/mozilla/GlobalSign_Root_CA.crt", False),
        ("aVeryLongNameWithoutAnyDigitInIt", False),
        ("123456789012345678901234567890", False),
    ],
)
def test_values_that_look_like_keys(value: str, *, is_key: bool) -> None:
    assert looks_like_key(value) == is_key


@pytest.mark.parametrize("kind", ["command", "claude-code", "anthropic", "acp"])
def test_keys_of_every_setting(kind: str) -> None:
    key = "sk-ant-api03-abcdefghijklmnop"
    found = find_kind(kind)
    assert found
    known = {field.encode_name for field in fields(found.table)}
    settings = {
        "base-url": f"https://me:{key}@host",
        "model": key,
        "command": ["x", key],
        "pass-env": [key],
        "public-env": ["A", key],
        "api-key-env": key if kind == "anthropic" else ["A", key],
    }
    wanted = settings.keys() & known
    lines = [f"{name} = {json.dumps(settings[name])}" for name in wanted]
    paths = 'needs = ["/nix/store/a1b2c3d4e5f6a7b8c9d0e1f2-node"]\n' if "needs" in known else ""
    text = "\n".join(["[agents.a]", f'kind = "{kind}"', paths, *lines])
    reading = read_config(text.encode())
    assert reading.problems == ()
    assert set(reading.config.find_keys()) == {("agents", "a", name) for name in wanted}
    assert wanted


def test_a_key_in_the_configuration_is_a_warning_that_does_not_show_it() -> None:
    key = "sk-ant-api03-abcdefghijklmnop"
    text = f"""[agents.a]
kind = "command"
command = ["x", "--key={key}"]
env.MODE = "fast"
env.KEY = "{key}"
[agents.b]
kind = "anthropic"
"""
    found = find_key_diagnostics(text.encode(), read_config(text.encode()).config.find_keys())
    assert [(each.code, each.severity, each.line, each.column) for each in found] == [
        ("GB417", Severity.WARNING, 3, 11),
        ("GB417", Severity.WARNING, 5, 11),
    ]
    assert found[1].message == "the value of agents.a.env.KEY looks like a key"
    assert not any(key in f"{each.message}{each.help}" for each in found)


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
