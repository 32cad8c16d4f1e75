"""The items of a plan: boxes of the work section, with everything that clauses and hints say about them.

An item is drafted alone (`Draft`); what concerns several (unique outputs, `after:`) is decided in `parse.py`.
"""

import re
import textwrap

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.patterns import compile_later
from gitbatch.plan import help_texts
from gitbatch.plan.blocks import Box
from gitbatch.plan.clauses import Key, Value, Wording, read_wording, report_misplaced
from gitbatch.plan.criteria import box_mark, read_references
from gitbatch.plan.findings import Findings, quoted
from gitbatch.plan.help_texts import Advice
from gitbatch.plan.hints import AGENT, CHECK_NAME, NO_CHECKS, HintSettings, read_check_names
from gitbatch.plan.model import Hints, WorkItem
from gitbatch.plan.naming import Home, Output, OutputChoice, choose_output
from gitbatch.plan.source import Source, Span

_ID = compile_later(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


class Draft(Struct, frozen=True, gc=False):
    """An item whose `hints.after` is still missing, with the names that will be in it."""

    item: WorkItem
    after: tuple[Value, ...]
    output: Output
    box: Span


def draft_item(box: Box, settings: HintSettings, home: Home, criteria: int, findings: Findings) -> Draft:
    """The item that a box of the work section is, in a plan with this number of criteria."""
    source = findings.source
    wording = read_wording(box.text, findings)
    if not wording.title:
        findings.error("GB203", box.span, "an item without a text", help_texts.SAY_WHAT_TO_DO)
    _report_below(box, findings)
    name = _id(wording, findings)
    output = choose_output(OutputChoice(wording, name, settings.output, box.span), home, findings)
    context = _context(wording, findings)
    item = WorkItem(
        output=output.path,
        id=name,
        title=wording.title,
        text=_whole_text(box, source),
        done=box.is_done(source),
        criteria=read_references(wording.of(Key.DOD), criteria, findings),
        context=tuple(dict.fromkeys(value.text for value in context if value.text)),
        hints=_with_checks(_with_agent(settings.hints, wording, findings), wording, findings),
        group=home.group,
        line=box.line + 1,
        box=box_mark(box, source),
        adds_context=any(value.is_added for value in context),
    )
    return Draft(item, (*wording.of(Key.AFTER), *settings.after), output, box.span)


def _context(wording: Wording, findings: Findings) -> tuple[Value, ...]:
    """The files that the item declares; `+` stands on all of them or on none."""
    values = wording.of(Key.CONTEXT)
    if not any(value.is_added for value in values):
        return values
    empty = next((value for value in values if value.is_added and not value.text), None)
    if empty:
        findings.error("GB213", empty.span, "“+” names no file", help_texts.WRITE_ADDED)
    odd = next((value for value in values if value.is_added is not values[0].is_added), None)
    if odd:
        message = "“+” stands on some of the context files and not on others"
        findings.error("GB213", odd.span, message, help_texts.PLUS_ON_ALL)
    return values


def _report_below(box: Box, findings: Findings) -> None:
    """Say what stands below the first paragraph as if it were a clause of the item's."""
    source = findings.source
    end = source.ends[min(box.end_line, len(source.ends)) - 1]
    if box.text.end < end:
        report_misplaced(source.text[box.text.end : end], box.text.end, findings)


def _whole_text(box: Box, source: Source) -> str:
    """The item with its sub-steps, as it is written, without the indentation that all its lines share."""
    lines = (source.raw_line(line) for line in range(box.line, min(box.end_line, len(source.starts))))
    text = "\n".join(lines)
    return textwrap.dedent(text).rstrip() if "\n" in text else text.strip()


def _id(wording: Wording, findings: Findings) -> str | None:
    """The id of the clause, else the one at the beginning of the text."""
    declared = _single(wording, Key.ID, _ID, help_texts.ID_FORM, findings)
    if declared and wording.id and declared.text != wording.id:
        message = f"the item has two ids: {quoted(wording.id)} and {quoted(declared.text)}"
        findings.error("GB212", declared.span, message, help_texts.KEEP_ONE)
    return declared.text if declared else wording.id


def _with_agent(hints: Hints, wording: Wording, findings: Findings) -> Hints:
    """The hints, with the agent that a clause names: it is stronger than a hint."""
    declared = _single(wording, Key.AGENT, AGENT, help_texts.ONE_AGENT, findings)
    if not declared:
        return hints
    if hints.agent not in {None, declared.text}:
        message = f"this clause overrides the hint agent: {quoted(hints.agent or '')}"
        findings.warning("GB302", declared.span, message, help_texts.REMOVE_HINT)
    return replace(hints, agent=declared.text)


def _with_checks(hints: Hints, wording: Wording, findings: Findings) -> Hints:
    """The hints, with the checks that a clause names: it is stronger than a hint."""
    values = wording.of(Key.CHECK)
    if not values:
        return hints
    names = [value.text for value in values]
    wrong = next((value for value in values if not re.fullmatch(CHECK_NAME, value.text)), None)
    if wrong:
        message = f"{quoted(wrong.text)} is not a valid check"
        findings.error("GB213", wrong.span, message, help_texts.WRITE_CHECKS)
        return hints
    if NO_CHECKS in names and set(names) != {NO_CHECKS}:
        where = values[names.index(NO_CHECKS)].span
        findings.error("GB213", where, "none stands with the names of checks", help_texts.WRITE_CHECKS)
        return hints
    found = read_check_names(names)
    if hints.checks not in {None, found}:
        findings.warning(
            "GB302", values[0].span, "this clause overrides the hint check", help_texts.REMOVE_HINT
        )
    return replace(hints, checks=found)


def _single(
    wording: Wording, key: Key, form: re.Pattern[str], advice: Advice, findings: Findings
) -> Value | None:
    """The one value of a clause that can have only one, if it has the right form."""
    values = wording.of(key)
    if not values:
        return None
    wrong = next((value for value in values if not form.fullmatch(value.text)), None)
    if wrong:
        findings.error(
            "GB213", wrong.span, f"{quoted(wrong.text)} is not a valid {key.value.lower()}", advice
        )
        return None
    several = next((c for c in wording.clauses if c.key is key and len(c.values) > 1), None)
    if several:
        message = f"an item has one {key.value.lower()}"
        findings.error("GB213", several.values[1].span, message, help_texts.KEEP_ONE_VALUE)
    return values[0]
