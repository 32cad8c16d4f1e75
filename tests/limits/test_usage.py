"""Usages: what is left of a sum."""

from gitbatch.limits.usage import Usage
from gitbatch.text import clean_text


def test_a_sum_without_a_part() -> None:
    first = Usage(clean_text("m"), input=5, output=2, cache_read=3, cache_write=1, requests=2, cost=0.25)
    last = Usage(clean_text("m"), input=7, output=1, requests=1, cost=0.5)
    assert (first + last).without(first) == last
    assert (first + last).without(Usage()) == first + last
    assert last.without(first).input == 2
    assert last.without(first + last) == Usage(clean_text("m"), cost=0.0)
    assert Usage(requests=1).without(last).cost is None
