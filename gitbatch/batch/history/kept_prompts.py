"""The prompts of attempts, kept as files with the log of a batch. No decision is made from them, and `gc` removes them.

A process without a sandbox can write these files, so a prompt is read without following links and is cleaned.
"""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from gitbatch.fs.nofollow import read_small
from gitbatch.fs.whole import write_new
from gitbatch.plan.model import ItemKey
from gitbatch.text import clean_lines

_FOLDER = "prompts"
_SHORT = 10
_MOST = 1000
"""The most attempts that are looked for: the number may come from a commit that another process made."""
LONGEST = 2_000_000
"""Characters of a prompt that are shown."""


class KeptPrompt(Struct, frozen=True):
    """The prompt of an attempt at an item."""

    text: str
    """Its lines, without what a terminal hides or obeys."""
    attempt: int = 0
    """The number of the attempt that was given it; 0: it was rendered again from git."""

    @property
    def is_rendered_again(self) -> bool:
        """Returns true if the prompt itself was not kept."""
        return not self.attempt


class AttemptName(NamedTuple):
    """What an attempt is known by: its item, the review that made it run again, and its number since that."""

    item: ItemKey
    review: str
    """The commit; empty: none did."""
    number: int

    @property
    def file(self) -> str:
        """The name of the file of its prompt."""
        return ".".join(filter(None, (self.item, self.review[:_SHORT], f"{self.number}.md")))


def keep_prompt(own_dir: Path, batch: str, attempt: AttemptName, prompt: str) -> None:
    """Writes the prompt of an attempt. An attempt that was interrupted has no number of its own: the next one replaces it."""
    folder, content = f"{own_dir}/{batch}/{_FOLDER}", prompt.encode(errors="replace")
    path = f"{folder}/{attempt.file}"
    with suppress(OSError):  # only a view needs it
        try:
            write_new(path, content)
        except FileNotFoundError:
            Path(folder).mkdir(parents=True, exist_ok=True)
            write_new(path, content)
        except FileExistsError:
            Path(path).unlink()
            write_new(path, content)


def read_prompt(own_dir: Path, batch: str, attempt: AttemptName) -> KeptPrompt | None:
    """Returns the prompt of the last attempt at an item that has one, up to an attempt; None if none is kept."""
    for number in range(min(attempt.number, _MOST), 0, -1):
        with suppress(OSError):
            path = f"{batch}/{_FOLDER}/{attempt._replace(number=number).file}"
            content = read_small(own_dir, path, LONGEST * 4)
            return KeptPrompt(clean_lines(content.decode(errors="replace"), LONGEST), number)
    return None
