"""`python -m gitbatch`."""

from gitbatch.cli.main import main

main()
