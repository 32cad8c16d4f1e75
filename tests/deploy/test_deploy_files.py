"""The files of `deploy/` and the commands of the page about them: the program takes each command line as it stands there."""

import json
import os
import re
import shlex
import shutil
import ssl
import subprocess
import tomllib
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
from cli.test_printed_commands import parse_command

from gitbatch.project.config import parse_config

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PAGES = tuple(ROOT / "docs" / name for name in ("deployments.md", "many-machines.md"))
BLOCK = re.compile(r"(?ms)^```(\w+)\n(.*?)^```")


def blocks(kind: str) -> Iterator[str]:
    for page in PAGES:
        found = BLOCK.findall(page.read_text(encoding="utf-8"))
        yield from (text for name, text in found if name == kind)


def list_commands() -> Iterator[list[str]]:
    """The command lines of gitbatch, as words from the program's name on."""
    for text in blocks("sh"):
        for line in re.split(r"\n|&&", text.replace("\\\n", " ")):
            yield from cut_command(shlex.split(line, comments=True))
    for text in blocks("toml"):
        for worker in tomllib.loads(text).get("executor", {}).get("workers", ()):
            yield from cut_command(worker)
    (line,) = re.findall(r"(?m)^CMD (.*)$", (DEPLOY / "Containerfile").read_text(encoding="utf-8"))
    yield from cut_command(json.loads(line))
    for unit in sorted(DEPLOY.glob("systemd/*.service")):
        yield from cut_command(read_unit(unit)["execstart"].split())


def cut_command(words: list[str]) -> Iterator[list[str]]:
    """The words behind the last name of the program, if it is there; an image may have that name as well."""
    places = [index for index, word in enumerate(words) if Path(word).name == "gitbatch"]
    if places and words[places[-1] + 1 :][:1] not in ([], ["."]):
        yield words[places[-1] + 1 :]


def read_unit(path: Path) -> dict[str, str]:
    """The settings of a unit, their names in small letters; the last of those with the same name."""
    parser = ConfigParser(interpolation=None, strict=False)
    parser.read_string(path.read_text(encoding="utf-8").replace("\\\n", " "))
    return dict(parser["Service"])


def list_containers(path: Path) -> Iterator[dict[str, Any]]:
    yaml: Any = pytest.importorskip("yaml")
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        pod = document.get("spec", {}).get("template", {}).get("spec", {})
        yield from pod.get("containers", ())


def test_commands_are_those_of_the_program() -> None:
    commands = list(list_commands())
    assert len(commands) >= 8
    for words in commands:
        parse_command(words)


def test_commands_of_pods_are_those_of_the_program() -> None:
    for path in sorted(DEPLOY.glob("kubernetes/*.yaml")):
        for container in list_containers(path):
            words = [word.replace("$(POD_IP)", "10.0.0.7") for word in container["args"]]
            for command in cut_command(words):
                parse_command(command)


def test_tables_are_valid() -> None:
    tables = [text for text in blocks("toml") if "[executor]" in text]
    assert len(tables) >= 5
    for text in tables:
        assert parse_config(text.encode()).executor.no_worker, text


def test_pods_have_what_a_sandbox_needs_and_no_more() -> None:
    for path in sorted(DEPLOY.glob("kubernetes/*.yaml")):
        for container in list_containers(path):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert "limits" not in container["resources"]  # what a limit kills is paid for
            for mount in container["volumeMounts"]:  # what agents can read is no place for keys
                assert not mount["mountPath"].startswith(("/etc", "/usr", "/opt"))


def make_certificates(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    script = str(DEPLOY / "make-certificates.sh")
    return subprocess.run(["sh", script, str(folder), *names], capture_output=True, text=True, check=False)


def shake_hands(folder: Path, server: str, client: str) -> None:
    """A handshake in which each side needs a certificate of the other's, as Dask makes it."""
    sides = []
    for name, purpose in ((server, ssl.Purpose.CLIENT_AUTH), (client, ssl.Purpose.SERVER_AUTH)):
        context = ssl.create_default_context(purpose, cafile=folder / "ca.pem")
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
        context.check_hostname, context.verify_mode = False, ssl.CERT_REQUIRED
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}-key.pem")
        sides.append(context)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        sides[1].wrap_bio(to_client, to_server, server_hostname=server),
        sides[0].wrap_bio(to_server, to_client, server_side=True),
    ]
    while ends:
        for end in tuple(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_certificates_are_for_their_sides(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    made = make_certificates(folder, "node:head", "node:10.0.0.7", "user:ada")
    assert made.returncode == 0, made.stderr
    assert {path.stat().st_mode & 0o77 for path in folder.iterdir()} == {0}
    shake_hands(folder, "head", "ada")
    shake_hands(folder, "head", "10.0.0.7")
    shake_hands(folder, "10.0.0.7", "head")
    with pytest.raises(ssl.SSLError, match=r"(?i)certificate"):
        shake_hands(folder, "ada", "head")  # a user's is no scheduler's
    before = (folder / "head.pem").read_bytes()
    again = make_certificates(folder, "node:head", "user:../x", "user:bob")
    assert (again.returncode, (folder / "head.pem").read_bytes()) == (2, before)
    assert not (folder / "bob.pem").exists()
    assert make_certificates(folder, "node:ca-key").returncode == 2, "it would replace the authority's key"
    assert make_certificates(tmp_path / "other", "user:eve").returncode == 0
    (tmp_path / "other/ca.pem").write_bytes((folder / "ca.pem").read_bytes())
    with pytest.raises(ssl.SSLError, match=r"(?i)certificate"):
        shake_hands(folder, "head", "../other/eve")


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None or "GITBATCH_DEPLOY" not in os.environ,
    reason="systemd is not installed, or GITBATCH_DEPLOY is not set",
)
def test_systemd_knows_every_setting_of_the_units(tmp_path: Path) -> None:
    units = sorted(DEPLOY.glob("systemd/*.service"))
    shutil.copytree("/lib/systemd/system", tmp_path / "lib/systemd/system", symlinks=True)
    programs = tmp_path / "opt/gitbatch/bin"
    programs.mkdir(parents=True)
    for name in ("dask", "gitbatch"):
        (programs / name).touch(0o755)
    for unit in units:
        shutil.copy(unit, tmp_path / "lib/systemd/system")
    names = [unit.name for unit in units]
    command = ["systemd-analyze", "verify", "--man=no", f"--root={tmp_path}", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    bad = tmp_path / "lib/systemd/system" / names[0]
    bad.write_text(bad.read_text().replace("NoNewPrivileges=", "NoNewPrivilege="))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Unknown key 'NoNewPrivilege'" in done.stderr
