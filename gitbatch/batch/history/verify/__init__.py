"""Auditing a history without trust: the grammar of a valid history, and one module for each kind of commit."""
