"""The files of worktrees besides those of a commit: layers of included files, and of what commands prepared."""
