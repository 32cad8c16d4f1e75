"""Notifications outside the terminal that a run waits or has ended: by a command, or by a web hook."""
