"""Taking versions back: only what items left there is put back, in any order of the items."""

import pytest

from gitbatch.batch.history.put_back import BroughtVersion, Unwound, unwind_versions
from gitbatch.repo.objects.codec import REGULAR, TreeEntry


def entry(blob: str, mode: str = REGULAR) -> TreeEntry:
    return TreeEntry(mode, "a.md", blob)


A, B, C = entry("a"), entry("b"), entry("c")
FIRST, SECOND = BroughtVersion(None, A), BroughtVersion(A, B)


@pytest.mark.parametrize(
    ("now", "items", "expected"),
    [
        (A, [(FIRST,)], Unwound(None)),
        (B, [(FIRST, SECOND)], Unwound(None)),
        (B, [(SECOND,)], Unwound(A)),
        (B, [(FIRST,), (SECOND,)], Unwound(None)),
        (B, [(SECOND,), (FIRST,)], Unwound(None)),
        (B, [(FIRST,)], None),
        (None, [(FIRST,)], None),
        (entry("a", "100755"), [(FIRST,)], None),
        (C, [(FIRST, BroughtVersion(B, C))], None),
        (C, [(FIRST, BroughtVersion(B, C)), (SECOND,)], None),
        (A, [()], None),
    ],
)
def test_a_path_is_put_back_over_its_own_versions_alone(
    now: TreeEntry | None, items: list[tuple[BroughtVersion, ...]], expected: Unwound | None
) -> None:
    """Not over the user's, at the end or in between; two items with the same path come off in turn."""
    assert unwind_versions(now, items) == expected
