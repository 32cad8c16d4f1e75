"""Reviews: what a person may decide about the items of a batch, and recording it."""
