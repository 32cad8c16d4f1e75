"""A process that an agent without a sandbox has left behind: it flips what makes git run a program, until it is ended.

    python flipper.py REPOSITORY CANARY SEED [--private]

With `--private`, it also writes into each private git directory that it finds.
"""

import os
import random
import sys
import time
from contextlib import suppress
from pathlib import Path

repository, canary, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
private = "--private" in sys.argv
chance = random.Random(seed)  # noqa: S311
git_dir = repository / ".git"
usual = (git_dir / "config").read_text(encoding="utf-8")
program = f"cat /proc/$PPID/cmdline >>{canary}; cat"
evil = f'{usual}\n[filter "evil"]\n\tclean = "{program}"\n\tsmudge = "{program}"\n[core]\n\tpager = "{program}"\n'
rules = "*.md text eol=crlf\n* filter=evil\n"


def put(path: Path, text: str) -> None:
    """Replace a file in one step, if its folder is there."""
    with suppress(OSError):
        made = path.with_name(f"{path.name}.{os.getpid()}")
        made.write_text(text, encoding="utf-8")
        made.rename(path)


def spoil_private() -> None:
    """Write into each folder of ours that is there now."""
    for found in git_dir.glob("gitbatch/gitbatch-*"):
        put(found / "git" / "config", f"{evil}[core]\n\trepositoryformatversion = 0\n")
        put(found / "git" / "info" / "attributes", rules)
        put(found / "files" / ".gitattributes", rules)


(git_dir / "info").mkdir(exist_ok=True)
places = (git_dir / "info" / "attributes", repository / ".gitattributes", git_dir / "config")
sys.stdout.write("ready\n")
sys.stdout.flush()
while True:
    for place in chance.sample(places, 3):
        put(place, evil if place.name == "config" else rules)
        if private:
            spoil_private()
    time.sleep(chance.uniform(0, 0.002))
    put(git_dir / "info" / "attributes", "")
