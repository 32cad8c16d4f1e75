"""The run: schedule, attempt, harvest, merge, checkpoint, resume, events, the loop."""
