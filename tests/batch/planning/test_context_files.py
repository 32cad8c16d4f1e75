"""How many files a worktree has that has only what its item reads."""

import pytest
from project.file_tree import FileTree

from gitbatch.batch.planning.context_files import count_context_files
from gitbatch.batch.planning.project_state import ProjectView
from gitbatch.plan.model import PlanOptions
from gitbatch.plan.parse import parse_plan
from gitbatch.project.config import parse_config
from gitbatch.project.control import find_project

PLAN = """\
## Work Packages

### Pages
- [x] T101 Done → Output: many/done.md (context: none)
- [ ] T102 One → Output: one.md (context: in)
- [ ] T103 Few → Output: few/new.md (context: in/1, few/1)
"""
FILES = {f"{folder}/{number}": "" for folder, count in (("in", 3), ("few", 4)) for number in range(count)}
FILES |= {f"many/{number}": "" for number in range(50)}


@pytest.mark.parametrize(
    ("config", "more", "count"),
    [
        ('[batch]\ncheckout = "context"', {}, 5),
        ('[batch]\ncheckout = "context"\n[checks.a]\ncommand = ["a"]\ncheckout = "context"', {}, 5),
        ("[batch]", {}, None),
        ('[batch]\ncheckout = "context"\n[checks.a]\ncommand = ["a"]', {}, None),
        ('[batch]\ncheckout = "context"\n[gates.a]\ncommand = ["a"]', {}, None),
        ('[batch]\ncheckout = "context"\nprepare = ["make"]', {}, None),
        ('[batch]\ncheckout = "context"\ninclude = ["x/"]', {}, None),
        ('[batch]\ncheckout = "context"', {".worktreeinclude": "x/\n"}, None),
    ],
)
def test_files_of_the_largest_context(config: str, more: dict[str, str], count: int | None) -> None:
    tree = FileTree({**FILES, **more, "task.md": PLAN})
    project = find_project(tree, parse_config(config.encode()))
    plan = parse_plan(PLAN.encode(), "task.md", PlanOptions())
    assert count_context_files(ProjectView("", tree, project, plan, PLAN.encode())) == count
