"""Nested confinements, each with the accesses that a program must have then: the same for every kind of sandbox."""

from collections.abc import Callable
from pathlib import Path

from gitbatch.sandbox.model import Confinement

Layout = Callable[[Confinement, Path], tuple[Confinement, dict[str, str]]]


def as_usual(usual: Confinement, _base: Path) -> tuple[Confinement, dict[str, str]]:
    return usual, {
        "shop/item/README.md": "write",
        "shop/item/.git": "read",
        "shop/item.io/prompt.md": "write",
        "shop/item.git/HEAD": "read",
        "repo/README.md": "",
        "repo/.env": "",
        "repo/.git/config": "",
    }


def everything_below_home(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    confined, seen = as_usual(usual, base)
    return confined._replace(home=base), seen


def home_is_the_repository(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    return usual._replace(home=base / "repo"), as_usual(usual, base)[1]


def home_inside_the_repository(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    confined = usual._replace(checkouts=(base,), needs=(base / "home/.bashrc",))
    return confined, {**as_usual(usual, base)[1], "elsewhere/secret": "", "home/.bashrc": "read"}


def all_inside_a_needed_folder(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    """Listed first, and hidden later: the order does not decide."""
    confined, seen = as_usual(usual._replace(needs=(base,)), base)
    return confined, {**seen, "elsewhere/secret": "read"}


def the_checkout_is_needed(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    """Its files become visible, and git's configuration does not."""
    confined, seen = as_usual(usual._replace(needs=(base / "repo",)), base)
    return confined, {**seen, "repo/README.md": "read", "repo/.env": "read"}


def a_folder_of_the_checkout_is_needed(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    (base / "repo/data").mkdir()
    (base / "repo/data/x").write_text("x")
    confined, seen = as_usual(usual._replace(needs=(base / "repo/data",)), base)
    return confined, {**seen, "repo/data/x": "read"}


def a_program_in_the_checkout(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    """Its prefix is visible; of the checkout's own `bin`, only that folder."""
    seen = {"repo/.venv/lib/x.py": "read", "repo/node_modules/x/x.js": "read", "repo/bin/x": "read"}
    for name in (*seen, "repo/.venv/bin/x", "repo/node_modules/.bin/x", "repo/lib/x"):
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text("x")
    folders = ":".join(str(base / "repo" / name) for name in (".venv/bin", "node_modules/.bin", "bin", ""))
    confined, usually = as_usual(usual._replace(path=f"{folders}:{usual.path}"), base)
    return confined, {**usually, **seen, "repo/lib/x": ""}


def a_hidden_file(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    confined, seen = as_usual(usual, base)
    return confined._replace(hidden=(*usual.hidden, base / "repo/README.md")), {**seen, "repo/README.md": ""}


def a_hidden_folder_that_is_not_there(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    confined, seen = as_usual(usual, base)
    return confined._replace(hidden=(*usual.hidden, base / "none"), needs=(base / "none",)), seen


def a_link_in_home(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    (base / "home/link").symlink_to("../elsewhere")
    confined, seen = as_usual(usual, base)
    needs = (base / "home/link/secret",)
    return confined._replace(needs=needs), {**seen, "home/link/secret": "read", "elsewhere/secret": "read"}


def links_that_lead_nowhere(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    (base / "run").mkdir()
    (base / "run/loop").symlink_to("loop")
    (base / "run/broken").symlink_to("none")
    confined, seen = as_usual(usual, base)
    return confined._replace(needs=(base / "run/loop", base / "run/broken")), seen


def named_through_links(usual: Confinement, base: Path) -> tuple[Confinement, dict[str, str]]:
    """As if /home were a symlink, or the user's cache folder one to a larger disk; symlinks lead to symlinks."""
    (base / "run").mkdir()
    (base / "run/to").symlink_to(base)
    (base / "run/again").symlink_to("to/run/../home")
    way = base / "run/to"
    confined = usual._replace(
        worktree=way / "shop/item",
        scratch=way / "shop/item.io",
        git=(way / "shop/item.git", *(way / "shop" / path.name for path in usual.git[1:-1]), usual.git[-1]),
        checkouts=(way / "repo", way / "repo/.git"),
        hidden=(way / "shop",),
        home=base / "run/again",
        needs=(way / "home/.bashrc",),
    )
    seen = {**as_usual(usual, base)[1], "home/.bashrc": "read"}
    return confined, {**seen, **{f"run/to/{path}": access for path, access in seen.items()}}


LAYOUTS: tuple[Layout, ...] = (
    as_usual,
    everything_below_home,
    home_is_the_repository,
    home_inside_the_repository,
    all_inside_a_needed_folder,
    the_checkout_is_needed,
    a_folder_of_the_checkout_is_needed,
    a_program_in_the_checkout,
    a_hidden_file,
    a_hidden_folder_that_is_not_there,
    a_link_in_home,
    links_that_lead_nowhere,
    named_through_links,
)
