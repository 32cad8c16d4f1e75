"""Pages of the documentation in a terminal."""

from pathlib import Path

import pytest

from gitbatch.text import display_width
from gitbatch.view.help_page import render_page

DOCS = Path(__file__).parent.parent.parent / "docs"

PAGE = """\
# A title that is longer than the terminal is wide

A paragraph whose lines
end anywhere, and more.

- an item that is longer than
  the terminal
- short

| a | b |
|---|---|
| `run` | a cell that is too long for it \\| x |

| a | b |
|---|---|
| c | d |

```sh
gitbatch run --items all --checkpoint at-end
```
"""
EXPECTED = """\
# A title that is longer than
  the terminal is wide

A paragraph whose lines end
anywhere, and more.

- an item that is longer than
  the terminal
- short

`run`
    a cell that is too long
    for it | x

| a | b |
|---|---|
| c | d |

```sh
gitbatch run --items all --checkpoint at-end
```"""


def test_page() -> None:
    assert render_page(PAGE, 30) == EXPECTED


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.stem)
def test_no_word_of_the_documentation_is_lost(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    shown = render_page(text, 80)
    marks = str.maketrans(dict.fromkeys("|\\-: ", " "))
    titles = {
        word for line in text.split("\n") if line.startswith("|") for word in line.translate(marks).split()
    }
    words = shown.translate(marks).split()
    assert [word for word in text.translate(marks).split() if word not in titles] == [
        word for word in words if word not in titles
    ]
    new = [line for line in shown.split("\n") if line not in text.split("\n")]
    assert all(display_width(line) <= 80 for line in new if not set("`'") & set(line) and "git" not in line)
