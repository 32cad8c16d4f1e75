"""Where the agents of a run work, by the configuration, the options and the variables of the user."""

from pathlib import Path

import pytest
from certificates import CA, STRANGER, write_certificates

from gitbatch.batch.planning.executor_choice import choose_executor, require_executor
from gitbatch.batch.planning.tls_files import TLS_VARIABLES, find_tls_keys, read_tls_files
from gitbatch.errors import GitbatchError, UsageError
from gitbatch.project.cluster import TlsTable
from gitbatch.project.config import Config, parse_config
from gitbatch.project.fixed import fixed_lines

URL = "tls://head:8786"
COMMAND = b'[executor]\nkind = "command"\nworkers = [["gitbatch", "worker", "--stdio"]]\nmax-lost = 7\n'


def of_cluster(tls: TlsTable) -> bytes:
    files = f'{{ ca = "{tls.ca}", cert = "{tls.cert}", key = "{tls.key}" }}'
    return f'[executor]\nkind = "dask"\ncluster = "{URL}"\ntls = {files}\n'.encode()


def variables(tls: TlsTable) -> dict[str, str]:
    return dict(zip(TLS_VARIABLES, (tls.ca, tls.cert, tls.key), strict=True))


def test_user_names_a_cluster_whatever_the_configuration_says(tmp_path: Path) -> None:
    tls = write_certificates(tmp_path / "mine")
    for source in (b"", COMMAND, of_cluster(TlsTable("/a", "/b", "/c"))):
        config = parse_config(source)
        executor = choose_executor(config, URL, variables(tls)).executor
        assert (executor.kind, executor.cluster, executor.tls, executor.workers) == ("dask", URL, tls, ())
        assert executor.max_lost == config.executor.max_lost
    assert choose_executor(Config(), "tcp://127.0.0.1:1", {}).executor.tls is None


def test_configuration_is_enough(tmp_path: Path) -> None:
    tls = write_certificates(tmp_path)
    config = parse_config(of_cluster(tls))
    assert choose_executor(config, None, {}) == config
    assert choose_executor(parse_config(COMMAND), None, {}) == parse_config(COMMAND)
    assert choose_executor(Config(), None, variables(tls)) == Config()


@pytest.mark.parametrize(
    ("source", "cluster", "environment", "words"),
    [
        (b"", "head:8786", {}, "--cluster: 'head:8786' is not an address"),
        (b"", "tcp://head:8786", {}, "not encrypted"),
        (b"", URL, {}, "needs the files of a certificate"),
        (f'[executor]\nkind = "dask"\ncluster = "{URL}"'.encode(), None, {}, "needs the files"),
        (b"", URL, {"GITBATCH_TLS_CA": "/a", "GITBATCH_TLS_KEY": "/b"}, "GITBATCH_TLS_CERT is not set"),
        (b'[batch]\ninclude = [".venv"]', URL, {}, "batch.include is not sent"),
        (of_cluster(TlsTable("/nowhere/ca.pem", "/b", "/c")), None, {}, "No such file or directory"),
        (b"", URL, variables(TlsTable("~no-such-user/ca.pem", "/b", "/c")), "cannot use the certificate"),
    ],
)
def test_what_cannot_be_used_is_refused_before_a_batch_starts(
    source: bytes, cluster: str | None, environment: dict[str, str], words: str
) -> None:
    with pytest.raises(GitbatchError) as found:
        choose_executor(parse_config(source), cluster, environment)
    assert words in found.value.message
    assert found.value.advice


def test_files_that_are_not_certificates_are_named(tmp_path: Path) -> None:
    tls = write_certificates(tmp_path)
    for name in ("ca.pem", "cert.pem", "key.pem"):
        text = (tmp_path / name).read_text()
        (tmp_path / name).write_text("nothing")
        with pytest.raises(GitbatchError, match="cannot use the certificate"):
            choose_executor(Config(), URL, variables(tls))
        (tmp_path / name).write_text(text)


def test_keys_that_would_not_be_sent_are_refused_before_a_batch_starts(tmp_path: Path) -> None:
    tls = write_certificates(tmp_path / "mine")
    config = parse_config(of_cluster(tls) + b'secrets = "send"\n')
    require_executor(config, None, {}, tmp_path / "repo")
    with pytest.raises(GitbatchError, match="is in the checkout"):
        require_executor(config, None, {}, tmp_path)
    with pytest.raises(GitbatchError, match="over TLS only"):
        require_executor(config, "tcp://127.0.0.1:1", {}, tmp_path / "repo")


ENCRYPTED = """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAiZXhjiFLOD/wICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEEAZ0isCIHaR8GigjUDRJq/wEgZDw
A6RKvCfBlYRDfW4bBHTaOGH+ByiPN3GBXiIGaF1H23UCNEnniCOxSDvae4Qw/ETw
LHYAD56+GcPVQqlpPuxrSkBd6Dns8UMLeCMRqlD2R2gBOh2W4bWx04UVY5YPwT+v
xRNS6ROyIBFp0Oafge45CSPDoxk/bRyhTJFcIzyygCoJLFFGeKyoWl9KQ6LaZd0=
-----END ENCRYPTED PRIVATE KEY-----
"""


def test_key_with_a_passphrase_is_refused_and_not_asked_for(tmp_path: Path) -> None:
    tls = write_certificates(tmp_path)
    (tmp_path / "key.pem").write_text(ENCRYPTED)
    with pytest.raises(GitbatchError, match=r"the key .*/key\.pem has a passphrase") as found:
        choose_executor(Config(), URL, variables(tls))
    assert "openssl pkey" in (found.value.advice or "")


def test_list_of_public_authorities_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of hosts are not compared: a certificate of any of them would do."""
    tls = write_certificates(tmp_path)
    (tmp_path / "ca.pem").write_text(CA + STRANGER)
    assert choose_executor(Config(), URL, variables(tls)).executor.tls == tls
    monkeypatch.setattr("gitbatch.batch.planning.tls_files._MOST_AUTHORITIES", 1)
    with pytest.raises(GitbatchError, match="certificates of 2 authorities"):
        choose_executor(Config(), URL, variables(tls))


def test_variables_are_all_set_or_none() -> None:
    assert read_tls_files({}) is None
    with pytest.raises(UsageError):
        read_tls_files({"GITBATCH_TLS_KEY": "/b"})


def test_cluster_and_files_are_fixed_when_a_batch_starts() -> None:
    assert fixed_lines(parse_config(of_cluster(TlsTable("/a", "/b", "/c")))) == (
        f'executor.cluster = "{URL}"',
        'executor.kind = "dask"',
        'executor.tls.ca = "/a"',
        'executor.tls.cert = "/b"',
        'executor.tls.key = "/c"',
    )


def test_keys_of_certificates_are_those_of_the_configuration_and_of_the_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert find_tls_keys(None, {}) == ()
    keys = find_tls_keys(TlsTable("/a", "/b", "~/key.pem"), {"GITBATCH_TLS_KEY": "/etc/mine.pem"})
    assert keys == (Path("/home/ada/key.pem"), Path("/etc/mine.pem"))
    assert find_tls_keys(None, {"GITBATCH_TLS_KEY": "~no-such-user/key.pem"}) == ()
