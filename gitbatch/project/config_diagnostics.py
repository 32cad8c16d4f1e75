"""The problems of gitbatch.toml as diagnostics, each at its line and column."""

from collections.abc import Iterable, Mapping

from gitbatch.patterns import compile_later
from gitbatch.plan.findings import Findings
from gitbatch.plan.help_texts import Language
from gitbatch.plan.model import Diagnostic
from gitbatch.plan.source import Source, Span, read
from gitbatch.project import help_texts
from gitbatch.project.config_tables import ConfigProblem, format_path
from gitbatch.project.toml_places import KeyPlace, Path, find_places

CONFIG_INVALID = "GB411"
"""A setting of gitbatch.toml is unknown or invalid."""
KEY_IN_CONFIG = "GB417"
"""A value of gitbatch.toml looks like a key."""

_POSITION = compile_later(r"\(at line ([0-9]+), column ([0-9]+)\)")


def find_config_diagnostics(
    data: bytes, problems: Iterable[ConfigProblem], language: Language = Language.EN
) -> tuple[Diagnostic, ...]:
    """Returns the problems of a configuration in the order of its text, with their help in a language."""
    source = read(data)[0]
    findings = Findings(source)
    places: Mapping[Path, KeyPlace] | None = None
    for problem in problems:
        if not problem.path:
            span = _find_syntax_span(problem.message, source)
        else:
            places = find_places(source.text) if places is None else places
            span = _find_span(problem, places)
        findings.error(CONFIG_INVALID, span, problem.text, problem.advice)
    return findings.in_order(language)


def find_key_diagnostics(
    data: bytes, keys: Iterable[Path], language: Language = Language.EN
) -> tuple[Diagnostic, ...]:
    """Returns a warning for each setting whose value looks like a key; the value is not shown."""
    source = read(data)[0]
    findings, places = Findings(source), find_places(source.text)
    for path in keys:
        message = f"the value of {format_path(path).removeprefix('$.')} looks like a key"
        findings.warning(
            KEY_IN_CONFIG, _find_span(ConfigProblem(path, ""), places), message, help_texts.PASS_KEY
        )
    return findings.in_order(language)


def locate_setting(data: bytes, path: Path) -> Span:
    """Returns the span of a setting's value; of what it is in, or of the start of the text, if it does not occur."""
    return _find_span(ConfigProblem(path, ""), find_places(read(data)[0].text))


def _find_span(problem: ConfigProblem, places: Mapping[Path, KeyPlace]) -> Span:
    """Returns the span of a value; of an unknown setting, that of its name."""
    place = places.get(problem.path)
    if place:
        return place.key if problem.is_of_name else place.value
    above = (problem.path[:length] for length in range(len(problem.path) - 1, 0, -1))
    found = next((places[path] for path in above if path in places), None)
    return found.key if found else Span(0, 0)


def _find_syntax_span(message: str, source: Source) -> Span:
    """Returns the span that a message about the whole text names; else the end of what can be read."""
    found = _POSITION.search(message)
    if found and int(found[1]) <= len(source.starts):
        line = int(found[1]) - 1
        at = min(source.starts[line] + int(found[2]) - 1, source.ends[line])
        return Span(at, min(at + 1, source.ends[line]))
    end = len(source.text) if "UTF-8" in message or "at end of document" in message else 0
    return Span(end, end)
