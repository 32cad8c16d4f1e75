"""Auditing a history without trust: the grammar of a valid history, and a module for each kind of commit."""
