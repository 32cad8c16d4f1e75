"""Makes templates as a run does, and says how long it took: `python template.py ROOT CACHE ROUNDS OUTPUTS`.

First the layers of HEAD, which exist where the cache is warm. Then, in each round, those of a new base as a checkpoint makes
it: the base before with some outputs more. Prints one JSON object: seconds, and the folders of the layers of HEAD.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from gitbatch.repo.objects.codec import Ident
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository
from gitbatch.repo.templates.templates import Templates, open_templates


def main() -> None:
    """Makes them, and prints what it took."""
    root, cache, rounds, outputs = Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:5])
    repo = open_repository(root)
    base = (root / ".git" / "refs" / "heads" / "main").read_text(encoding="ascii").strip()
    repo.objects.tree_of(base)  # starts git's processes, which a run has already
    with open_templates(repo, cache) as templates:
        began = time.monotonic()
        held = templates.layers(base)
        found: dict[str, Any] = {
            "seconds": time.monotonic() - began,
            "lower": [str(folder) for folder in held.lower],
            "index": str(held.leases[-1].index),
        }
        held.close()
        found["later"] = []
        for number in range(rounds):
            base = _commit_outputs(repo, base, number, outputs)
            found["later"].append(_measure(templates, base))
    print(json.dumps(found))


def _commit_outputs(repo: Repository, base: str, number: int, outputs: int) -> str:
    """Returns a commit with some outputs more."""
    objects = repo.objects
    made = {
        f"docs/template{number:02}/i{output:04}.md": objects.write_blob(
            f"{time.time_ns()} {output}\n".encode()
        )
        for output in range(outputs)
    }
    tree = objects.write_tree(objects.tree_of(base), made)
    who = Ident(repo.identity.name, repo.identity.email, int(time.time()))
    commit = objects.write_unsigned(tree, (base,), "Outputs\n", who, who)
    objects.writer.flush()
    return commit


def _measure(templates: Templates, base: str) -> float:
    began = time.monotonic()
    templates.layers(base).close()
    return time.monotonic() - began


if __name__ == "__main__":
    main()
