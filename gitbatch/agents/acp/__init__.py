"""The agent kind `acp`: any program that speaks the Agent Client Protocol."""
