"""The commands: options → call → render. The only place that prints, prompts and exits."""
