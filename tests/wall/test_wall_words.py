"""Texts of hostile agents: they change no file's structure, no message's trailers, and only text in a terminal."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from base_repositories import SAMPLES
from conftest import Workspace
from examples import count_examples
from forked_terminal import GITBATCH, open_terminal
from history import audit, trailers
from markdown_it import MarkdownIt
from markdown_it.token import Token
from test_text import HOSTILE
from wall import naive
from wall.terminal import Terminal

from gitbatch.agents.reply import make_reply
from gitbatch.batch.group.shared_files import consolidate
from gitbatch.batch.history.messages import render_checkpoint_message, render_item_message
from gitbatch.batch.model import BatchGroup, ItemStatus, Outcome, Record
from gitbatch.batch.planning.project_state import ProjectState, read_project_state
from gitbatch.batch.planning.selection import group_items
from gitbatch.repo.opening import open_repository
from gitbatch.text import clean_text

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
ADDRESS = re.compile(r".@.|://|www\.", re.IGNORECASE)
ITEMS = 40
"""Items in one group, so that one run has many texts."""
RANDOM = count_examples(1_800)
FRAGMENTS = (
    *(text for text in HOSTILE if 0 < len(text) < 90),
    *"\\`*_[]<>#|~&!-+=.:;()'\"${}@^0123456789 \t\n\r",
    "\n\n",
    "\r\n",
    "\u2028",
    "\x1b[",
    "\x9b",
    "word",
    "Gitbatch-Item: task.md",
    "\n---\n",
    "x" * 70,
)


def random_text(chance: random.Random) -> str:
    """Returns a random text: hostile fragments, or characters from all of Unicode."""
    if chance.random() < 0.7:
        return "".join(chance.choices(FRAGMENTS, k=chance.randint(1, 9)))
    return "".join(
        chr(chance.choice((chance.randrange(0x300), chance.randrange(sys.maxunicode)))) for _ in range(30)
    )


def said(chance: random.Random, count: int) -> list[str]:
    """Returns random texts that are not empty after cleaning: empty entries are not written."""
    texts: list[str] = []
    while len(texts) < count:
        text = random_text(chance)
        if clean_text(text):
            texts.append(text)
    return texts


def structure(document: str) -> list[tuple[str, str, int, tuple[str, ...]]]:
    """Returns the blocks of a document, and what each holds besides text and addresses in code spans."""
    return [
        (token.type, token.tag, token.level, tuple(c.type for c in token.children or [] if not is_plain(c)))
        for token in PARSER.parse(document)
    ]


def is_plain(part: Token) -> bool:
    """Whether a part of a paragraph is text, or an address, the only text that gitbatch writes as code."""
    return part.type == "text" or (part.type == "code_inline" and bool(ADDRESS.search(part.content)))


@pytest.fixture
def project_state(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProjectState]:
    """The state of a project with many items, and with shared files that the user has edited."""
    shutil.copytree(SAMPLES / "three-groups", workspace.root, dirs_exist_ok=True)
    items = "".join(f"- [ ] T{number} Write → Output: out/{number}.md\n" for number in range(ITEMS))
    workspace.write("task.md", f"# P\n\n## Work Packages\n\n### Group\n\n{items}")
    workspace.write(
        "decisions-log.md", "# Decisions\n\n- **D1** · 2026-01-01 · me: mine\n\n## Below\n\ntext\n"
    )
    workspace.write("inventory.md", "# Inventory\n\n## Group\n\n- mine\n\n## Below\n\ntext\n")
    workspace.commit()
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    repo = open_repository(workspace.root)
    yield read_project_state(repo, workspace.git("rev-parse", "HEAD"))
    repo.close()


def outcomes_of(group: BatchGroup, texts: list[str]) -> tuple[Outcome, ...]:
    """Returns outcomes with these texts: every fourth item fails, with a text as its reason; the others have full replies."""
    found = []
    for number, item in enumerate(group.items):
        text, more, other = texts[3 * number : 3 * number + 3]
        if number % 4 == 3:
            details = (clean_text(more), clean_text(other))
            found.append(Outcome(item, ItemStatus.FAILED, reason=clean_text(text), details=details))
        else:
            reply = make_reply(
                text,
                (more,),
                (("inventory.md", other), (more, text)),
            )
            found.append(Outcome(item, ItemStatus.SUCCEEDED, reply))
    return tuple(found)


def written(project_state: ProjectState, texts: list[str]) -> tuple[dict[str, str], list[str]]:
    """Returns the shared files and the commit messages after a group with these texts."""
    (group,) = group_items(project_state.plan, project_state.plan.items)
    record = Record("20260102-030405-abcd", 0, "refs/heads/main", "", "task.md", "at-end", "a", 1, (group,))
    outcomes = outcomes_of(group, texts)
    items = zip(group.items, project_state.plan.items, strict=True)
    marks = {ours.key: item.box for ours, item in items}
    shared = consolidate(record, group, outcomes, marks, project_state, 0)
    messages = [
        render_item_message(record, group, outcome, "a", (), ()) for outcome in outcomes if outcome.succeeded
    ]
    messages.append(render_checkpoint_message(record, group, outcomes, shared.criteria, shared.notes))
    return {path: content.decode() for path, content in shared.files}, messages


def git_trailers(workspace: Workspace, messages: list[str], *options: str) -> list[list[str]]:
    """Returns the names of the trailers that git reads in each message."""
    stream = "".join(
        f"commit refs/heads/said\ncommitter A <a@example.org> {number} +0000\ndata {len(text.encode())}\n{text}\n"
        for number, text in enumerate(messages, 1)
    )
    subprocess.run(
        ["git", "fast-import", "--quiet", "--force"],
        cwd=workspace.root,
        env=workspace.environment,
        input=stream.encode(),
        check=True,
    )
    listed = workspace.git(
        "log", "--reverse", f"--format=%(trailers:only,unfold,keyonly{''.join(options)})%x00", "said"
    )
    workspace.git("update-ref", "-d", "refs/heads/said")
    return [entry.split() for entry in listed.split("\0")[: len(messages)]]


def assert_nothing_but_text(workspace: Workspace, project_state: ProjectState, texts: list[str]) -> None:
    files, messages = written(project_state, texts)
    expected, harmless = written(project_state, ["word"] * len(texts))
    assert files["task.md"] == expected["task.md"]
    for path in ("status.md", "decisions-log.md", "inventory.md"):
        assert structure(files[path]) == structure(expected[path]), path
    names, expected_names = (
        [[name for name in each if name != "Gitbatch-Flag"] for each in git_trailers(workspace, said)]
        for said in (messages, harmless)
    )
    assert names == expected_names


def test_hostile_texts_change_no_structure(workspace: Workspace, project_state: ProjectState) -> None:
    hostile = [text for text in HOSTILE if clean_text(text)]
    assert len(hostile) >= 45
    for start in range(0, len(hostile), 20):
        texts = (hostile[start:] + hostile) * 3
        assert_nothing_but_text(workspace, project_state, texts[: 3 * ITEMS])


def test_random_texts_change_no_structure(workspace: Workspace, project_state: ProjectState) -> None:
    for number in range(-(-RANDOM // (3 * ITEMS))):
        assert_nothing_but_text(workspace, project_state, said(random.Random(number), 3 * ITEMS))  # noqa: S311 - no secret


def test_control_writer_is_fooled(workspace: Workspace) -> None:
    chance = random.Random(0)  # noqa: S311 - no secret
    for texts, least in (([text for text in HOSTILE if clean_text(text)], 15), (said(chance, 500), 150)):
        fell = [text for text in texts if structure(naive.status(text)) != structure(naive.status("word"))]
        assert len(fell) >= least
    messages = [
        naive.message(text).replace("\0", "").encode(errors="replace").decode() for text in said(chance, 500)
    ]
    forged = [names for names in git_trailers(workspace, messages) if names != ["Gitbatch-Item"]]
    assert len(forged) >= 10


def items_of(message: str) -> list[str]:
    """Returns the item trailers that git reads in a message."""
    parse = ["git", "interpret-trailers", "--parse"]
    said = subprocess.run(parse, input=message, capture_output=True, text=True, check=True).stdout
    return [line for line in said.splitlines() if line.startswith("Gitbatch-Item: ")]


def test_dashes_do_not_end_message(project_state: ProjectState) -> None:
    """`git interpret-trailers` and `git am` end the message there, and would read the lines above it as trailers."""
    text = f"{'x' * 70} {'Gitbatch-Item: task.md ' + 'y' * 47} --- {'z' * 60}"
    _, messages = written(project_state, [text] * 3 * ITEMS)
    assert items_of(messages[0]) == ["Gitbatch-Item: out/0.md"]
    assert items_of(naive.message("Done.\n\nGitbatch-Item: task.md\n---\nmore")) == ["Gitbatch-Item: task.md"]


HOSTILE_AGENT = """\
import os, shutil, sys, time
number = os.path.basename(sys.argv[1])[:-3]
with open(f"tools/said/{number}.txt", "rb") as file:
    text = file.read()
with open(os.environ["GITBATCH_PROGRESS"], "ab") as file:
    file.write(text + b"\\n")
sys.stdout.buffer.write(text + b"\\n")
sys.stderr.buffer.write(text + b"\\n")
with open(sys.argv[1], "wb") as file:
    file.write(text or b"nothing")
time.sleep(0.2)  # so that the live view shows it
shutil.copy(f"tools/said/{number}.json", os.environ["GITBATCH_REPLY"])
sys.exit(3 if int(number) % 5 == 4 else 0)
"""


SAID = HOSTILE if os.environ.get("GITBATCH_FAULTS") == "long" else HOSTILE[::3]
"""What the agents of a whole run say: a third in the usual round."""


@pytest.fixture
def talkative(workspace: Workspace) -> Workspace:
    """A repository whose agents write hostile texts wherever they can."""
    shutil.copytree(SAMPLES / "three-groups", workspace.root, dirs_exist_ok=True)
    items = []
    for number, text in enumerate(SAID):
        workspace.write(f"tools/said/{number}.txt", "")
        (workspace.root / f"tools/said/{number}.txt").write_bytes(text.encode(errors="surrogatepass"))
        contributions = [{"artifact": "inventory.md", "text": text}, {"artifact": text, "text": text}]
        reply = {"summary": text, "decisions": [text], "contributions": contributions}
        workspace.write(f"tools/said/{number}.json", json.dumps(reply))
        items.append(f"- [ ] T{number} Say → Output: out/{number}.md\n")
    workspace.write("tools/agent.py", HOSTILE_AGENT)
    workspace.write("task.md", f"# P\n\n## Work Packages\n\n### Group\n\n{''.join(items)}")
    workspace.edit(
        "gitbatch.toml", '["sh", "tools/agent.sh", ', f'["{sys.executable}", "-I", "-S", "tools/agent.py", '
    )
    workspace.commit()
    return workspace


ALLOWED = frozenset({"CSI m", "CSI 2K", "CSI 1A", "CSI ?25l", "CSI ?25h"})
"""The effects of gitbatch's own view in a terminal: colours, and moving up to rewrite its lines."""


def test_hostile_texts_in_whole_run(talkative: Workspace) -> None:
    workspace = talkative
    environment = {**workspace.environment, "TERM": "xterm-256color"}
    command = [
        *GITBATCH,
        "run",
        "--items",
        "all",
        "--checkpoint",
        "at-end",
        "--jobs",
        "8",
        "--no-input",
    ]
    child = open_terminal(
        workspace, command, env=environment, codec_errors="replace", timeout=120, dimensions=(40, 120)
    )
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1
    screen = Terminal.fed(str(child.before))
    assert "Heading" in screen.text
    assert str(child.before).count("\a") == 1, "our own bell at the end of the run"
    assert screen.done - ALLOWED == {"U+0007"}
    story = audit(workspace)
    assert len(story.items) == sum(number % 5 != 4 for number in range(len(SAID)))
    assert trailers(workspace, story.checkpoints[0], "Checkpoint") == ["1/1"]
    workspace.gitbatch("verify", code=0)
    assert (
        re.sub(r"- \[x\]", "- [ ]", workspace.read("task.md"))
        == workspace.git("show", "main~2:task.md") + "\n"
    )
    rows = [token for token in PARSER.parse(workspace.read("status.md")) if token.type == "tr_open"]
    assert len(rows) == 1 + len(SAID)
    assert [kinds for *_, kinds in structure(workspace.read("status.md")) if kinds] == []
    assert "html_inline" not in {
        kind for *_, kinds in structure(workspace.read("decisions-log.md")) for kind in kinds
    }


def test_control_view_is_fooled() -> None:
    fell = [text for text in HOSTILE if Terminal.fed(naive.shown(text)).done - ALLOWED]
    assert len(fell) >= 10


def test_terminal_interprets_escapes(tmp_path: Path) -> None:
    del tmp_path
    screen = Terminal.fed(
        "a\x1b[31mb\x1b]0;title\x07c\x9b2Jd\x1b]52;c;eA==\x1b\\e\x1bcf\x08\u202e\x1b[?1049h"
    )
    assert screen.text == "abcdef"
    assert screen.done == {
        "CSI m",
        "OSC 0;title",
        "CSI 2J",
        "OSC 52;c;eA==",
        "ESC c",
        "U+0008",
        "U+202E",
        "CSI ?1049h",
    }
