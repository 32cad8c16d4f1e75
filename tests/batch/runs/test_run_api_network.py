"""Whole runs with the network `api`: an agent reaches its model by the proxy, with a placeholder, and nothing else."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from batch.model_server import serve_model
from conftest import Workspace
from history import assert_tidy, audit, trailers
from sessions import run_here

from gitbatch.batch.ending import Ending
from gitbatch.errors import ExitCode, GitbatchError

STREAM = Path(__file__).parents[2] / "agents/streams/claude-code/success.jsonl"
KEY = "sk-ant-api03-the-real-key-of-the-user"
PROGRAM = r"""#!/usr/bin/python3 -IS
import http.client, os, re, sys
from urllib.parse import urlsplit
output = re.search(r"Edit\(/(.*)\)", " ".join(sys.argv))[1]
def ask(address, method, path, headers={}):
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    try:
        connection.request(method, path, b"{}", headers)
        return connection.getresponse().status
    except OSError as error:
        return os.strerror(error.errno)
base = os.environ["ANTHROPIC_BASE_URL"]
key = {"x-api-key": os.environ["ANTHROPIC_API_KEY"]}
seen = [
    ask(base, "POST", "/v1/messages", key),
    ask(base, "POST", "/v1/files", key),
    ask(base, "POST", "/v1/messages", {"x-api-key": "key-of-another"}),
    ask(os.environ["HTTPS_PROXY"], "CONNECT", "example.org:443"),
    ask("http://127.0.0.1:SERVER", "POST", "/v1/messages"),
]
with open(output, "w") as file:
    print(*seen, file=file)
    print(*(f"{name}={value}" for name, value in os.environ.items()), sep="\n", file=file)
print(open(os.path.dirname(sys.argv[0]) + "/success.jsonl").read().replace("/worktree", os.getcwd()))
"""


def set_up(workspace: Workspace, port: int, settings: str) -> None:
    programs = workspace.home / ".local/share/claude"
    programs.mkdir(parents=True)
    (programs / "claude").write_text(PROGRAM.replace("SERVER", str(port)), encoding="utf-8")
    (programs / "claude").chmod(0o755)
    shutil.copy(STREAM, programs)
    workspace.environment |= {
        "PATH": f"{programs}:{workspace.environment['PATH']}",
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}",
    }
    workspace.write("task.md", "# Plan\n\n## Work Packages\n\n### Group\n\n- [ ] T1 Write → Output: T1.md\n")
    workspace.write("rules.md", "# Rules\n")
    workspace.write("gitbatch.toml", f'[agents.claude]\nkind = "claude-code"\n{settings}\n')
    workspace.commit("The plan")


def texts(events: list[Any]) -> list[str]:
    return [event[name] for event in events for name in ("text", "line") if event.get(name)]


@pytest.mark.parametrize("kind", ["bubblewrap", "landlock"])
def test_model_is_reached_without_the_key(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with serve_model() as server:
        port = server.server_port
        set_up(workspace, port, f'sandbox = "{kind}"')
        result, events = run_here(workspace, monkeypatch)
    assert result.ending is Ending.COMPLETE
    item = audit(workspace).items[0]
    statuses, *environment = workspace.read("T1.md").splitlines()
    assert statuses == "200 404 401 403 Connection refused"
    assert server.keys == [KEY]
    assert not [line for line in environment if KEY in line]
    assert "HTTP_PROXY=http://127.0.0.1:3128" in environment
    said = texts(events)
    assert f"agent claude: network: api (127.0.0.1:{port})" in said
    assert len([line for line in said if line.startswith("refused by the proxy: ")]) == 3
    assert int(trailers(workspace, item, "Tokens")[0]) > 100_000, (
        "the proxy has counted more than the program reports"
    )
    assert_tidy(workspace)


def test_asked_for_by_name_where_it_is_impossible(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, 1, 'network = "api"\nsandbox = "none"')
    with pytest.raises(GitbatchError) as caught:
        run_here(workspace, monkeypatch)
    assert caught.value.message == 'agent claude: network = "api" is impossible: no sandbox'
    assert caught.value.code is ExitCode.FAILED
