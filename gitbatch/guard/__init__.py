"""The guard: which files have one writer, and the git hook that stops honest mistakes early. A fence, not the wall."""
