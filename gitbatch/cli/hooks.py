"""`gitbatch hooks`: installs, removes and shows the pre-commit hook, which rejects a subagent's commits of other files."""

import os

import typer

from gitbatch.cli.common import HERE, Directory, Json, open_repository_of, print_output, tell_waiting
from gitbatch.cli.verbosity import show_note, show_prose, show_text
from gitbatch.guard.install import install_hook, uninstall_hook
from gitbatch.guard.location import find_hook_location
from gitbatch.guard.report import hook_notes, read_hook_report
from gitbatch.repo.lock import repository_lock
from gitbatch.view.outputs.hooks import hook_output

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="The pre-commit hook: in a subagent's worktree only its file may be committed.",
)


@app.command()
def install(json: Json = False, directory: Directory = HERE) -> None:
    """Install the hook, or update it. An existing hook is kept and runs after it."""
    settings = _read_git_settings()
    with open_repository_of(directory) as found, repository_lock(found, tell_waiting) as repo:
        location = find_hook_location(repo, settings)
        change = install_hook(repo, location)
        if json:
            print_output(hook_output(read_hook_report(repo, find_hook_location(repo, settings)), change))
            return
        show_text(f"{change}  {location.hook}")
        if location.chained:
            show_text(f"your own hook runs after it, and is now {location.chained}")
        for note in hook_notes(repo, location):
            show_note(f"note: {note}")


@app.command()
def uninstall(json: Json = False, directory: Directory = HERE) -> None:
    """Remove the hook. A hook that was there before is restored."""
    settings = _read_git_settings()
    with open_repository_of(directory) as found, repository_lock(found, tell_waiting) as repo:
        location = find_hook_location(repo, settings)
        change = uninstall_hook(repo, location)
        if json:
            print_output(hook_output(read_hook_report(repo, find_hook_location(repo, settings)), change))
            return
        show_text(f"{change}  {location.hook}")


@app.command()
def status(json: Json = False, directory: Directory = HERE) -> None:
    """Show whether the hook is installed, and why it cannot be. Changes nothing."""
    settings = _read_git_settings()
    with open_repository_of(directory) as repo:
        found = read_hook_report(repo, find_hook_location(repo, settings))
    if json:
        print_output(hook_output(found))
        return
    show_prose(f"{found.state}  {found.path}")
    if found.chained:
        show_prose(f"your own hook runs after it, and is now {found.chained}")
    if found.problem:
        show_prose(f"cannot install: {found.problem}\n  {found.advice.replace(chr(10), chr(10) + '  ')}")
    for note in found.notes:
        show_prose(f"note: {note}")


def _read_git_settings() -> dict[str, str]:
    """Returns the variables that name the user's git configuration files; opening a repository removes them."""
    return {name: value for name, value in os.environ.items() if name.startswith("GIT_CONFIG_")}
