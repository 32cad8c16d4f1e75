"""`gitbatch completion`: what a shell needs to complete commands, options and item ids.

The scripts ask `gitbatch completion SHELL --line TEXT` for the words that may follow the text before the cursor.
"""

from enum import StrEnum
from typing import Annotated

import typer

from gitbatch.cli.common import Json, print_output, use_utf_8


class Shell(StrEnum):
    """The shells with completion."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


ShellName = Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="The shell.", show_default=False)]
Line = Annotated[str | None, typer.Option(hidden=True, help="For the scripts: the text before the cursor.")]


def completion(shell: ShellName, line: Line = None, json: Json = False) -> None:
    """Show the script that lets a shell complete commands, options and item ids."""
    if line is None:
        script = SCRIPTS[shell]
        if json:
            from gitbatch.view.outputs.help import HelpOutput

            print_output(HelpOutput(topic=shell, text=script))
        else:
            typer.echo(script, nl=False)
        return
    from gitbatch.cli.completion_words import complete_line

    use_utf_8()
    for word in complete_line(line):
        typer.echo(FORMATS[shell](word.value, word.note, line))


def _format_for_bash(value: str, _: str, line: str) -> str:
    """Returns a word without what bash takes for words of their own: all up to the last `:` or `=`."""
    typed = line.rsplit(" ", maxsplit=1)[-1]
    cut = max(typed.rfind(":"), typed.rfind("=")) + 1
    return value[cut:] if value.startswith(typed[:cut]) else value


def _format_for_zsh(value: str, note: str, _: str) -> str:
    """Returns a word and its note, with a colon between them as `_describe` reads it."""
    return f"{value.replace(':', chr(92) + ':')}:{note}"


def _format_for_fish(value: str, note: str, _: str) -> str:
    return f"{value}\t{note}"


FORMATS = {
    Shell.BASH: _format_for_bash,
    Shell.ZSH: _format_for_zsh,
    Shell.FISH: _format_for_fish,
}

# Without comments: an interactive zsh that evaluates them takes them for commands. git's own completion calls `_git_batch`
# (bash) and `_git-batch` (zsh) for `git batch`.
SCRIPTS = {
    Shell.BASH: """\
_gitbatch() {
    local IFS=$'\\n'
    COMPREPLY=($(gitbatch completion bash --line "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
}
_git_batch() { _gitbatch; }
complete -o default -o bashdefault -F _gitbatch gitbatch git-batch
""",
    Shell.ZSH: """\
_gitbatch() {
    local -a lines
    lines=("${(@f)$(gitbatch completion zsh --line "${(j: :)words[1,CURRENT]}" 2>/dev/null)}")
    if [[ -n "${lines[1]}" ]]; then _describe -V gitbatch lines; else _files; fi
}
_git-batch() { _gitbatch; }
compdef _gitbatch gitbatch git-batch
""",
    Shell.FISH: """\
function __gitbatch_complete
    set -l lines (gitbatch completion fish --line (commandline -cp | string collect) 2>/dev/null)
    if test (count $lines) -gt 0
        printf '%s\\n' $lines
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c gitbatch -f -a '(__gitbatch_complete)'
complete -c git-batch -f -a '(__gitbatch_complete)'
""",
}
