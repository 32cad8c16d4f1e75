"""Every link in the documents leads somewhere: to a file of the repository, and to a heading that it has."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def prose(page: Path) -> str:
    """The text of a page without its code."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"`[^`\n]*`", "", re.sub(r"(?ms)^ *```.*?^ *```", "", text))


def anchors(page: Path) -> set[str]:
    """What a page's headings are called in links."""
    titles = re.findall(r"(?m)^#{1,6} (.*)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        yield from ((page, target) for target in LINK.findall(prose(page)))


@pytest.mark.parametrize(
    ("page", "target"), tuple(links()), ids=lambda value: str(value).removeprefix(f"{ROOT}/")
)
def test_links(page: Path, target: str) -> None:
    if target.startswith("https://"):
        return
    path, _, anchor = target.partition("#")
    file = (page.parent / path) if path else page
    assert file.exists(), f"{page.name} links {target}"
    assert not anchor or anchor in anchors(file), f"{page.name} links {target}"


def test_every_page_is_linked() -> None:
    linked = {(page.parent / target.partition("#")[0]).resolve() for page, target in links()}
    lost = [page for page in PAGES if page.parent != ROOT and page.resolve() not in linked]
    assert lost == []


def test_readme_is_for_newcomers() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


def test_every_page_is_reached_from_the_readme() -> None:
    """By links alone: a decision, for example, is listed on the architecture page."""
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        named = (target.partition("#")[0] for target in LINK.findall(prose(page)))
        waiting += [(page.parent / path).resolve() for path in named if path and "://" not in path]
    assert set(PAGES) - reached == {ROOT / "AGENTS.md"}
