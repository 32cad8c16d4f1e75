"""Checkouts that are clones of a template: the files are reflinks, so they take no room on the disk."""

import os
from pathlib import Path

from gitbatch.fs.cloning import clone_tree
from gitbatch.fs.removal import remove_anything
from gitbatch.repo.templates.index_file import renew_status
from gitbatch.repo.templates.templates import Templates, wait_for_tick


def clone_checkout(templates: Templates, path: Path, index: Path, commit: str) -> None:
    """Puts clones of a commit's files into a folder that has a `.git` at most, and writes their index.

    Raises:
        OSError: they cannot be written.
        GitError: git cannot check the commit out for the template.
        TamperedError: see `Templates.guard`.
    """
    layers = templates.layers(commit)
    try:
        *upper, template = layers.lower
        clone_tree(template, path)
        for layer in reversed(upper):
            _apply_layer(layer, path)
        renew_status(layers.index, index, path, templates.repo.id_bytes)
        wait_for_tick(index)
    finally:
        layers.close()


def _apply_layer(layer: Path, path: Path) -> None:
    """Clones the files of a thin layer over those of the layers below it."""
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        with os.scandir(layer / prefix) as entries:
            for entry in entries:
                there = path / prefix / entry.name
                if not entry.is_dir(follow_symlinks=False):
                    remove_anything(there)
                elif there.is_dir() and not there.is_symlink():
                    waiting.append(f"{prefix}{entry.name}/")
                else:
                    remove_anything(there)
    clone_tree(layer, path)
