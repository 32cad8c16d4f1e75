"""Refs: their names, reading and moving them, and their lock files."""
