"""What stands for a package manager: `python modules.py MEGABYTES COUNTER` fills node_modules, and notes that it ran."""

import sys
from pathlib import Path

_FILE = 10_000
"""The bytes of each file: real packages have files of this size on average."""


def main() -> None:
    """Writes the files, a hundred in a folder."""
    megabytes, counter = int(sys.argv[1]), Path(sys.argv[2])
    line = b"module.exports = function (value) { return value }\n"
    text = (line * (_FILE // len(line) + 1))[:_FILE]
    for number in range(megabytes * 1_000_000 // _FILE):
        folder = Path("node_modules", f"package{number // 100:03}")
        if number % 100 == 0:
            folder.mkdir(parents=True)
        (folder / f"file{number % 100:02}.js").write_bytes(b"// %d\n" % number + text)
    with counter.open("a", encoding="ascii") as file:
        file.write("installed\n")


if __name__ == "__main__":
    main()
