"""Converting the tables of gitbatch.toml, setting by setting, so that every problem is found and not only the first."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from gitbatch.patterns import compile_later
from gitbatch.plan.help_texts import Advice
from gitbatch.plan.spelling import nearest
from gitbatch.project import help_texts
from gitbatch.project.toml_places import Path

_T = TypeVar("_T")
_S = TypeVar("_S", bound=Struct)

_INDEX = compile_later(r"\[(\d+)\]")


class ConfigProblem(Struct, frozen=True):
    """A problem of one setting."""

    path: Path
    message: str
    advice: Advice = help_texts.SEE_SETTINGS
    shown: str | None = None
    """The path as the message shows it, where it is not that of the place."""
    is_of_name: bool = False
    """The name of the setting is the problem, not its value."""

    @property
    def text(self) -> str:
        """Returns the message with the path."""
        path = format_path(self.path) if self.shown is None else self.shown
        return f"{self.message} - at `{path}`" if path != "$" else self.message


def format_path(path: Path) -> str:
    """Returns a path as msgspec shows it: `$.batch.jobs`, `$.project.shared[0]`."""
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def read_table(raw: object, wanted: type[_S], path: Path, problems: list[ConfigProblem]) -> _S | None:
    """Returns a table with its valid settings; None if it is not a table, or lacks a required setting.

    Args:
        raw: the table as TOML has it.
        wanted: its type.
        path: its path.
        problems: gets all problems of its settings.
    """
    valid = _keep_valid(raw, wanted, path, problems)
    return None if valid is None else read_value(valid, wanted, path, problems)


def _keep_valid(
    raw: object, wanted: type[Struct], path: Path, problems: list[ConfigProblem]
) -> dict[str, Any] | None:
    """Returns the valid settings of a table, in tables in it too; None if it is not a table, or lacks a required one."""
    table = read_value(raw, dict[str, Any], path, problems)
    if table is None:
        return None
    known = {field.encode_name: field for field in fields(wanted)}
    good: dict[str, Any] = {}
    for name, value in table.items():
        at = (*path, name)
        if name == wanted.__struct_config__.tag_field:
            good[name] = value
        elif name not in known:
            problems.append(_unknown_setting(name, path, known))
        elif inner := _find_table_type(known[name].type):
            good[name] = _keep_valid(value, inner, at, problems)
        elif read_value(value, known[name].type, at, problems) is not None:
            good[name] = value
    required = {name for name, field in known.items() if field.required}
    missing = (name for name in known if name in required and name not in table)
    problems += [ConfigProblem(path, f"Object missing required field `{name}`") for name in missing]
    good = {name: value for name, value in good.items() if value is not None}
    return good if good.keys() >= required else None


def read_value(raw: object, wanted: type[_T], path: Path, problems: list[ConfigProblem]) -> _T | None:
    """Returns a value of a type; None if it cannot be converted, with its problems in `problems`."""
    try:
        return msgspec.convert(raw, wanted)
    except msgspec.ValidationError as error:
        problems += _find_value_problems(raw, wanted, path, error)
        return None


def _find_table_type(wanted: Any) -> type[Struct] | None:  # noqa: ANN401 - any annotation
    """Returns the type of the table that a setting is, if it is one."""
    kinds = (wanted, *get_args(wanted))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Struct)), None)


def _find_value_problems(
    raw: object,
    wanted: Any,  # noqa: ANN401 - any annotation
    path: Path,
    first: msgspec.ValidationError,
) -> Iterator[ConfigProblem]:
    """Yields the problem of a value, or those of all elements of an array."""
    left = list(enumerate(raw)) if isinstance(raw, list) else []
    error: msgspec.ValidationError | None = first
    while error is not None:
        said, _, where = str(error).partition(" - at `$")
        index = _INDEX.match(where)
        place = (*path, left[int(index[1])][0]) if index and left else path
        rest = where.rstrip("`")[index.end() if index and left else 0 :]
        yield ConfigProblem(place, said, _advise_choice(raw, wanted), format_path(place) + rest)
        if not index or not left:
            return
        del left[int(index[1])]
        error = _conversion_error([value for _, value in left], wanted)
        if error and not _INDEX.match(str(error).partition(" - at `$")[2]):
            return  # a length that is wrong only without these elements


def _conversion_error(raw: object, wanted: Any) -> msgspec.ValidationError | None:  # noqa: ANN401 - any annotation
    try:
        msgspec.convert(raw, wanted)
    except msgspec.ValidationError as error:
        return error
    return None


def _unknown_setting(name: str, path: Path, known: Mapping[str, object]) -> ConfigProblem:
    near = suggest_name(name.replace("_", "-"), known)
    advice = _with_meant(near, help_texts.SEE_SETTINGS)
    message = f"Object contains unknown field `{name}`"
    return ConfigProblem((*path, name), message, advice, format_path(path), is_of_name=True)


def _advise_choice(raw: object, wanted: Any) -> Advice:  # noqa: ANN401 - any annotation
    """Returns the values that a setting may have, if they are few, with the one that was probably meant."""
    literal = next((kind for kind in (wanted, *get_args(wanted)) if get_origin(kind) is Literal), None)
    if literal is None:
        return help_texts.SEE_SETTINGS
    return advise_names(raw, get_args(literal))


def advise_names(raw: object, names: tuple[str, ...], advice: Advice = help_texts.USE_ONE_OF) -> Advice:
    """Returns an advice that lists names, with the one that was probably meant."""
    near = suggest_name(raw, names) if isinstance(raw, str) else None
    return _with_meant(near, advice.fill(names=", ".join(names)))


def _with_meant(near: str | None, advice: Advice) -> Advice:
    return help_texts.MEANT_NAME.fill(near=near, advice=advice) if near else advice


def suggest_name(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str | None:
    """Returns the name that was probably meant; short names are near only at one edit."""
    return nearest(name[:80], known, 1 if len(name) < 6 else 2)
