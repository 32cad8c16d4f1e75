"""What is decided before anything starts: the project's state, selection, order, and checks."""
