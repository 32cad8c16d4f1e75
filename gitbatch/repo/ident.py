"""Who a commit names, as git writes it."""

from msgspec import Struct


class Ident(Struct, frozen=True):
    """Who a commit names as author or committer, and when (seconds since the epoch, UTC)."""

    name: str
    email: str
    when: int


def variables(role: str, who: Ident) -> dict[str, str]:
    """What tells git who is who; `role`: AUTHOR or COMMITTER."""
    return {
        f"GIT_{role}_NAME": harmless(who.name),
        f"GIT_{role}_EMAIL": harmless(who.email),
        f"GIT_{role}_DATE": f"@{who.when} +0000",
    }


def parse_signature(text: str) -> Ident:
    """The signature that a commit has in a line of its head."""
    name, _, rest = text.partition(" <")
    email, _, when = rest.partition("> ")
    return Ident(name, email, int(when.split(" ")[0]))


def harmless(name: str) -> str:
    """A name as git would write it into a commit: without what delimits it there."""
    return "".join(c for c in name if c not in "<>\n\0").strip()
