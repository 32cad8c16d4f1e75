"""A server that speaks the Messages API and has no model: what it answers is a script in the prompt. For tests and the demo."""
