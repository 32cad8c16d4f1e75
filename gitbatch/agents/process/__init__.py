"""Agents that are a program: starting it, watching it, the files that it and gitbatch hand each other."""
