"""How far apart two words are: for "did you mean …" and for nothing else."""

from collections.abc import Iterable


def distance(left: str, right: str) -> int:
    """The edits between two words: insert, delete, replace a letter, swap two neighbours."""
    above, row = list[int](), list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        older, above, row = above, row, [i]
        for j, b in enumerate(right, 1):
            cost = min(row[j - 1] + 1, above[j] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and b == left[i - 2]:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]


def nearest(word: str, known: Iterable[str], limit: int) -> str | None:
    """The known word closest to `word`, if at most `limit` edits away. Compared without case."""
    folded = word.casefold()
    near = [(distance(folded, k.casefold()), k) for k in known if abs(len(k) - len(word)) <= limit]
    close = [(edits, k) for edits, k in near if edits <= limit]
    return min(close, key=lambda pair: pair[0])[1] if close else None
