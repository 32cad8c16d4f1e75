"""Confines the program of an agent with bubblewrap or Landlock, or not at all. The entry point is `selection.select_sandbox`."""
