"""Layers that worktrees share: the files of a base commit, made once and kept in the cache folder."""
