"""The end of a worker's process in which something never ends."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gitbatch.batch.worker import process_end

WORKER = """
import asyncio, os, signal, sys
from contextlib import suppress
from pathlib import Path
from gitbatch.batch.worker import process_end
from gitbatch.batch.worker.cluster import serve_cluster
from gitbatch.batch.worker.cluster_settings import read_cluster_settings
from gitbatch.batch.worker.stdio import WorkerSettings
from gitbatch.sandbox.model import SandboxKind

process_end.PATIENCE = 0.1
left = []

async def stay():
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

def tell(text):
    print(text)
    if "listens at" in text:
        left.append(asyncio.get_running_loop().create_task(stay()))
        os.kill(os.getpid(), signal.SIGTERM)

place = Path(sys.argv[1])
settings = WorkerSettings(folder=place, environment=dict(os.environ), sandbox=SandboxKind.NONE)
serve_cluster(settings, read_cluster_settings("tcp://127.0.0.1:1", None, (None, None, None), {}), tell)
"""
"""A worker of a cluster that gets SIGTERM, and in whose loop a task ignores that it is cancelled."""


def test_worker_ends_although_a_task_does_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=45, check=False)
    assert done.returncode == 0, done.stderr
    assert "has not ended within 0.1 s after its items, and is ended" in done.stdout


@pytest.mark.parametrize("is_read", [True, False])
def test_process_ends_with_its_code_also_where_its_output_is_not_read(
    monkeypatch: pytest.MonkeyPatch, *, is_read: bool
) -> None:
    codes: list[int] = []
    ended, read = threading.Event(), threading.Event()

    def end_process(code: int) -> None:
        codes.append(code)
        ended.set()

    def tell(_text: str) -> None:
        read.wait(45)

    monkeypatch.setattr(os, "_exit", end_process)
    monkeypatch.setattr(process_end, "PATIENCE", 0)
    monkeypatch.setattr(process_end, "_FLUSHING", 45 if is_read else 0)
    if is_read:
        read.set()
    process_end.end_soon(lambda: 3, tell)
    ended.wait(45)
    read.set()
    assert codes == [3]
