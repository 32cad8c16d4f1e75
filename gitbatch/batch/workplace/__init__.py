"""Where an item is worked on: the seam between the orchestrator and the machine that an agent runs on."""
