"""The review screen as values: its state, what each key does, and what is drawn at a size."""
