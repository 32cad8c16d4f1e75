"""The files that rescue refs keep, for people."""

import shlex

from gitbatch.batch.history.rescued_files import RescuedFile
from gitbatch.view.block import Block, Cell, StyledLine, TextTable, make_line


def render_rescued_files(files: tuple[RescuedFile, ...]) -> Block:
    """Returns the kept files for people, by batch, with the commands for the last one."""
    if not files:
        return (make_line("nothing is kept"),)
    parts: list[StyledLine | TextTable] = []
    for batch in dict.fromkeys(file.batch for file in files):
        rows = tuple(_file_row(file) for file in files if file.batch == batch)
        parts += [make_line(("batch ", "bold"), (batch, "bold")), TextTable(rows)]
    last = files[-1]
    look = make_line(f"look:  git show {last.ref}")
    take = make_line(
        f"take:  gitbatch rescue take {shlex.quote(last.name)}   (writes the file to your checkout)"
    )
    return (*parts, look, take)


def _file_row(file: RescuedFile) -> tuple[Cell, ...]:
    state = f"attempt {file.attempt}" if file.attempt else "finished"
    why = f"  {file.reason}" if file.reason else "  not merged"
    return (file.name,), ((state, "yellow"),), ((file.path, "cyan") if file.path != file.name else "", why)
