"""The commands: options → service → view. Only this folder prints, prompts and exits."""
