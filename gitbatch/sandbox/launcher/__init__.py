"""The process between gitbatch and the program of an agent. It runs on its own, isolated, and imports nothing heavy.

    orchestrator ── watch ── wrapper ── program ── …
                    limits   bubblewrap, or our keeper

It is started with `main.main`; its command line is made in `sandbox/launch.py`. `dataclasses`, `pathlib` and `json`
would cost more than all that it does.
"""
