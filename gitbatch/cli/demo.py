"""`gitbatch demo`: a sample repository and a real batch on it, without a key."""

import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer


def demo(
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="[DIR]", help="Where to make the sample repository; must not exist or be empty."
        ),
    ] = Path("gitbatch-demo"),
) -> None:
    """Make a sample repository and run its plan: three groups, one item that fails for a real reason."""
    from gitbatch.cli.batch import Options, run_command
    from gitbatch.cli.common import opened
    from gitbatch.errors import GitbatchError, UsageError
    from gitbatch.repo.sample import make_repository
    from gitbatch.resources import resource
    from gitbatch.sandbox.find import find_sandbox
    from gitbatch.sandbox.model import SandboxKind

    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory} exists and is not empty", "name another folder: gitbatch demo DIR")
    make_repository(resource("repos/demo"), directory)
    typer.echo(
        f"made {directory}: a small package, and a plan to document it (docs/phases/reference/task.md)\n"
    )
    options = Options(None, "all", "at-end", None, None, None, no_input=True, json=False, directory=directory)
    try:
        find_sandbox(SandboxKind.AUTO)
    except GitbatchError as error:
        typer.echo(f"{error.message}; the demo's agents are ours and run without\n")
        options = replace(options, sandbox=SandboxKind.NONE)
    run_command(options)
    typer.echo("\nthe story, as git tells it:  git log --first-parent --oneline\n")
    with opened(directory) as repo:
        typer.echo(repo.git.text("log", "--first-parent", "--format=  %h %s"))
    program = "gitbatch" if shutil.which("gitbatch") else shlex.quote(str(Path(sys.argv[0]).resolve()))
    typer.echo(_NEXT.format(directory=shlex.quote(str(directory)), gitbatch=program))


_NEXT = """
Look around:
  cd {directory}
  git log --graph --oneline            every subagent's one-file commit
  git show                             the last checkpoint: ticks, status, decisions
  cat docs/reference/rules.md          a page that an agent wrote
  {gitbatch} status                      what failed, and why

One module is Python 2, so its page failed and the cheat sheet that needs it was not started.
Mend it and run again; only what is open runs:
  sed -i 's/^\\( *\\)print \\(.*\\)$/\\1print(\\2)/' almanac/yearsheet.py
  git commit -am "Make yearsheet Python 3" && {gitbatch} run --items all --checkpoint at-end"""
