"""Where a worker of a cluster listens, and why it does not."""

# ruff: noqa: F811 - a parameter has the name of its fixture

import asyncio
import signal
import socket
from pathlib import Path

import pytest
from batch.worker.orchestrators import Orchestrator, far  # noqa: F401 - a fixture
from certificates import write_certificates
from ports import find_port

from gitbatch.batch.worker import cluster as cluster_module
from gitbatch.batch.worker.cluster import (
    announce_server,
    describe_reach,
    find_stop_signals,
    open_server,
    require_dask,
    serve_cluster,
)
from gitbatch.batch.worker.cluster_settings import ClusterSettings, read_cluster_settings
from gitbatch.errors import GitbatchError
from gitbatch.project.cluster import ClusterAddress, parse_address

HERE = ClusterAddress(is_encrypted=False, host="127.0.0.1", port=1)


async def announce(far: Orchestrator, cluster: ClusterSettings) -> ClusterAddress:
    """Where a worker says that it listens, which it does then."""
    server = open_server(far.settings, cluster, (far.pool.starter, far.git))
    try:
        return await announce_server(server, cluster)
    finally:
        await server.stop()


def test_worker_listens_where_it_reaches_the_scheduler_or_as_it_is_asked(
    far: Orchestrator, tmp_path: Path
) -> None:
    tls = write_certificates(tmp_path / "tls")
    files = (tls.ca, tls.cert, tls.key)

    def listens(scheduler: str, listen: str | None = None) -> ClusterAddress:
        return asyncio.run(announce(far, read_cluster_settings(scheduler, listen, files, {})))

    plain = listens("tcp://localhost:1")
    assert (plain.is_encrypted, plain.host, plain.port > 0) == (False, "127.0.0.1", True)
    assert listens("tls://127.0.0.1:1").is_encrypted
    free = find_port()
    assert listens("tls://127.0.0.1:1", f"0.0.0.0:{free}") == parse_address(f"tls://127.0.0.1:{free}")
    assert listens("tls://127.0.0.1:1", f"localhost:{free}") == parse_address(f"tls://localhost:{free}")


@pytest.mark.parametrize("listen", ["fd00::7:8790", "[fd00::7]:8790"])
def test_address_of_a_pod_may_be_one_of_ipv6(listen: str, tmp_path: Path) -> None:
    """Kubernetes writes it without brackets: `--listen=$(POD_IP):8790`."""
    tls = write_certificates(tmp_path)
    cluster = read_cluster_settings("tls://head:8786", listen, (tls.ca, tls.cert, tls.key), {})
    assert str(cluster.listen) == "tls://[fd00::7]:8790"


def test_worker_that_only_this_machine_reaches_says_so(far: Orchestrator, tmp_path: Path) -> None:
    """The name of its scheduler leads to loopback, as that of a machine's own does on Debian; here it is a number."""
    tls = write_certificates(tmp_path / "tls")
    cluster = read_cluster_settings("tls://127.1:1", None, (tls.ca, tls.cert, tls.key), {})
    address = asyncio.run(announce(far, cluster))
    assert address.host == "127.0.0.1"
    assert "--listen" in describe_reach(address, cluster.scheduler)
    assert describe_reach(address, HERE) == ""
    elsewhere = ClusterAddress(is_encrypted=True, host="10.0.0.7", port=1)
    assert describe_reach(elsewhere, cluster.scheduler) == ""


def test_address_that_is_taken_or_not_of_this_machine_is_named(far: Orchestrator) -> None:
    async def listen_twice() -> None:
        server = open_server(far.settings, ClusterSettings(HERE, None), (far.pool.starter, far.git))
        first = await announce_server(server, ClusterSettings(HERE, None))
        try:
            await announce(far, ClusterSettings(HERE, None, first))
        finally:
            await server.stop()

    with pytest.raises(GitbatchError, match=r"cannot listen at tcp://127\.0\.0\.1:\d+"):
        asyncio.run(listen_twice())
    nowhere = ClusterAddress(is_encrypted=True, host="a" * 70, port=8786)
    with pytest.raises(GitbatchError, match=r"cannot find the scheduler tls://a+:8786: not the name"):
        open_server(far.settings, ClusterSettings(nowhere, None), (far.pool.starter, far.git))


def test_next_address_of_the_scheduler_counts_if_there_is_no_way_to_the_first(
    far: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine without IPv6; here it is one to which the system lets nothing be sent."""
    both = [
        (socket.AF_INET, socket.SOCK_DGRAM, 17, "", (host, 1)) for host in ("255.255.255.255", "127.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    elsewhere = ClusterSettings(ClusterAddress(is_encrypted=True, host="head", port=8786), None)
    assert open_server(far.settings, elsewhere, (far.pool.starter, far.git)).listen.host == "127.0.0.1"
    del both[1]
    with pytest.raises(GitbatchError, match=r"cannot find the scheduler tls://head:8786: Permission denied"):
        open_server(far.settings, elsewhere, (far.pool.starter, far.git))


def test_dask_must_be_installed(far: Orchestrator, monkeypatch: pytest.MonkeyPatch) -> None:
    assert require_dask()
    monkeypatch.setattr("gitbatch.batch.worker.cluster.find_spec", lambda _: None)
    with pytest.raises(GitbatchError) as found:
        serve_cluster(far.settings, ClusterSettings(HERE, None), print)
    assert "gitbatch[dask]" in (found.value.advice or "")


def test_signal_that_the_worker_was_started_to_ignore_does_not_stop_it() -> None:
    """A terminal that is closed sends SIGHUP, also to what `nohup` has started in it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert {signal.SIGTERM, signal.SIGURG, signal.SIGHUP} <= {*find_stop_signals()}
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert signal.SIGHUP not in find_stop_signals()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_worker_that_cannot_join_says_each_reason_once_and_tries_again(
    far: Orchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs that are connected notice nothing, also of a disk that is full while Dask makes its folder."""
    failures = [OSError(28, "No space left on device")] * 3
    failures.append(OSError("the scheduler has hung up"))
    told: list[str] = []

    async def find_scheduler(*_: object) -> None: ...

    def make_member(*_: object) -> None:
        raise failures.pop(0) if failures else ZeroDivisionError

    monkeypatch.setattr(cluster_module, "_wait_for_scheduler", find_scheduler)
    monkeypatch.setattr(cluster_module, "_make_member", make_member)
    monkeypatch.setattr(cluster_module, "_PAUSE", 0.0)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(cluster_module._keep_joined(far.settings, ClusterSettings(HERE, None), HERE, told.append))
    assert [line.rpartition(": ")[2] for line in told] == [
        "[Errno 28] No space left on device",
        "the scheduler has hung up",
    ]
