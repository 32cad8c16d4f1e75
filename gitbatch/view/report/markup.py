"""The elements of a report's page: the only place that makes HTML or SVG, and the only place that escapes text.

Every text becomes part of the page here, without control, invisible and direction-changing characters, and with `<`, `>`,
`&` and quotes as references. Elements and attributes are those of a fixed list that has no script, no style, no event
handler and no address but the id of a commit of the same page. The page is well-formed XML, too.
"""

import html
from collections.abc import Iterable

from gitbatch.patterns import compile_later
from gitbatch.text import clean_lines

_LONGEST = 20_000
"""Characters of a text."""
_ELEMENT_NAMES = """
    article body caption code dd details div dl dt em figcaption figure footer g h1 h2 h3 h4 head header html li line main meta
    ol p path pre rect section small span strong summary svg table tbody td text th thead time title tr ul
"""
_ELEMENTS = frozenset(_ELEMENT_NAMES.split())
_VOID = frozenset({"meta"})
_ATTRIBUTE_NAMES = """
    aria-label charset class colspan content d datetime height http-equiv id lang name role rx scope tabindex text-anchor
    viewBox width x x1 x2 y y1 y2
"""
_ATTRIBUTES = frozenset(_ATTRIBUTE_NAMES.split())
_SHORT = 12
"""Characters of the id of a commit that are shown."""
_ID = compile_later(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Markup(str):
    """A piece of the page, made by this module. Any other text is escaped where it is put into an element."""

    __slots__ = ()


Content = Markup | str


def make_element(tag: str, *content: Content, **attributes: str | float) -> Markup:
    """Returns an element with its content and attributes.

    Args:
        tag: the name of the element, of the fixed list.
        content: pieces of the page, and texts, which are escaped.
        attributes: by name, with `_` for each `-`, and one `_` at the end that is dropped; values are escaped.
    """
    if tag not in _ELEMENTS:
        raise KeyError(tag)
    head = "".join(map(_render_attribute, attributes, attributes.values()))
    if tag in _VOID:
        return Markup(f"<{tag}{head}/>")
    return Markup(f"<{tag}{head}>{join_markup(content)}</{tag}>")


def join_markup(content: Iterable[Content]) -> Markup:
    """Returns pieces one after the other; texts are escaped."""
    return Markup("".join(each if isinstance(each, Markup) else escape_text(each) for each in content))


def escape_text(text: str) -> Markup:
    """Returns a text as the page shows it: every character of it is text, wherever it stands."""
    plain = text if text.isascii() and text.isprintable() else clean_lines(text, _LONGEST)
    return Markup(html.escape(plain[:_LONGEST]))


def link_commit(oid: str, shown: Content = "") -> Markup:
    """Returns a link to a commit in the page's list of commits. What is not the id of a commit is only text."""
    if not _ID.fullmatch(oid):
        return escape_text(oid)
    return Markup(f'<a href="#{oid}">{join_markup((shown,)) if shown else oid[:_SHORT]}</a>')


def make_style(sheet: str) -> Markup:
    """Returns the style of the page: a constant of the program, never a text from anywhere else."""
    return Markup(f"<style>{sheet}</style>")


def _render_attribute(name: str, value: str | float) -> str:
    known = name.removesuffix("_").replace("_", "-")
    if known not in _ATTRIBUTES:
        raise KeyError(name)
    return f' {known}="{f"{value:g}" if isinstance(value, float) else escape_text(str(value))}"'
