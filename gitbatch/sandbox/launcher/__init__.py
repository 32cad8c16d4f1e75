"""The process between gitbatch and the program of an agent. It runs isolated, and imports only fast modules.

    orchestrator ── watch ── wrapper ── program ── …
                    limits   bubblewrap, or our keeper

Where the server (see below) is root, and the keeper leads a namespace of processes, the keeper is the watch too.

Its command line, which `main.main` parses, is made in `sandbox/command_line.py`. Python needs 15 ms to start it so; a server
that is already running (`server.py`) forks it in 2 to 3 ms. Importing `dataclasses` and `pathlib` would take longer than all
that it does.
"""

CANNOT_RUN, NOT_FOUND = 126, 127
"""The exit codes of a shell for a program that cannot be started."""
REQUEST, NAMESPACE_REQUEST = b"start", b"space"
"""The messages of a request to the server, of one length; the second asks for a namespace of processes. The rest is sent as
descriptors: a file with the arguments, then the program's standard input, output and error, and for the network `api` the
channel on which gitbatch receives a listener."""
CHANNEL = 3
"""The number that the channel has in the launcher. It is closed before the program starts."""
PORT = 3128
"""The port of the listener: the same for all programs, since each has a network namespace of its own."""
