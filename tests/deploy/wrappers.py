"""Programs that do to a worker's streams what `srun` and `kubectl exec -i` do; the real ones need a cluster.

`srun` passes on whole lines of the output, or 1,024 bytes. `kubectl exec` never tells the worker that its input has ended, and exits
with 0 when the connection is cut. Both give the worker another home and folder, and drop the environment.
"""

import os
import subprocess
import sys
import threading

LONGEST = 1024


def pass_output(process: "subprocess.Popen[bytes]", *, keeps_lines: bool) -> None:
    """Copies what a worker prints, as it comes."""
    assert process.stdout
    waiting = b""
    while data := os.read(process.stdout.fileno(), 65536):
        waiting += data
        end = (waiting.rfind(b"\n") + 1 or len(waiting) // LONGEST * LONGEST) if keeps_lines else len(waiting)
        passed, waiting = waiting[:end], waiting[end:]
        while passed:
            passed = passed[os.write(1, passed) :]


def pass_input(process: "subprocess.Popen[bytes]", *, passes_end: bool) -> None:
    """Copies what the run sends."""
    assert process.stdin
    try:
        while data := os.read(0, 65536):
            process.stdin.write(data)
            process.stdin.flush()
    except BrokenPipeError:
        return
    if passes_end:
        process.stdin.close()


def run_worker(kind: str, home: str, *command: str) -> int:
    """Runs a worker's command as one of the programs would."""
    environment = {"HOME": home, "PATH": os.environ["PATH"]}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd="/", bufsize=0
    )
    threading.Thread(
        target=pass_input, args=(process,), kwargs={"passes_end": kind == "srun"}, daemon=True
    ).start()
    pass_output(process, keeps_lines=kind == "srun")
    status = process.wait()
    return status if kind == "srun" else 0


if __name__ == "__main__":
    sys.exit(run_worker(*sys.argv[1:]))
