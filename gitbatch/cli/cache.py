"""`gitbatch cache`: shows and removes what worktrees share."""

import time
from typing import Annotated

import typer

from gitbatch.cli.common import Json, cache_dir, print_output
from gitbatch.cli.verbosity import show_text
from gitbatch.repo.templates.expiry import LAYERS, list_cache, remove_layers
from gitbatch.view.cache_text import render_cache
from gitbatch.view.outputs.cache import CacheOutput


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove everything that no run uses.")] = False,
    json: Json = False,
) -> None:
    """Show what the cache folder keeps for worktrees, of all repositories, or remove it."""
    folder = cache_dir()
    removed = remove_layers(folder, list_cache(folder)) if clear else ()
    layers = list_cache(folder)
    output = CacheOutput(str(folder / LAYERS), layers, sum(layer.size for layer in layers), removed)
    if json:
        print_output(output)
        return
    for line in render_cache(output, time.time()):
        show_text(line)
