"""The table `[executor]`."""

import pytest

from gitbatch.errors import PlanError
from gitbatch.project.config import Config, parse_config
from gitbatch.project.executor_table import ExecutorTable
from gitbatch.project.fixed import fixed_lines

WORKER = 'kind = "command"\nworkers = [["ssh", "build1"]]\n'


def parse(text: str) -> Config:
    return parse_config(f"[executor]\n{text}".encode())


def test_items_stay_here_if_nothing_is_said() -> None:
    assert Config().executor == parse("").executor == ExecutorTable()
    assert not ExecutorTable().is_remote
    assert parse(WORKER).executor.workers == (("ssh", "build1"),)
    assert parse(WORKER).executor.is_remote


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('kind = "command"', "needs the command of a worker"),
        ('kind = "ssh"', "use one of: local, command"),
        ('kind = "dask"', "needs the address of a scheduler"),
        ('kind = "dask"\ncluster = "tcp://head:8786"', "not encrypted"),
        ('kind = "dask"\ncluster = "tls://h:1"\nworkers = [["true"]]', 'with kind = "command" only'),
        ('cluster = "tls://head:8786"', 'it has a meaning with kind = "dask" only'),
        (f'{WORKER}cluster = "tls://head:8786"', 'it has a meaning with kind = "dask" only'),
        ('tls = { ca = "/a", cert = "/b" }', "key"),
        ('tls = { ca = "ca.pem", cert = "/b", key = "/c" }', "neither an absolute path"),
        ("workers = [[]]", "length >= 1"),
        ('workers = [["", "x"]]', "length >= 1"),
        ('workers = [["ssh", "build1"]]', 'it has a meaning with kind = "command" only'),
        ('kind = "command"\nworkers = [["a\\u0000b"]]', "NUL"),
        ('no-worker = "soon"', "invalid duration"),
        ("max-lost = -1", ">= 0"),
        ('checks-at = "here"', "use one of: orchestrator, workers"),
        ('secrets = "keep"', "use one of: worker, send"),
        ('kind = "command"\nworkers = [["srun", "x"]]\nsecrets = "send"', "sent by ssh only"),
        (f'{WORKER}[batch]\ninclude = [".venv"]', "batch.include is not sent"),
        (f'{WORKER}[batch]\nprepare = ["npm", "ci"]', "batch.prepare is not sent"),
    ],
)
def test_senseless_values_are_refused(text: str, words: str) -> None:
    with pytest.raises(PlanError) as found:
        parse(text)
    assert words in f"{found.value.message} {found.value.details}"


def test_keys_are_sent_by_ssh_only() -> None:
    table = parse(f'{WORKER}secrets = "send"').executor
    assert (table.secrets, table.find_secrets_problem()) == ("send", None)
    assert 'executor.secrets = "send"' in fixed_lines(Config(executor=table))


def test_what_starts_programs_is_fixed_when_a_batch_starts() -> None:
    assert fixed_lines(parse("max-lost = 9")) == ()
    assert fixed_lines(parse(WORKER)) == (
        'executor.kind = "command"',
        'executor.workers = [["ssh", "build1"]]',
    )
