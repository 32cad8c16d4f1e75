"""Checks that a person runs: on files of the checkout or of a commit, and again on what a history records."""
