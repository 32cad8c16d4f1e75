"""How many examples a property is tried with, and which."""

import os

from hypothesis import HealthCheck, settings

_IS_LONG = os.environ.get("GITBATCH_HYPOTHESIS") == "long"


def choose_examples() -> None:
    """Choose the same examples in each usual round, and no time limit: how busy the machine is shows nothing.

    A round with `GITBATCH_HYPOTHESIS=long` tries others each time.
    """
    settings.register_profile(
        "gitbatch",
        derandomize=not _IS_LONG,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("gitbatch")


def count_examples(usual: int) -> int:
    """Return how many a property usually gets, or ten times as many with `GITBATCH_HYPOTHESIS=long`."""
    return usual * 10 if _IS_LONG else usual
