"""The output of `gitbatch help --json`."""

from msgspec import Struct

from gitbatch.view.envelope import Envelope


class HelpTopic(Struct, frozen=True):
    """A page of the documentation, or a command."""

    name: str
    title: str


class HelpOutput(Envelope, frozen=True):
    """The topics, or one of them as text."""

    topics: tuple[HelpTopic, ...] = ()
    topic: str | None = None
    text: str | None = None
    """The page in Markdown, or the help of the command."""
