"""The process between gitbatch and the program of an agent. It runs on its own, isolated, and imports nothing heavy.

    orchestrator ── watch ── wrapper ── program ── …
                    limits   bubblewrap, or our keeper

Its command line, which `main.main` obeys, is made in `sandbox/command_line.py`. To start it so takes Python 15 ms; a server that
has started already (`server.py`) forks it in 2 to 3. `dataclasses` and `pathlib` would cost more than all that it does.
"""

CANNOT_RUN, NOT_FOUND = 126, 127
"""The exit codes of a shell for a program that can't be started."""
REQUEST = b"start"
"""What the server is asked; the rest comes as descriptors: a file with what to do, then standard input, output, error."""
