"""The active phase: the one that CLAUDE.md names (rule O2). Exactly one, or an error; never a guess."""

import re
from collections.abc import Iterator, Mapping

from gitbatch.errors import FilePlace, PlanError
from gitbatch.patterns import compile_later
from gitbatch.plan.findings import quoted
from gitbatch.plan.help_texts import Advice, Language
from gitbatch.plan.inline import HIDDEN, Inline, Piece, SpanKind, one_line, scan
from gitbatch.plan.outline import Heading, outline
from gitbatch.plan.titles import matches, normalise, suggestion
from gitbatch.project.config import Config
from gitbatch.project.phases import Phase, Phases
from gitbatch.project.sections import decode_link, read_section, require_text
from gitbatch.project.snapshot import Snapshot

SCOPE_FILE = "CLAUDE.md"

_GERMAN = ("Aktiver Scope",)
_ONE_SECTION = Advice("keep one of them, naming one phase", "behalte einen davon, der eine Phase nennt")
_STATE_PHASE = Advice(
    "write in CLAUDE.md:\n\n## Active Scope\n\nPhase: {name}",
    "schreibe in CLAUDE.md:\n\n## Aktiver Scope\n\nPhase: {name}",
)
_ONE_OF = Advice("{state}\n\nNAME is one of {names}", "{state}\n\nNAME ist eine von {names}")
_SHOWN = 10
"""Names of phases in a help text."""
_KEEP_ACTIVE = Advice("keep the active one, or {state}", "behalte die aktive, oder {state}")
_CREATE_FOLDER = Advice(
    "create and commit the folder with its task.md, or {state}",
    "lege den Ordner mit seiner task.md an und committe ihn, oder {state}",
)
_RENAME_SECTION = Advice(
    "call it “{title}”, or allow its title in gitbatch.toml (titles.scope), or call it something else",
    "nenne ihn „{title}“, oder erlaube seinen Titel in gitbatch.toml (titles.scope), oder nenne ihn ganz anders",
)
_STATED = compile_later(r"^(?:aktive\s+|active\s+)?phase\s*:\s*(.+)$", re.IGNORECASE)
_EMPHASIS = compile_later(r"\*+|(?<![\w`\\])_+|_+(?![\w`])")
_STRUCK = compile_later(r"~~.*?~~")
_SYNTAX = compile_later(r"\\(?=[!-/:-@\[-`{-~])")
_MARKERS = compile_later(r"^[\s>#]*(?:(?:[-*+]|[0-9]{1,9}[.)])\s+)?(?:\[[ xX]\]\s+)?")
_CODE = compile_later(f"{HIDDEN}([0-9]+);")
"""Stands for a code span, in which there are no marks of Markdown."""
_CELL = compile_later(r"(?<!\\)\|")


def find_active_phase(snapshot: Snapshot, config: Config) -> Phase | None:
    """Returns the phase that CLAUDE.md names; None without a CLAUDE.md or without a scope section in it.

    Raises:
        PlanError: CLAUDE.md is not readable text; the section does not name exactly one phase with a folder, or its
            title is not quite a known one.
    """
    source = snapshot.read(SCOPE_FILE) or b""
    require_text(SCOPE_FILE, source)
    headings = outline(source)
    sections = [heading for heading in headings if matches(heading.title, config.scope_titles)]
    if not sections:
        _refuse_near_titles(headings, config)
        return None
    language = _language_of(sections[0].title)
    if len(sections) > 1:
        message, place = "CLAUDE.md has more than one scope section", FilePlace(SCOPE_FILE, sections[1].line)
        raise PlanError(message, _ONE_SECTION.in_language(language), place=place)
    phases = Phases(snapshot, config)
    try:
        return _require_one(_find_phases(_section_lines(source, sections[0]), phases), phases, language)
    except PlanError as error:
        error.place = FilePlace(SCOPE_FILE, sections[0].line)
        raise


def find_language(snapshot: Snapshot, config: Config) -> Language:
    """Returns the language of the project: that of the title of its scope section."""
    titles = (heading.title for heading in outline(snapshot.read(SCOPE_FILE) or b""))
    return _language_of(next((title for title in titles if matches(title, config.scope_titles)), ""))


def _language_of(title: str) -> Language:
    return Language.DE if matches(title, _GERMAN) else Language.EN


def _require_one(named: dict[str, Phase], phases: Phases, language: Language) -> Phase:
    """Returns the only phase that is named, if it has a folder."""
    state = _advise(phases)
    if not named:
        raise PlanError("the scope section of CLAUDE.md names no phase", state.in_language(language))
    if len(named) > 1:
        both = ", ".join(sorted(phase.name for phase in named.values()))
        raise PlanError(
            f"the scope section of CLAUDE.md names more than one phase: {both}",
            _KEEP_ACTIVE.fill(state=state).in_language(language),
        )
    (phase,) = named.values()
    if not phases.exists(phase):
        raise PlanError(
            f"phase {phase.name} has no folder {phase.folder}",
            _CREATE_FOLDER.fill(state=state).in_language(language),
        )
    return phase


def advise_phase(snapshot: Snapshot, config: Config) -> Advice | None:
    """Returns how to name one of the phases that have a folder; None if there are none."""
    phases = Phases(snapshot, config)
    return _advise(phases) if phases.known else None


def _advise(phases: Phases) -> Advice:
    names = [phase.name for phase in phases.known]
    state = _STATE_PHASE.fill(name=names[0] if len(names) == 1 else "NAME")
    if len(names) < 2:
        return state
    more = ", …" if len(names) > _SHOWN else ""
    return _ONE_OF.fill(state=state, names=f"{', '.join(names[:_SHOWN])}{more}")


def _refuse_near_titles(headings: tuple[Heading, ...], config: Config) -> None:
    """Refuses a title that begins like that of a scope section, or is a typing error away from it."""
    for heading in headings:
        near = suggestion(heading.title, config.scope_titles)
        if near and (heading.name.startswith(normalise(near)) or normalise(near) not in heading.name):
            raise PlanError(
                f"{SCOPE_FILE}:{heading.line}: {quoted(heading.title)} is not a known title",
                _RENAME_SECTION.fill(title=near).in_language(_language_of(near)),
                place=FilePlace(SCOPE_FILE, heading.line),
            )


def _section_lines(source: bytes, section: Heading) -> Iterator[Inline]:
    """Yields the lines of a section, after what stands in brackets in its title."""
    yield scan(section.title.partition("(")[2])
    yield from read_section(source, section)


def _find_phases(lines: Iterator[Inline], phases: Phases) -> dict[str, Phase]:
    """Returns the phases that lines name, by folder.

    Links and `Phase: NAME` decide. Without them, any name or path in the text counts, then links to other folders. What
    stands behind `Phase:` and is not the name of a folder may be a title, if a phase is named by its path.
    """
    linked, paths, names, stated, others = (set[Phase]() for _ in range(5))
    for line in lines:
        links = {link: decode_link(link) for link in line.pieces if link.kind is SpanKind.LINK}
        found = {link: phases.find_linked(target) for link, target in links.items()}
        linked.update(filter(None, found.values()))
        elsewhere = (target for link, target in links.items() if not found[link])
        others.update(filter(None, map(phases.find_other_folder, elsewhere)))
        text = _plain_text(line, {link: "" if found[link] else _link_text(line, link) for link in links})
        paths.update(phases.find_paths(text))
        names.update(phases.find_names(text))
        stated.update(_find_stated(text, phases))
    explicit = linked | set(filter(phases.exists, stated))
    named = explicit or (paths or stated if stated else paths | names) or others
    return {phase.folder: phase for phase in named}


def _find_stated(text: str, phases: Phases) -> Iterator[Phase]:
    """Yields the phases that stand behind `Phase:` in a line of plain text, whether they exist or not."""
    for cell in _CELL.split(text):
        stated = _STATED.match(_MARKERS.sub("", cell))
        if stated:
            yield from phases.find_stated(stated[1])


def _link_text(line: Inline, link: Piece) -> str:
    """Returns the label of a link, with its target if that is a path."""
    label = line.text[link.start : link.end].rpartition("](")[0].partition("[")[2]
    target = decode_link(link)
    return label if ":" in target else f"{label} {target}"


def _plain_text(line: Inline, links: Mapping[Piece, str]) -> str:
    """Returns a line without comments and the marks of Markdown, and with texts instead of its links."""
    parts, position = [], 0
    codes = [piece for piece in line.pieces if piece.kind is SpanKind.CODE]
    for piece in line.pieces:
        between = f"{HIDDEN}{codes.index(piece)};" if piece in codes else f" {links.get(piece, '')} "
        parts += [line.text[position : piece.start], between]
        position = piece.end
    bare = _STRUCK.sub(" ", one_line("".join((*parts, line.text[position:])), ()))
    text = _MARKERS.sub("", _SYNTAX.sub("", _EMPHASIS.sub("", bare)))
    return _CODE.sub(lambda found: codes[int(found[1])].content, text)
