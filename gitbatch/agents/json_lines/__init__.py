"""The events that agents print as lines of JSON, read as they come: one table for each program."""
