"""Finds missing objects by a walk, in which git asks no remote for them."""

from gitbatch.repo.process import Git

_WALK = ("rev-list", "--objects", "--no-walk", "--missing=print")


def missing_by_walk(git: Git, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Returns those objects that a walk which starts at them does not find.

    In a partial clone, `cat-file` ends at the first one that is missing, as it may not fetch it.
    """
    lines = "".join(f"{oid}\n" for oid in wanted).encode()
    listed = git.run(*_WALK, "--ignore-missing", "--stdin", input=lines).stdout.decode(errors="replace")
    there = {line.partition(" ")[0] for line in listed.split("\n")}
    return tuple(oid for oid in wanted if oid not in there)


def missing_of(git: Git, commit: str) -> tuple[str, ...]:
    """Returns the objects that a commit needs and that are missing; of a missing tree, not what is below it."""
    listed = git.run(*_WALK, commit).stdout.decode(errors="replace").split("\n")
    return tuple(line[1:] for line in listed if line.startswith("?"))
