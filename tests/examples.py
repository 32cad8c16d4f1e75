"""How many examples a property is tried with."""

import os


def count_examples(usual: int) -> int:
    """Return how many a property usually gets, or ten times as many with `GITBATCH_HYPOTHESIS=long`."""
    return usual * 10 if os.environ.get("GITBATCH_HYPOTHESIS") == "long" else usual
