"""Decisions before anything starts: the project's state, the selection of items, their order, and checks."""
