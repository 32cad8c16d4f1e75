"""`python tests/bench`: what gitbatch costs, beside a shell loop and what git itself allows. See README.md."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.command import main

if __name__ == "__main__":
    main()
