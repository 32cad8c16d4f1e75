"""The report of a batch, made from git alone: what ran, when, at what cost, and what was decided about it."""
