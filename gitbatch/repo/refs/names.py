"""The names of the refs that gitbatch writes. No other module spells one."""

from gitbatch.patterns import compile_later

BATCHES = "refs/gitbatch/"
HEADS = "refs/heads/"
_NUMBERED = compile_later(r"(.+)-([1-9][0-9]{0,5})")


def base_ref(batch: str) -> str:
    """Returns the ref of the commit that a batch began at; it pins the objects, and an undo goes back to it."""
    return f"{BATCHES}{batch}/base"


def record_ref(batch: str) -> str:
    """Returns the ref of a batch's record (a blob). The batch exists if and only if this ref does."""
    return f"{BATCHES}{batch}/record"


def end_ref(batch: str) -> str:
    """Returns the ref of the last checkpoint of a batch that has ended. A batch without it is unfinished."""
    return f"{BATCHES}{batch}/end"


def followed_ref(batch: str) -> str:
    """Returns the ref of the last checkpoint that the user's checkout has followed, or did not have to."""
    return f"{BATCHES}{batch}/followed"


def building_ref(batch: str) -> str:
    """Returns the ref of the checkpoint that is being built; it keeps the objects until the branch has them."""
    return f"{BATCHES}{batch}/building"


def ledger_refs(batch: str) -> str:
    """Returns the prefix of the refs that have the failed attempts at items (a blob each)."""
    return f"{BATCHES}{batch}/ledger/"


def gates_ref(batch: str) -> str:
    """Returns the ref of the results of the gates of a batch (a blob)."""
    return f"{BATCHES}{batch}/gates"


def unchecked_ref(batch: str, slug: str) -> str:
    """Returns the ref of an item's output that is harvested and not checked yet (a tree, see `unchecked.py`)."""
    return f"{unchecked_refs(batch)}{slug}"


def unchecked_refs(batch: str) -> str:
    """Returns the prefix of the refs of outputs that are not checked yet."""
    return f"{BATCHES}{batch}/unchecked/"


def limits_ref(batch: str) -> str:
    """Returns the ref of a batch's spending limits (a blob), if the user gave some on the command line."""
    return f"{BATCHES}{batch}/limits"


def rescue_ref(batch: str, name: str) -> str:
    """Returns the ref for a commit that would be lost with the branch or ref `name`, such as an unmerged item's.

    Never a name of `rescued_output_ref`: slugs have no dot.
    """
    return f"{rescue_refs(batch)}{name}{'.commit' if _NUMBERED.fullmatch(name) else ''}"


def rescued_output_ref(batch: str, slug: str, attempt: int) -> str:
    """Returns the ref of the output of a failed attempt: a commit that is not an item's."""
    return f"{rescue_refs(batch)}{slug}-{attempt}"


def rescue_refs(batch: str) -> str:
    """Returns the prefix of all rescue refs of a batch."""
    return f"{BATCHES}{batch}/rescue/"


def item_branch(batch: str, slug: str) -> str:
    """Returns the branch of an item: at the group's base until it has its one commit. `slug` has the group's number."""
    return f"{HEADS}gitbatch/{batch}/{slug}"


def item_branches(batch: str) -> str:
    """Returns the prefix of all item branches of a batch."""
    return f"{HEADS}gitbatch/{batch}/"


def short(ref: str) -> str:
    """Returns a branch's name without `refs/heads/`."""
    return ref.removeprefix(HEADS)
