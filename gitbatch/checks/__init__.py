"""Checks and gates: what must pass on one output, and on a merged group, before it counts as done (rule F6)."""
