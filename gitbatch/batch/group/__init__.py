"""One group to its checkpoint: running its items, merging, shared files, following the checkout."""
