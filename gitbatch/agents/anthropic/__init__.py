"""Claude by the Messages API: the loop, its tools, its prompt, its errors, its prices. No process, no shell."""
