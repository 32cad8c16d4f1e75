"""The guard: the list of the shared files, and the pre-commit hook that rejects commits of any other file in a worktree.

The hook is advice for agents that make mistakes. What protects history is the harvest (`batch/item/harvest.py`).
"""
