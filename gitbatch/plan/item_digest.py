"""A digest of what a plan says to the agent of an item: another digest, another assignment."""

import hashlib

from gitbatch.plan.model import Group, WorkItem


def digest_plan_item(item: WorkItem, group: Group) -> str:
    """Returns the SHA-256 of what the plan says to an item's agent: its text, its output and the text of its group."""
    said = f"{item.text}\0{item.output}\0{group.prose}"
    return hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()
