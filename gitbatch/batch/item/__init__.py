"""One item to its end: attempt, harvest, item commit, retries."""
