"""`gitbatch demo`: makes a sample repository and runs a batch in it, without an API key."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from gitbatch.batch.caller import SessionSettings
from gitbatch.batch.model import CheckpointMode, PauseMode
from gitbatch.cli.batch import report_end, run_session
from gitbatch.cli.common import HERE, Directory, Json, cache_dir, chosen_worktrees, open_repository_of
from gitbatch.cli.frontend import PromptFrontend
from gitbatch.cli.verbosity import show_text
from gitbatch.cli.views import Progress, ProgressKind, make_view
from gitbatch.errors import GitbatchError, UsageError
from gitbatch.repo.sample import make_repository
from gitbatch.resources import resource
from gitbatch.sandbox.model import SandboxKind
from gitbatch.sandbox.selection import select_sandbox


class DemoAgent(StrEnum):
    """The agent of the demo's items."""

    COMMAND = "command"
    ANTHROPIC = "anthropic"


def demo(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="[DIR]", help="Where to make the sample repository; must not exist or be empty."
        ),
    ] = Path("gitbatch-demo"),
    agent: Annotated[
        DemoAgent,
        typer.Option(
            help="command: programs of the sample; anthropic: the Claude agent, with a scripted server."
        ),
    ] = DemoAgent.COMMAND,
    progress: Progress = ProgressKind.AUTO,
    json: Json = False,
    base: Directory = HERE,
) -> None:
    """Make a sample repository and run its plan: three groups of a package's documentation."""
    directory = base / directory
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory} exists and is not empty", "name another folder: gitbatch demo DIR")
    over = [resource("repos/demo-claude")] if agent is DemoAgent.ANTHROPIC else []
    make_repository(directory, resource("repos/demo"), *over)
    if json:
        with agent_settings(agent, err=True) as settings, open_repository_of(directory) as repo:
            result = run_session(repo, settings, make_view(json=True), PromptFrontend(can_ask=False))
        report_end(result, directory, json=True)
        return
    show_text(
        f"made {directory}: a small package, and a plan to document it (docs/phases/reference/task.md)\n"
    )
    with agent_settings(agent) as settings, open_repository_of(directory) as repo:
        report_end(
            run_session(
                repo, settings, make_view(json=False, progress=progress), PromptFrontend(can_ask=False)
            ),
            directory,
        )
        show_text("\nthe history, as git shows it:  git log --first-parent --oneline\n")
        show_text(repo.git.read_output("log", "--first-parent", "--format=  %h %s"))
    program = "gitbatch" if shutil.which("gitbatch") else shlex.quote(str(Path(sys.argv[0]).resolve()))
    show_text(_NEXT[agent].format(directory=shlex.quote(str(directory)), gitbatch=program))


@contextmanager
def agent_settings(agent: DemoAgent, *, err: bool = False) -> Iterator[SessionSettings]:
    """Yields settings with what the demo's agents need: a sandbox where one works, or the scripted server.

    Args:
        agent: the agent.
        err: report on standard error, for programs that read standard output.
    """
    settings = SessionSettings(
        environment=dict(os.environ),
        cache_dir=cache_dir(),
        worktrees=chosen_worktrees(),
        items="all",
        checkpoint=CheckpointMode(PauseMode.AT_END),
    )
    if agent is DemoAgent.ANTHROPIC:
        from gitbatch.agents.anthropic.scripted.server import ScriptedServer

        typer.echo(_SCRIPTED, err=err)
        with ScriptedServer(nap=0.2, limit_every=10) as server:
            keys = {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": server.key}
            yield replace(settings, environment={**settings.environment, **keys})
        return
    try:
        select_sandbox(SandboxKind.AUTO)
    except GitbatchError as error:
        typer.echo(f"{error.message}; the demo's agents are ours and run without\n", err=err)
        settings = replace(settings, sandbox=SandboxKind.NONE)
    yield settings


_SCRIPTED = """\
SCRIPTED: no model answers in this demo. A server on this machine plays one, from a script: what it writes says
nothing, and what it costs is pretended. The agent, its library, its tools, the waits and the history are real.
"""

_LOOK = """
Look around:
  cd {directory}
  git log --graph --oneline        every subagent's one-file commit
  git show                         the last checkpoint: ticks, status, decisions
  cat docs/reference/rules.md      a page that an agent wrote
  {gitbatch} status                  what became of each item
"""

_NEXT = {
    DemoAgent.COMMAND: f"""{_LOOK}
One module is Python 2, so its page failed, and what needs that page was not started.
Fix it and run again; only what is open runs:
  sed -i.bak 's/^\\( *\\)print \\(.*\\)$/\\1print(\\2)/' almanac/yearsheet.py
  git commit -am "Make yearsheet Python 3"
  {{gitbatch}} run --items failed --checkpoint at-end""",
    DemoAgent.ANTHROPIC: f"""{_LOOK}
All of that was SCRIPTED. With Claude itself: name a model in gitbatch.toml, set ANTHROPIC_API_KEY, open some
boxes in docs/phases/reference/task.md again, commit, and gitbatch run.""",
}
