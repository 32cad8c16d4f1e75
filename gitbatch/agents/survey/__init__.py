"""The agents of this machine: known programs that are installed, and the configured agents with their state."""
