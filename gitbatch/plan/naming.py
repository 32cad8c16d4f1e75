"""Which file an item writes: what it declares, else (if configured) the one path in its text, else what the template says.

Guessing is off by default: a wrong guess overwrites a file that was not meant.
"""

import unicodedata

from msgspec import Struct

from gitbatch.patterns import compile_later
from gitbatch.plan import help_texts
from gitbatch.plan.clauses import Key, Value, Wording
from gitbatch.plan.findings import Findings, quoted
from gitbatch.plan.inline import scan
from gitbatch.plan.model import PlanOptions
from gitbatch.plan.outputs import expand, is_shared, path_problem
from gitbatch.plan.source import Span
from gitbatch.plan.titles import slugify

_FILE = compile_later(r"[^\s:]*[^\s:/.]\.[A-Za-z][A-Za-z0-9]{0,7}")
_BARE_FILE = compile_later(r"(?<!\S)[\w.-]{1,100}/[\w./-]{0,400}\.[A-Za-z][A-Za-z0-9]{0,7}(?=[\s.,;:!?)]|$)")

_QUOTE = r"\"'\u2018-\u201f\u00ab\u00bb"
_MARKED = compile_later(rf"[*?\"{{]|^[{_QUOTE}<_].*[{_QUOTE}>_]$")
"""Quotation marks, emphasis, wildcards and placeholders, which other tools would take away or fill in."""


class Home(Struct, frozen=True):
    """The group that items are named in."""

    group: int
    slug: str
    options: PlanOptions


class Output(Struct, frozen=True, gc=False):
    """An item's output path, and where the plan says so (or the box, where it does not)."""

    path: str
    span: Span
    assigned: bool
    """The template named it, not the plan."""


class OutputChoice(Struct, frozen=True, gc=False):
    """What there is to choose from: an item's wording, its id, its output hint, and the place of its box."""

    wording: Wording
    id: str | None
    hint: Value | None
    box: Span


def choose_output(choice: OutputChoice, home: Home, findings: Findings) -> Output:
    """The output path of an item. Reports a declaration that is not clear, and a path that is not safe."""
    declared = _declared(choice, findings)
    guessed = None if declared or not home.options.guess_output else _guessed(choice, home, findings)
    named = (declared.text if declared else None) or guessed
    path = unicodedata.normalize("NFC", named or _assigned(choice, home))
    output = Output(path, declared.span if declared else choice.box, assigned=not named)
    if is_shared(output.path, home.options.artifacts):
        _report_artifact(output, findings)
        return output
    problem = path_problem(output.path, home.options.protected)
    if problem:
        whose = "" if declared else "assigned "
        advice = help_texts.OTHER_PATH if declared else help_texts.DECLARE_OUTPUT
        findings.error("GB222", output.span, f"the {whose}output {quoted(output.path)} {problem}", advice)
    return output


def _report_artifact(output: Output, findings: Findings) -> None:
    message = f"the output {quoted(output.path)} is a shared artifact, which only the orchestrator writes"
    advice = help_texts.CONTRIBUTE.fill(artifact=quoted(output.path.rpartition("/")[2]))
    findings.error("GB222", output.span, message, advice)


def _declared(choice: OutputChoice, findings: Findings) -> Value | None:
    """The output that a clause declares, else the one of a hint."""
    for clause in choice.wording.clauses:
        if clause.key is Key.OUTPUT and len(clause.values) > 1:
            message = f"{len(clause.values)} outputs, but an item has one"
            findings.error("GB220", clause.span, message, help_texts.SPLIT_ITEM)
    first = next(iter(choice.wording.of(Key.OUTPUT)), None)
    if first and choice.hint and choice.hint.text != first.text:
        message = f"the output hint has no effect: the item declares {quoted(first.text)}"
        findings.warning("GB302", choice.hint.span, message, help_texts.REMOVE_HINT)
    declared = first or choice.hint
    if declared and declared.is_bare and " " in declared.text:
        message = f"the output {quoted(declared.text)} has a space in it"
        findings.error("GB213", declared.span, message, help_texts.QUOTE_SPACES)
    elif declared and declared.is_bare and _MARKED.search(declared.text):
        message = (
            f"the output {quoted(declared.text)} has characters in it that are hardly a part of its name"
        )
        findings.error("GB213", declared.span, message, help_texts.QUOTE_CHARACTERS)
    return declared


def _guessed(choice: OutputChoice, home: Home, findings: Findings) -> str | None:
    inline = scan(choice.wording.title)
    spans = [piece.content for piece in inline.pieces if _FILE.fullmatch(piece.content)]
    named = dict.fromkeys([*spans, *_BARE_FILE.findall(inline.mask)])
    paths = [path for path in named if not path_problem(path, home.options.protected)]
    if len(paths) > 1:
        message = f"the text names {len(paths)} paths: which one is the output?"
        findings.error("GB221", choice.box, message, help_texts.DECLARE_OUTPUT)
        return None
    return paths[0] if paths else None


def _assigned(choice: OutputChoice, home: Home) -> str:
    template, label = home.options.output_template, choice.wording.label
    values = {
        "phase": home.options.phase,
        "folder": home.options.folder,
        "group": str(home.group),
        "group-slug": home.slug,
        "id": choice.id or "",
        "slug": slugify(label) if "{slug}" in template else "",
        "id-or-slug": choice.id or slugify(label),
    }
    return expand(template, values)
