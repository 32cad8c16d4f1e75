"""Trying an agent: one tiny item in a repository of its own, through the same session as any run."""
