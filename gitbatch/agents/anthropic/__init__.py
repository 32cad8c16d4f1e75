"""The agent kind `anthropic`: Claude by the Messages API, without a process or a shell."""
