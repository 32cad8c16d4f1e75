"""Confining the program of an agent: bubblewrap, Landlock, or none. Start with `find.find_sandbox`."""
