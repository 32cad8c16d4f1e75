"""gitbatch: a plan in task.md becomes one reviewed commit per group.

The way of the data, which is also the order of the folders:

    task.md → Plan → Assignment → Reply → harvest → item branch → merge → checkpoint
"""

__version__ = "0.2.0.dev0"
