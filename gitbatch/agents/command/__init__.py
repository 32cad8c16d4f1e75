"""The agent kind `command`: any program that reads a prompt and writes a file."""
