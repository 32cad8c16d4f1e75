"""The process between gitbatch and the program of an agent. It runs on its own, isolated, and imports nothing heavy.

    orchestrator ── watch ── wrapper ── program ── …
                    limits   bubblewrap, or our keeper

It is started with `main.main`; its command line is made in `sandbox/launch.py`. `dataclasses`, `pathlib` and `json`
would cost more than all that it does.
"""

CANNOT_RUN, NOT_FOUND = 126, 127
"""The exit codes of a shell for a program that can't be started."""
