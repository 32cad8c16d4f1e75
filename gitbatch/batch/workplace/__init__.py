"""The workplaces of items: the seam between the orchestrator and the machine that an agent runs on."""
