"""Keys that a run sends to its workers: which, to whom, and that a worker has them nowhere but in memory."""

# ruff: noqa: F811 - a parameter has the name of its fixture

import asyncio
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from batch.executor.scripted_workers import ScriptedLink, name_executor, run_with, work_honestly
from batch.executor.test_executor_messages import SETUP
from batch.programs import set_up
from batch.worker.orchestrators import OTHER, TOKEN, Orchestrator, far, talk  # noqa: F401 - a fixture
from conftest import Workspace

from gitbatch.agents.claude_code.table import ClaudeCodeAgent
from gitbatch.agents.command.table import CommandAgent
from gitbatch.batch.executor.message_codec import MessageError, decode_to_worker, encode_message
from gitbatch.batch.executor.messages import (
    MOST_VALUE,
    CheckDone,
    CheckJob,
    JobChunk,
    JobEvent,
    JobRefused,
    SentFailure,
    SentSecrets,
    SentValue,
)
from gitbatch.batch.executor.sent_secrets import collect_secrets, remove_sent
from gitbatch.batch.executor.shipment import HaveSet
from gitbatch.batch.worker.orchestrator_service import ServeEnd
from gitbatch.batch.worker.stdio import list_spooled
from gitbatch.checks.verdict import CheckVerdict
from gitbatch.errors import GitbatchError
from gitbatch.limits.causes import Cause
from gitbatch.project.check_tables import CheckTable
from gitbatch.project.cluster import TlsTable
from gitbatch.project.config import Config
from gitbatch.project.executor_table import ExecutorTable
from gitbatch.project.private_commands import is_private

if TYPE_CHECKING:
    from gitbatch.project.agent_table import AgentTable

VALUE = "sk-9876543210-sent-by-the-run"
SECRETS = SentSecrets((SentValue("SENT", VALUE), SentValue("KEY", "")))
SSH = ExecutorTable(kind="command", workers=(("ssh", "build1"),), secrets="send")
ECHO = (
    'cat >/dev/null; echo "${#SENT}${KEY-}" >out/a.md; echo "$SENT"; echo "$SENT" >&2; echo x >"$SENT.txt"; '
    'echo "$SENT" >>"$GITBATCH_PROGRESS"; printf \'{"summary": "Told %s. Twice."}\' "$SENT" >"$GITBATCH_REPLY"'
)


@dataclass
class Early:
    """Sends the keys before the greeting, as a run does."""

    far: Orchestrator

    def __post_init__(self) -> None:
        plain = self.far.send

        def send(*messages: object) -> None:
            self.far.send = plain  # type: ignore[method-assign]
            plain(SECRETS, *messages)  # type: ignore[arg-type]

        self.far.send = send  # type: ignore[method-assign]


def test_agent_gets_a_sent_key_and_its_worker_keeps_it_in_memory_alone(far: Orchestrator) -> None:
    Early(far)
    leak = 'cat >/dev/null; echo "$SENT" >out/a.md; echo "A. Wrote it."'

    def send_both(far: Orchestrator) -> None:
        far.send_job(ECHO, pass_env=("SENT", "KEY"))  # the worker has a KEY
        far.send_job(leak, token=OTHER, pass_env=("SENT",))

    async def wait(far: Orchestrator) -> None:
        await far.wait_for_result(2)
        kept = [path.read_bytes() for path in far.settings.folder.rglob("*") if path.is_file()]
        assert any(TOKEN.encode() in data for data in kept), "the spool has the results"
        assert not any(VALUE.encode() in data for data in kept)
        assert VALUE not in repr(far.service)
        assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0, "a crash would write them to a file"

    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    talk(far, send_both, wait)
    assert VALUE not in repr(far.heard)
    assert "value of SENT" in repr(far.heard)
    assert [chunk.data for chunk in far.of(JobChunk)] == [f"{len(VALUE)}\n".encode()]
    results = {each.token: each.answer for each in far.results()}
    leaked = results[OTHER]
    assert isinstance(leaked, SentFailure)
    assert (leaked.cause, leaked.reason) == (Cause.LEAK, "the output holds the value of SENT")
    # Another connection has none.
    far.have = HaveSet()
    talk(
        far,
        lambda far: far.send_job(ECHO, token="ef" * 16, pass_env=("SENT",)),
        Orchestrator.wait_for_result,
    )
    assert [chunk.data for chunk in far.of(JobChunk)] == [b"0\n"]


def test_check_gets_a_sent_key_and_hides_it(far: Orchestrator) -> None:
    """One whose connection is cut is ended: its verdict is not kept. One whose program is missing is refused."""
    Early(far)
    script = 'echo "$SENT"; echo "has ${#SENT} of $SENT" >&2; cat "$GITBATCH_OUTPUT"; exit 1'

    def send_checks(far: Orchestrator) -> None:
        far.send_check(CheckTable(command=("sh", "-c", script), pass_env=("SENT",)))
        far.send_check(CheckTable(command=("/no/such",)), OTHER)
        far.send(CheckJob("ef" * 16, "x", b"junk", True, SETUP, SETUP, False))

    talk(far, send_checks, lambda far: far.wait_for(CheckDone), lambda far: far.wait_for(JobRefused, 2))
    [done], [refused, unread] = far.of(CheckDone), far.of(JobRefused)
    assert VALUE not in repr(far.heard)
    assert (done.verdict, done.reason) == (CheckVerdict.RED, f"has {len(VALUE)} of [value of SENT] (exit 1)")
    assert set(done.findings) == {"[value of SENT]", "a", f"has {len(VALUE)} of [value of SENT]"}
    assert "cannot read its settings" in unread.reason + refused.reason
    refused = refused if refused.token == OTHER else unread
    assert refused.reason == "the program /no/such is not found, or cannot be executed"
    assert list_spooled(far.settings) == ()

    async def cut(far: Orchestrator) -> None:
        far.send_check(CheckTable(command=("sh", "-c", "echo begun; exec sleep 600")))
        await far.wait_for(JobEvent)
        assert far.writer
        far.writer.close()

    far.heard.clear()
    far.have = HaveSet()
    assert asyncio.run(far.talk(cut)) is ServeEnd.CUT
    assert far.of(CheckDone) == []


def test_key_is_sent_before_the_greeting_and_in_no_job(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok", agent='pass-env = ["SENT", "HOME", "UNSET"]')
    name_executor(workspace, 'secrets = "send"\n')
    workspace.edit("gitbatch.toml", '[["true"]]', '[["ssh", "build1"]]')
    workspace.commit("By ssh")
    workspace.environment["SENT"] = VALUE
    link = ScriptedLink(work_honestly, name=f"said {VALUE}")
    result, events = run_with(workspace, monkeypatch, link)
    assert result.succeeded == 1
    [channel] = link.channels
    assert channel.kinds()[:2] == ["SentSecrets", "Welcome"]
    assert channel.said[0] == SentSecrets((SentValue("SENT", VALUE), SentValue("UNSET", "")))
    assert VALUE not in repr(channel.said)
    assert "HOME" in link.environment
    assert "SENT" not in link.environment, "what leads to a worker needs no key"
    assert not any(VALUE.encode() in encode_message(message) for message in channel.said[1:])
    assert VALUE not in repr(events)
    assert "(said [value of SENT])" in repr(events), "what a command has printed, too"
    kept = [path.read_bytes() for path in (workspace.root / ".git").rglob("*") if path.is_file()]
    assert not any(VALUE.encode() in data for data in kept)


def test_what_leads_to_a_worker_has_all_but_what_is_sent() -> None:
    environment = {"SENT": VALUE, "SSH_AUTH_SOCK": "/run/agent", "A": "a"}
    sent = SentSecrets((*SECRETS.values, SentValue("SSH_AUTH_SOCK", "/run/agent")))
    assert remove_sent(environment, sent) == {"SSH_AUTH_SOCK": "/run/agent", "A": "a"}
    assert remove_sent(environment, None) == environment


def test_sent_keys_are_those_of_the_agents_as_far_as_they_are_set() -> None:
    agents: dict[str, AgentTable] = {
        "a": CommandAgent(command=("a",), pass_env=("A", "B", "PATH"), public_env=("B",)),
        "claude": ClaudeCodeAgent(),
        "here": CommandAgent(command=("a",), pass_env=("C",)),
    }
    environment = {name: f"value of {name}" for name in ("A", "B", "C", "D", "PATH", "ANTHROPIC_API_KEY")}
    config = Config(agents=agents, executor=SSH)
    found = collect_secrets(config, ("a", "claude"), environment, Path())
    assert found
    assert {each.name: each.value for each in found.values} == {
        "A": "value of A",
        "ANTHROPIC_API_KEY": "value of ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN": "",
        "CLAUDE_CODE_OAUTH_TOKEN": "",
    }
    assert collect_secrets(config, ("claude",), {"A": "x"}, Path()) == SentSecrets(())
    assert collect_secrets(Config(agents=agents), ("a",), environment, Path()) is None
    with pytest.raises(GitbatchError, match="the value of A is too long"):
        collect_secrets(config, ("a",), {"A": "x" * (MOST_VALUE + 1)}, Path())
    for address, words in (
        ("tcp://127.0.0.1:1", "over TLS only"),
        ("tls://head:1", "executor.tls is not set"),
    ):
        dask = ExecutorTable(kind="dask", cluster=address, secrets="send")
        with pytest.raises(GitbatchError, match=words):
            collect_secrets(Config(agents=agents, executor=dask), ("a",), environment, Path())
    for command, words in ((("srun", "gitbatch"), "not by 'srun'"), (("ssh", "-F", "own", "b"), "-F own b")):
        exposed = ExecutorTable(kind="command", workers=(("ssh", "b"), command), secrets="send")
        with pytest.raises(GitbatchError, match=words):
            collect_secrets(Config(agents=agents, executor=exposed), ("a",), environment, Path())


@pytest.mark.parametrize(
    "named", ["{}/ca.pem", "/proc/self/cwd/ca.pem", "{}/../repo/other.pem", "{}/../link"]
)
def test_keys_are_not_sent_by_an_authority_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """Its author could answer in the place of the cluster."""
    checkout = tmp_path / "repo"
    checkout.mkdir()
    (tmp_path / "link").symlink_to(checkout / "ca.pem")
    monkeypatch.chdir(checkout)

    def send_by(ca: str) -> SentSecrets | None:
        tls = TlsTable(ca, "/a/cert.pem", "/a/key.pem")
        dask = ExecutorTable(kind="dask", cluster="tls://head:1", tls=tls, secrets="send")
        config = Config(agents={"a": CommandAgent(command=("x",), pass_env=("A",))}, executor=dask)
        return collect_secrets(config, ("a",), {"A": "x"}, checkout)

    assert send_by(str(tmp_path / "ca.pem"))
    with pytest.raises(GitbatchError, match="is in the checkout"):
        send_by(named.format(checkout))


def test_value_is_bounded_and_not_shown() -> None:
    assert decode_to_worker(encode_message(SECRETS)) == SECRETS
    assert VALUE not in repr(SECRETS)
    with pytest.raises(MessageError) as found:
        decode_to_worker(encode_message(SentSecrets((SentValue("A", VALUE * 9999),))))
    assert VALUE not in str(found.value)


@pytest.mark.parametrize(
    ("command", "private"),
    [
        ("ssh -T build1 gitbatch worker --stdio", True),
        ("/usr/bin/ssh build1", True),
        ("gitbatch worker --stdio", True),
        ("/opt/bin/python3.11 -m gitbatch worker", True),
        ("env HOME=/w -u KEY gitbatch worker", True),
        ("ssh head ssh build1 gitbatch worker", True),
        ("ssh -To BatchMode=yes -oControlPath=none -F /etc/own -J hop nc -p 1 exec gitbatch worker", True),
        (
            "ssh -o StrictHostKeyChecking=yes -o UserKnownHostsFile=~/.ssh/own -oProxyCommand=none b",
            True,
        ),
        ("ssh head ssh -o BatchMode=yes ada@build1 gitbatch worker", True),
        ("./ssh build1", False),
        ("~/ssh build1", False),
        ("/proc/self/cwd/ssh build1", False),
        ("//proc/self/cwd/ssh build1", False),
        ("/dev/fd/../cwd/ssh build1", False),
        ("/usr/../src/ssh build1", False),
        ("tools/gitbatch worker --stdio", False),
        ("bin/python -m gitbatch worker", False),
        ("./env HOME=/w ssh build1", False),
        ("env PATH=/opt/bin:/bin ssh build1", True),
        ("env PATH=/bin:tools ssh build1", False),
        ("env PATH=/bin: ssh build1", False),
        ("env PYTHONPATH=tools gitbatch worker", False),
        ("env LD_PRELOAD=./a.so ssh build1", False),
        ("env HOME=far gitbatch worker", False),
        ("env OPENSSL_CONF=ssl.cnf ssh build1", False),
        ("env SSH_ASKPASS=./yes SSH_ASKPASS_REQUIRE=force ssh build1", False),
        ("env --split-string=tools/run ssh build1", False),
        ("env --chdir=tools ssh build1", False),
        ("python-of-mine -m gitbatch worker", False),
        ("env -i gitbatch worker", True),
        ("env -i python3 -m gitbatch worker", False),
        ("env -u PYTHONSAFEPATH python3 -m gitbatch worker", False),
        ("ssh -o StrictHostKeyChecking=no build1", False),
        ("ssh -ToStrictHostKeyChecking=off build1", False),
        ('ssh -o stricthostkeychecking="NO" build1', False),
        ("ssh -o StrictHostKeyChecking=false build1", False),
        ("ssh -o StrictHostKeyChecking='no' build1", False),
        ("ssh build1 -o StrictHostKeyChecking=no gitbatch", False),
        ("ssh -o StrictHostKeyChecking=accept-new build1", False),
        ("ssh -o UserKnownHostsFile=/dev/null build1", False),
        ("ssh -o UserKnownHostsFile=/src/of/another/known build1", False),
        ("ssh -o UserKnownHostsFile=~/.ssh/../src/known build1", False),
        ("ssh -o GlobalKnownHostsFile=hosts build1", False),
        ("ssh -oNoHostAuthenticationForLocalhost=yes localhost", False),
        ("ssh -o ProxyCommand=./proxy build1", False),
        ("ssh -oKnownHostsCommand=/a build1", False),
        ("ssh -o SmartcardDevice=./a.so build1", False),
        ("ssh -Xo XAuthLocation=./xauth build1", False),
        ("ssh -F tools/config build1", False),
        ("ssh -I ./a.so build1", False),
        ("ssh -W build2:22 build1", False),
        ("ssh -o RemoteCommand=srun build1", False),
        ("ssh -o VerifyHostKeyDNS=yes build1", False),
        ("ssh -o junk build1", False),
        ("ssh --unknown build1", False),
        ("ssh head ssh -o StrictHostKeyChecking=no build1", False),
        ("ssh head bash -c 'srun gitbatch'", False),
        ("ssh head flux run gitbatch worker", False),
        ("ssh head srun -n1 gitbatch worker", False),
        ("ssh head /usr/bin/kubectl exec -i pod -- gitbatch worker", False),
        ("env", False),
        ("env A=b", False),
        ("srun -n1 gitbatch", False),
        ("kubectl exec -i pod -- gitbatch", False),
        ("rsh build1", False),
        ("sh -c ssh", False),
        ("python3 ssh -m gitbatch", False),
        ("env A=ssh rsh gitbatch", False),
        ("sshx build1", False),
    ],
)
def test_commands_that_keep_a_key_from_others(command: str, private: bool) -> None:  # noqa: FBT001 - a table
    assert is_private(command.split()) == private


def test_space_may_separate_a_setting_of_ssh_and_its_value() -> None:
    assert not is_private(["ssh", "-o", " StrictHostKeyChecking  no", "build1"])
    assert not is_private(["ssh", "-o", "StrictHostKeyChecking=no # for now", "build1"])
    assert not is_private(["ssh", "head", "bash -c 'exec srun gitbatch'"])
