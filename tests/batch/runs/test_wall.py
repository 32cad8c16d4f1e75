"""What holds for a whole run, seen from outside the process."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from base_repositories import FSCK
from conftest import Workspace
from history import assert_tidy, audit

OUTPUTS = re.compile(r"/out/(?:letters|pairs|words)/\w+\.md>")


@pytest.mark.rule("O1")
def test_an_output_is_opened_in_one_way_only(three: Workspace, tmp_path: Path) -> None:
    """An audit hook sees every open of the orchestrator: outputs are opened without following links, by descriptor."""
    log = tmp_path / "opened"
    change = textwrap.dedent(f"""
        import os, re, sys
        log = os.open({str(log)!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        def hook(event, args):
            if event == "open" and re.search(r"(^|/)(a|b|c|d|ab|bc|cd|da|one|two|three|four)\\.md$", str(args[0])):
                os.write(log, f"{{args[0]}} {{args[1]}} {{bool(args[2] & os.O_NOFOLLOW)}}\\n".encode())
        sys.addaudithook(hook)
    """)
    three.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=0, change=change)
    opened = [line.split() for line in log.read_text(encoding="utf-8").splitlines()]
    assert {path for path, _, _ in opened} >= {"a.md", "four.md"}
    assert {(mode, nofollow) for _, mode, nofollow in opened} == {("None", "True")}


@pytest.mark.rule("O1")
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_orchestrator_never_reads_an_output(three: Workspace, tmp_path: Path) -> None:
    """strace sees every read of every process: those of outputs are git's and the agents', never ours."""
    log = tmp_path / "trace"
    calls = "execve,read,pread64,readv,preadv,mmap,sendfile,copy_file_range,splice"
    traced = f"strace -f --seccomp-bpf -qq -y -s 256 -e trace={calls} -o".split()
    command = [sys.executable, "-m", "gitbatch", "run", "--items", "all", "--checkpoint", "at-end"]
    subprocess.run(
        [*traced, str(log), *command],
        cwd=three.root,
        env=three.environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    others: set[str] = set()
    readers: set[str] = set()
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        pid, _, call = line.partition(" ")
        if call.strip().startswith("execve(") and "gitbatch" not in call:
            others.add(pid)
        # A splice reads its first file; the orchestrator puts outputs of earlier groups into worktrees by one.
        elif OUTPUTS.search(call.partition(",")[0] if "splice(" in call else call):
            readers.add(pid)
    assert readers, "git reads them"
    assert readers <= others


LONG = os.environ.get("GITBATCH_FAULTS") == "long"


def plan_of(items: int) -> str:
    lines = "".join(f"- [ ] T{number} Write → Output: out/{number}.md\n" for number in range(1, items + 1))
    return f"# Plan\n\n## Work Packages\n\n### Many\n\n{lines}"


@pytest.mark.slow
def test_24_items_at_16_jobs_again_and_again(three: Workspace, tmp_path: Path) -> None:
    three.write("task.md", plan_of(24))
    three.commit()
    for number in range(20 if LONG else 2):
        root = tmp_path / f"clone-{number}"
        three.git("clone", "-q", ".", str(root))
        clone = replace(three, root=root)
        clone.gitbatch("run", "--items", "all", "--checkpoint", "at-end", "--jobs", "16", code=0)
        story = audit(clone)
        assert (len(story.items), len(story.merges), len(story.checkpoints)) == (24, 2, 1)
        assert clone.git(*FSCK) == ""
        assert_tidy(clone)
