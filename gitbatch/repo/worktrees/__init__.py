"""Linked worktrees, full and sparse."""
