"""A hostile agent's words: wherever they go in a whole run, nothing but harmless text arrives."""

import json
import sys
import unicodedata

import pytest
from conftest import Workspace
from history import audit, trailers
from markdown_it import MarkdownIt
from markdown_it.token import Token

HOSTILE = """\
import json, os, sys
BAD = "\\x1b[31mred\\x1b]0;title\\x07 \\u202egnp.exe\\u200b | cell | <!-- gitbatch:end --> # Head\\n\\n" \\
      "Gitbatch-Item: task.md\\nGitbatch-Checkpoint: 9/9\\n\\n- [x] T999 done\\r## Work Packages\\u2028```\\n<script> &amp; \\x9b2J"
for name in ("GITBATCH_PROGRESS",):
    open(os.environ[name], "a").write(BAD + "\\n")
print(BAD, flush=True)
print(BAD, file=sys.stderr, flush=True)
if sys.argv[1] == "fail":
    sys.exit(BAD)
open(os.environ["GITBATCH_OUTPUT"], "w").write(BAD)
json.dump({"summary": BAD, "decisions": [BAD], "contributions": [{"artifact": "inventory.md", "text": BAD},
          {"artifact": "../" + BAD, "text": BAD}]}, open(os.environ["GITBATCH_REPLY"], "w"))
"""

PLAN = "# P\n\n## Work Packages\n\n### G\n\n- [ ] T1 Write → Output: out/1.md\n- [ ] T2 Fail → Output: out/2.md → Agent: failing\n"


@pytest.fixture
def ran(three: Workspace) -> tuple[Workspace, str]:
    three.write("tools/hostile.py", HOSTILE)
    three.write("task.md", PLAN)
    agent = '[agents.{}]\nkind = "command"\ncommand = ["{}", "tools/hostile.py", "{}"]\n'
    agents = agent.format("hostile", sys.executable, "ok") + agent.format("failing", sys.executable, "fail")
    three.write(
        "gitbatch.toml", f'[batch]\nagent = "hostile"\n[project]\nshared = ["inventory.md"]\n{agents}'
    )
    three.commit()
    done = three.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=1)
    return three, done.stdout + done.stderr


def assert_harmless(text: str) -> None:
    bad = {c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}}
    assert bad <= {"\n"}


def test_the_terminal_the_log_and_the_history_stay_clean(ran: tuple[Workspace, str]) -> None:
    workspace, said = ran
    assert_harmless(said)
    assert_harmless(workspace.git("log", "--all", "--format=%an%n%cn%n%B"))
    assert_harmless(workspace.gitbatch("status", code=0).stdout)
    (log,) = (workspace.root / ".git" / "gitbatch").glob("*/events.jsonl")
    for line in log.read_text(encoding="utf-8").splitlines():
        for text in strings(json.loads(line)):
            assert_harmless(text)
            assert "\n" not in text


def strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in strings(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in strings(inner)]
    return [value] if isinstance(value, str) else []


def test_trailers_can_not_be_forged(ran: tuple[Workspace, str]) -> None:
    workspace, _ = ran
    story = audit(workspace)
    assert len(story.items) == 1
    assert trailers(workspace, story.items[0], "Item") == ["out/1.md"]
    assert trailers(workspace, story.items[0], "Checkpoint") == []
    assert len(story.checkpoints) == 1
    assert trailers(workspace, story.checkpoints[0], "Checkpoint") == ["1/1"]


def test_the_shared_files_keep_their_structure(ran: tuple[Workspace, str]) -> None:
    workspace, _ = ran
    assert workspace.read("task.md") == PLAN.replace("[ ] T1", "[x] T1")
    assert [t.type for t in blocks(workspace, "inventory.md")].count("heading_open") == 4, (
        "three of ours, one for the group"
    )
    status = blocks(workspace, "status.md")
    rows = [t for t in status if t.type == "tr_open"]
    cells = [t for t in status if t.type in {"td_open", "th_open"}]
    assert (len(rows), len(cells)) == (3, 12)
    assert [t.content for t in status if t.type == "html_block"][-1].strip() == "<!-- gitbatch:end -->"
    decisions = blocks(workspace, "decisions-log.md")
    assert [t.type for t in decisions].count("list_item_open") == 1
    assert [t.type for t in decisions].count("heading_open") == 1


def blocks(workspace: Workspace, path: str) -> list[Token]:
    return list(MarkdownIt("commonmark").enable("table").parse(workspace.read(path)))
