"""task.md text → Plan, diagnostics, one-byte ticks. Pure: no disk, no git, no clock."""
