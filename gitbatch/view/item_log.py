"""The log of an item, for people."""

import time

from gitbatch.agents.protocol import OutputStream
from gitbatch.batch.history.item_log import LogKind, LogLine
from gitbatch.view.block import StyledLine, make_line

_STYLES = {LogKind.START: "bold", LogKind.END: "bold", LogKind.AGAIN: "yellow", LogKind.WAIT: "yellow"}


def render_log_line(line: LogLine) -> StyledLine:
    """Returns a line with its time; `!` marks standard error, `|` what else the agent showed."""
    shown = time.strftime("%H:%M:%S", time.localtime(line.at))
    mark = " "
    if line.kind is LogKind.LINE:
        mark = "!" if line.stream is OutputStream.ERROR else "|"
    style = _STYLES.get(line.kind, "red" if mark == "!" else "")
    return make_line((f"{shown} {mark} ", "dim"), (line.text, style))
