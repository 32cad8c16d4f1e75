"""Words of other tools are found in every item that has one, in any case."""

import pytest
from plan.plan_samples import codes, in_group

from gitbatch.plan.foreign import _WORDS

ITEMS = [
    *(f"a\n  {word.upper()}: T1" for word in _WORDS),
    *("a [P]", "a (depends on T1)", "a (Blocked By T1)", "a (abhängig von T1)"),
]


@pytest.mark.parametrize("text", ITEMS)
def test_each_word_is_reported(text: str) -> None:
    """The quick search that comes first leaves none of them out."""
    assert codes(in_group(f"- [ ] {text}")) == ["GB304"]
