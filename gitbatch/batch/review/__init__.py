"""Reviews: the pauses of a run, what a person may decide about its items, and recording that."""
