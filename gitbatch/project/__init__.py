"""A user's repository by its conventions: configuration, active scope, phase, control files, context."""
