"""The machinery of every kind of agent that is a process: starting a program, its output, the files it exchanges."""
