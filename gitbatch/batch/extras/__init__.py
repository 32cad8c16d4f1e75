"""What worktrees have besides the files of a commit: layers of included files, and of what commands prepared."""
