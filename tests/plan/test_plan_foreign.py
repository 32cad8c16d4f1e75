"""Words of other tools are found in every item that has one, in any case."""

import pytest
from plan.plan_samples import codes, in_group

from gitbatch.plan.foreign import _WORDS

ITEMS = [
    *(f"a\n  {word.upper()}: T1" for word in _WORDS),
    *(
        "a\n  - [ ] Depends: T1",
        "a. Depends: T1",
        "a; files: x",
        "a | Reads: x",
        "a \u2014 needs: T1",
        "a - Retry: 2",
    ),
    *("a **Depends:** T1", "a *Files*: x", "a \u2192 Input: x.md", "a (retry: 2)"),
    *("T1 a Depends: T2", "T1 File: x.md", "a Retry: 2", "a retry: 2", "a depends on: T1", "a needs: FR-1"),
    *("a [P]", "a (depends on T1)", "a (Blocked By T1)", "a (abhängig von T1)"),
]


@pytest.mark.parametrize("text", ITEMS)
def test_each_word_is_reported(text: str) -> None:
    """The quick search that comes first leaves none of them out."""
    assert codes(in_group(f"- [ ] {text}")) == ["GB304"]


@pytest.mark.parametrize(
    "text",
    [
        "Lies die Datei: x.md",
        "It needs: a lot",
        "Say which files: all",
        "`Depends: T1`",
        "a `[P]`",
        "a [P](x.md)",
        "a [x][P]",
        "input a",
        "a (needs it)",
    ],
)
def test_the_same_words_in_a_sentence_are_text(text: str) -> None:
    assert codes(in_group(f"- [ ] {text}")) == []
