"""Values of the configuration that must not be committed, and names of variables that cannot be set."""

from collections.abc import Iterator, Mapping

from gitbatch.patterns import compile_later

VARIABLE = compile_later(r"[A-Za-z_][A-Za-z0-9_]*")
OURS = "GITBATCH_"
"""The beginning of the names of the variables that gitbatch sets."""
_KEY = compile_later(
    r"\b(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}|\b(?:gh[opusr]|github_pat|glpat|hf|xox[abpr])[_-][A-Za-z0-9_-]{10,}"
    r"|\bA(?:KIA|SIA|Iza)[A-Za-z0-9_-]{16,}|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|://[^\s/:@]*:[^\s/@]+@"
    r"|\b(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{24,}"
)
"""Keys by their prefix, passwords in addresses, and words of letters and digits that are too long to be names."""


def looks_like_key(value: str) -> bool:
    """Returns whether a value of the configuration looks like a key, which must not be committed."""
    return _KEY.search(value) is not None


def find_key_paths(name: str, value: object) -> Iterator[tuple[str, ...]]:
    """Yields the path of each text in a setting that looks like a key; in a list, that of the list.

    Args:
        name: of the setting.
        value: a text, or texts in a list or in a table; all else has no key.
    """
    if isinstance(value, Mapping):
        texts = ((key, inner) for key, inner in value.items() if isinstance(inner, str))
        yield from ((name, str(key)) for key, inner in texts if looks_like_key(inner))
    elif isinstance(value, str | tuple):
        listed = (value,) if isinstance(value, str) else value
        if any(isinstance(text, str) and looks_like_key(text) for text in listed):
            yield (name,)


def find_variable_problem(name: str, value: str) -> str | None:
    """Returns why a variable cannot be set to a value by the configuration; None: it can."""
    if not VARIABLE.fullmatch(name):
        return f"{name!r} is not the name of a variable"
    if name.startswith(OURS):
        return f"{name} is set by gitbatch"
    return f"the value of {name} holds a NUL character" if "\0" in value else None
