"""Sending notifications: to a program without a shell, and to a server of this machine."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from waiting import expire_once, wait_until

from gitbatch.notify.notification import Notification
from gitbatch.notify.sending import Sending, post_message, run_command
from gitbatch.notify.settings import NotifySettings
from gitbatch.text import clean_text

TOLD = Notification(
    event="review", repository="demo", batch="b", text=clean_text("demo: $(touch x); waits"), failed=0
)
ENVIRONMENT = {"PATH": os.environ["PATH"]}


class Receiver(BaseHTTPRequestHandler):
    bodies: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        status = int(self.path.strip("/") or 200)
        self.send_response(status)
        self.send_header("Location", "/200")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    Receiver.bodies.clear()
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_command_and_webhook_get_the_same(tmp_path: Path, address: str) -> None:
    script = 'cat >"$0/body"; printf "%s\\n" "$@" >"$0/arguments"; pwd >"$0/place"'
    settings = NotifySettings(("sh", "-c", script, str(tmp_path), "first"), address)
    assert Sending(settings, TOLD, ENVIRONMENT).collect_problems() == ()
    (body,) = Receiver.bodies
    assert (tmp_path / "body").read_bytes() == body
    assert json.loads(body)["text"] == TOLD.text
    assert (tmp_path / "arguments").read_text().splitlines() == ["first", TOLD.text]
    assert (tmp_path / "place").read_text() == "/\n", "no program of the repository is found"


def test_nothing_to_send() -> None:
    assert Sending(NotifySettings(), TOLD, ENVIRONMENT).collect_problems() == ()


def test_problems_are_texts() -> None:
    settings = NotifySettings(("no-such-program",), "http://127.0.0.1:1/secret")
    first, second = sorted(Sending(settings, TOLD, ENVIRONMENT).collect_problems())
    assert first == "notification: the command failed: no-such-program: No such file or directory"
    assert second == "notification: the webhook failed: 127.0.0.1: ConnectError"


@pytest.mark.parametrize("status", [302, 404, 500])
def test_other_status_is_a_problem_and_no_redirection_is_followed(address: str, status: int) -> None:
    assert post_message(f"{address}/{status}", b"{}") == f"127.0.0.1: status {status}"
    assert len(Receiver.bodies) == 1


def test_server_that_does_not_answer_has_its_time() -> None:
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        problem = post_message(f"http://127.0.0.1:{server.server_port}", b"{}", patience=0.1)
    assert problem == "127.0.0.1: ReadTimeout"


def test_program_that_does_not_end_is_gone_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"sleep 600 & echo $! >{tmp_path}/new; mv {tmp_path}/new {tmp_path}/child; sleep 600"
    expire_once(monkeypatch, (tmp_path / "child").exists)
    problem = run_command(["sh", "-c", script, "x"], b"{}", ENVIRONMENT, patience=0.1)
    assert problem == "sh: it took longer than 0 s"
    stat = Path("/proc", (tmp_path / "child").read_text().strip(), "stat")
    wait_until(lambda: not stat.exists() or stat.read_text().split()[2] == "Z", "the sleep is killed")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["false"], "false: exit code 1"),
        (["sh", "-c", "exec 0<&-"], ""),
        (["a\0b"], "a\0b: embedded null byte"),
    ],
)
def test_program_that_fails_or_reads_nothing(arguments: list[str], problem: str) -> None:
    assert run_command(arguments, b"{}" * 100_000, ENVIRONMENT) == problem
