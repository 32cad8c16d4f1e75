"""A server that speaks the Messages API without a model: a script in the prompt gives its answers. For tests and the demo."""
