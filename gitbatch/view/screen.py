"""The lines of the live view: a pure function of the state, the size of the terminal and the time.

No line is ever wider than the terminal, and they never fill it: what redraws them relies on both. Rows are cut here, as
rich's own ways to shorten what overflows print rows twice.
"""

from collections.abc import Callable

from msgspec import Struct

from gitbatch.limits.usage import format_dollars
from gitbatch.text import display_width, format_count
from gitbatch.view.block import Part, StyledLine
from gitbatch.view.cutting import cut_end, cut_start, pad_end
from gitbatch.view.live_state import EndedItem, LiveState, RunningItem
from gitbatch.view.review import STYLES

SILENT = 60.0
"""Seconds after which an agent that shows nothing is marked."""
_MARGIN = 4
"""Rows of the terminal that stay free of the live view."""
_FRAMES = {False: "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", True: "|/-\\"}
"""Of the spinner, without and with a limited encoding."""
_RATE = 8
"""Frames of the spinner in a second."""
_BARS = ((100, 30), (60, 12))
"""The columns from which the bar has a width."""
_SHARE = 3
"""The part of the rows that failures may take."""
_MINUTE, _HOUR = 60, 3600
HELP = (
    "p  pause when the running items are done; gitbatch run resumes",
    "k  stop one item: it fails, and the others continue",
    "?  show or hide this help; Ctrl-C interrupts the run",
)


class Look(Struct, frozen=True):
    """What a terminal can show."""

    width: int
    height: int
    is_limited: bool = False
    """Whether its encoding lacks characters."""
    has_colour: bool = True
    fit: Callable[[str], str] = str
    """Returns a text as the terminal shows it."""


class Asking(Struct, frozen=True):
    """What the keys are used for."""

    has_keys: bool = False
    """Whether keys are read at all."""
    shows_help: bool = False
    is_pausing: bool = False
    """Whether the run pauses once the running items have ended."""
    question: str | None = None
    """A question with what has been typed so far; None: nothing is asked."""


def render_screen(state: LiveState, look: Look, now: float, asking: Asking) -> tuple[StyledLine, ...]:
    """Returns the lines of the live view, the overall line first: at most the height of the terminal less 4, at least one.

    Args:
        state: what is shown.
        look: the terminal.
        now: seconds since the epoch.
        asking: what the keys are used for.
    """
    room = max(1, look.height - _MARGIN)
    width = max(1, look.width - 1)  # a full line would end on the next row in some terminals
    lines = [_overall_line(state, look, now, asking, width)]
    if asking.question is not None:
        lines.append(StyledLine(((cut_end(look.fit(asking.question), width, look.fit("…")), "bold yellow"),)))
    if asking.shows_help:
        lines += [StyledLine(((cut_end(look.fit(text), width, look.fit("…")), "dim"),)) for text in HELP]
    rows = _Rows(look, width, now)
    left = max(0, room - len(lines))
    failed = rows.render_failures(
        tuple(state.failures.values()), max(left // _SHARE, left - len(state.running))
    )
    running = rows.render_running(tuple(state.running.values()), left - len(failed))
    return (*lines, *failed, *running)[:room]


def format_clock(seconds: float) -> str:
    """Returns a time as a clock shows it: 0:07, 2:05, 1:02:05."""
    whole = max(0, int(seconds))
    if whole < _HOUR:
        return f"{whole // _MINUTE}:{whole % _MINUTE:02}"
    return f"{whole // _HOUR}:{whole % _HOUR // _MINUTE:02}:{whole % _MINUTE:02}"


def _spin(look: Look, now: float) -> str:
    frames = _FRAMES[look.is_limited]
    return frames[int(now * _RATE) % len(frames)]


def _overall_line(state: LiveState, look: Look, now: float, asking: Asking, width: int) -> StyledLine:
    """Returns the line for the whole batch: the parts that fit, the important ones first."""
    parts: list[Part] = [(_spin(look, now), "cyan"), " ", *_render_bar(state, look)]
    parts.append(f"{state.done} of {format_count(state.items, 'item')}")
    used = sum(display_width(part if isinstance(part, str) else part[0]) for part in parts)
    if used > width:
        return StyledLine((cut_end(f"{state.done} of {state.items}", width, look.fit("…")),))
    for text, style in _overall_parts(state, now, asking):
        fitted = look.fit(text)
        if used + 2 + display_width(fitted) <= width:
            parts += ["  ", (fitted, style)]
            used += 2 + display_width(fitted)
    return StyledLine(tuple(parts))


def _overall_parts(state: LiveState, now: float, asking: Asking) -> tuple[tuple[str, str], ...]:
    """Returns the parts of the overall line behind the count, each with its style."""
    left = state.estimate_left(now)
    waits = state.opens > now
    parts = (
        (waits, f"waiting {state.opens - now:.0f} s: {state.wait_reason}", "yellow"),
        (asking.is_pausing, "pausing", "yellow"),
        (bool(state.failures), f"{len(state.failures)} failed", "red"),
        (state.began is not None, format_clock(now - (state.began or now)), ""),
        (left is not None, f"~{format_clock(left or 0.0)} left", ""),
        (state.cost is not None, format_dollars(round(state.cost or 0.0, 4)), ""),
        (bool(state.running), f"{len(state.running)} running", "dim"),
        (asking.has_keys, "? help", "dim"),
    )
    return tuple((text, style) for is_shown, text, style in parts if is_shown)


def _render_bar(state: LiveState, look: Look) -> tuple[Part, ...]:
    """Returns the bar of the batch; its two parts differ also without colour. Narrow terminals have none."""
    size = next((columns for least, columns in _BARS if look.width >= least), 0)
    done = min(size, size * state.done // (state.items or 1))
    if not size:
        return ()
    if look.is_limited or not look.has_colour:
        return (f"[{'#' * done}{'-' * (size - done)}] ",)
    return (("━" * done, "green"), ("━" * (size - done), "bright_black"), " ")


class _Rows(Struct, frozen=True):
    """Renders rows for one size at one time."""

    look: Look
    width: int
    now: float

    def render_running(self, items: tuple[RunningItem, ...], room: int) -> tuple[StyledLine, ...]:
        """Returns a row for each item, those that started first on top, and a line for what does not fit."""
        if len(items) <= room:
            return self._render_items(items)
        shown = max(0, room - 1)
        if room < 1:
            return ()
        hidden = items[shown:]
        slowest = min(hidden, key=lambda each: each.since)
        text = f"… and {len(hidden)} more (slowest: {slowest.name} {format_clock(self.now - slowest.since)})"
        return (*self._render_items(items[:shown]), self._cut_line(text, "dim"))

    def render_failures(self, items: tuple[EndedItem, ...], room: int) -> tuple[StyledLine, ...]:
        """Returns a row for each item that failed, the last ones if there are too many."""
        if not items or room < 1:
            return ()
        shown = items if len(items) <= room else items[len(items) - room + 1 :]
        more = len(items) - len(shown)
        names = self._name_width(tuple(each.name for each in shown))
        rows = tuple(self._render_failure(each, names) for each in shown)
        return (*((self._cut_line(f"… and {more} more failed", "red"),) if more else ()), *rows)

    def _cut_line(self, text: str, style: str) -> StyledLine:
        return StyledLine(((cut_end(self.look.fit(text), self.width, self.look.fit("…")), style),))

    def _name_width(self, names: tuple[str, ...]) -> int:
        """Returns the columns of the ids: the widest one has room, unless it would take more than half of the row."""
        widest = max((display_width(self.look.fit(name)) for name in names), default=0)
        return max(1, min(widest, max(12, self.width // 2), self.width - 2))

    def _render_items(self, items: tuple[RunningItem, ...]) -> tuple[StyledLine, ...]:
        names = self._name_width(tuple(each.name for each in items))
        return tuple(self._render_item(each, names) for each in items)

    def _render_item(self, item: RunningItem, names: int) -> StyledLine:
        quiet = 0.0 if item.heard is None else self.now - item.heard
        is_silent = quiet >= SILENT
        mark = ("!", "bold yellow") if is_silent else (_spin(self.look, self.now), "cyan")
        said = [(format_clock(self.now - item.since).rjust(5), "")]
        if is_silent:
            said.append((f"silent {format_clock(quiet)}", "yellow"))
        if item.is_early:
            said.append(("early", "cyan"))
        if item.host:
            said.append((f"on {item.host}", "dim"))
        if item.whole_cost is not None:
            said.append((format_dollars(round(item.whole_cost, 4)), "dim"))
        return self._fill_row(mark, (item.name, "bold"), names, (*said, (item.line, "dim")))

    def _render_failure(self, item: EndedItem, names: int) -> StyledLine:
        style = STYLES[item.status]
        said = ((str(item.status), style), (item.reason, "dim"))
        return self._fill_row(("x" if self.look.is_limited else "✗", style), (item.name, style), names, said)

    def _fill_row(
        self, mark: tuple[str, str], name: tuple[str, str], names: int, rest: tuple[tuple[str, str], ...]
    ) -> StyledLine:
        """Returns a row: the mark, the id, and of the rest what fits; the last part is cut."""
        ellipsis = self.look.fit("…")
        fitted = cut_start(self.look.fit(name[0]), names, ellipsis)
        parts: list[Part] = [mark, " ", (pad_end(fitted, names), name[1])]
        left = self.width - 2 - names
        for number, (text, style) in enumerate(rest, 1):
            shown = self.look.fit(text)
            if number == len(rest):
                shown = cut_end(shown, max(0, left - 2), ellipsis)
            if shown and display_width(shown) + 2 <= left:
                parts += ["  ", (shown, style)]
                left -= display_width(shown) + 2
        return StyledLine(tuple(parts)) if self.width > 2 else StyledLine((fitted[: self.width],))
