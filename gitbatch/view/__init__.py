"""The output of a run, a plan or a batch: for people and for programs."""
