"""The mode and the model of a session: how each is set, from what the agent offers. Pure.

A mode can be offered in two ways: as an option of the category `mode`, whose answer says what is in force, or as a mode.
Adapters begin in a mode that asks for nothing, so the mode is always set, even if it is said to be in force, and read back.
"""

from collections.abc import Iterator

from msgspec import Struct

from gitbatch.agents.acp.events import is_of_category
from gitbatch.agents.acp.message import ConfigOption, ModeOption, NewSession


class SessionSetting(Struct, frozen=True):
    """A request that sets something: its method, and its parameters besides the session."""

    method: str
    value: str
    option: str = ""
    """The id of the option, if it is one."""


def find_mode(session: NewSession, mode: str) -> SessionSetting | None:
    """Returns the request that sets a mode; None if the agent does not offer it."""
    listed = session.modes.available_modes if session.modes else ()
    as_mode = SessionSetting("session/set_mode", mode) if any(each.id == mode for each in listed) else None
    return _find_option(session, "mode", mode) or as_mode


def find_model(session: NewSession, model: str) -> SessionSetting | None:
    """Returns the request that sets a model; None if the agent does not offer it."""
    if session.models and any(each.model_id == model for each in session.models.available_models):
        return SessionSetting("session/set_model", model)
    return _find_option(session, "model", model)


def offered_modes(session: NewSession) -> tuple[str, ...]:
    """Returns the ids of the modes that the agent offers."""
    listed = session.modes.available_modes if session.modes else ()
    of_options = (
        value
        for option in session.config_options or ()
        if is_of_category(option, "mode")
        for value in _values(option)
    )
    return tuple(dict.fromkeys((*(mode.id for mode in listed), *of_options)))


def _find_option(session: NewSession, category: str, value: str) -> SessionSetting | None:
    for option in session.config_options or ():
        if is_of_category(option, category) and value in _values(option):
            return SessionSetting("session/set_config_option", value, option.id)
    return None


def _values(option: ConfigOption) -> Iterator[str]:
    yield from _leaves(option.options)


def _leaves(options: tuple[ModeOption, ...]) -> Iterator[str]:
    for option in options:
        if option.options:
            yield from _leaves(option.options)
        elif option.value:
            yield option.value
