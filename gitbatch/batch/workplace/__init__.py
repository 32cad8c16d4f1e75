"""The places where items are worked on: the seam between the orchestrator and the machine that an agent runs on."""
