"""Durations: one grammar for hints in plans and for gitbatch.toml."""

import pytest
from plan.plan_samples import codes, in_group

from gitbatch.errors import PlanError
from gitbatch.plan.duration import parse_duration, require_duration
from gitbatch.plan.model import Hints
from gitbatch.project.config import parse_config

GOOD = [
    ("90", 90.0),
    ("90s", 90.0),
    ("90 s", 90.0),
    ("1.5s", 1.5),
    ("30m", 1800.0),
    ("10min", 600.0),
    ("2 min", 120.0),
    ("2h", 7200.0),
    ("1h30m", 5400.0),
    ("1 h 30 m", 5400.0),
    ("1h 2m 3s", 3723.0),
    ("1h1", 3601.0),
    (" 5m ", 300.0),
]
BAD = [
    "",
    " ",
    "s",
    "m",
    "-1",
    "0",
    "0s",
    "1.5h",
    "m30",
    "1d",
    "1m1h",
    "5M",
    "٣",
    "9" * 5000 + "s",
    "5 apples",
]


def config(timeout: str) -> bytes:
    return f"[agents.a]\nkind = 'command'\ncommand = ['x']\ntimeout = '{timeout}'\n".encode()


@pytest.mark.parametrize(("text", "seconds"), GOOD)
def test_valid(text: str, seconds: float) -> None:
    assert require_duration(text) == seconds
    assert in_group(f"- [ ] a <!-- timeout: {text} -->").items[0].hints == Hints(timeout=seconds)
    assert parse_config(config(text)).agents["a"].timeout == text


@pytest.mark.parametrize("text", BAD)
def test_invalid(text: str) -> None:
    assert parse_duration(text) is None
    with pytest.raises(PlanError, match="invalid duration") as raised:
        require_duration(text)
    assert raised.value.advice == "write it like 90, 90s, 5m or 1h30m"
    assert codes(in_group(f"- [ ] a <!-- timeout: {text} -->")) == ["GB213"]
    with pytest.raises(PlanError, match="invalid duration"):
        parse_config(config(text))
