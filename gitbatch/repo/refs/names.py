"""The names of the refs that gitbatch writes."""

import re

BATCHES = "refs/gitbatch/"


HEADS = "refs/heads/"


_NUMBERED = re.compile(r"(.+)-([1-9][0-9]{0,5})")


def base_ref(batch: str) -> str:
    """Where a batch began; it pins the objects and is where an undo goes."""
    return f"{BATCHES}{batch}/base"


def record_ref(batch: str) -> str:
    """What a batch was started with (a blob). The batch exists if and only if this ref does."""
    return f"{BATCHES}{batch}/record"


def end_ref(batch: str) -> str:
    """The last checkpoint of a batch that is over. A batch without it is unfinished."""
    return f"{BATCHES}{batch}/end"


def followed_ref(batch: str) -> str:
    """The last checkpoint that the user's checkout has followed, or had no need to."""
    return f"{BATCHES}{batch}/followed"


def building_ref(batch: str) -> str:
    """The checkpoint that is being built: it keeps its objects from being pruned until the branch has them."""
    return f"{BATCHES}{batch}/building"


def ledger_refs(batch: str) -> str:
    """What the names of the refs start with that have the failed attempts at items (a blob each)."""
    return f"{BATCHES}{batch}/ledger/"


def limits_ref(batch: str) -> str:
    """What a batch may spend (a blob), where the user said so on the command line."""
    return f"{BATCHES}{batch}/limits"


def rescue_ref(batch: str, name: str) -> str:
    """A commit that would be lost with the branch or ref `name`, such as an item's that was not merged.

    Never a name of `rescued_output_ref`: slugs have no dot.
    """
    return f"{rescue_refs(batch)}{name}{'.commit' if _NUMBERED.fullmatch(name) else ''}"


def rescued_output_ref(batch: str, slug: str, attempt: int) -> str:
    """What a failed attempt at an item had written: a commit that is not an item's."""
    return f"{rescue_refs(batch)}{slug}-{attempt}"


def rescue_refs(batch: str) -> str:
    """What the names of all rescue refs of a batch start with."""
    return f"{BATCHES}{batch}/rescue/"


def item_branch(batch: str, slug: str) -> str:
    """The branch of an item: at the group's base until its one commit is there. `slug` has the group's number."""
    return f"{HEADS}gitbatch/{batch}/{slug}"


def item_branches(batch: str) -> str:
    """What the names of all item branches of a batch start with."""
    return f"{HEADS}gitbatch/{batch}/"


def short(ref: str) -> str:
    """A branch's name as people write it."""
    return ref.removeprefix(HEADS)
