"""The agent kind `claude-code`: Claude Code, without a terminal."""
