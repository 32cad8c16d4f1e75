"""The live view in a real pseudo-terminal, read by a terminal emulator: sizes, keys, Ctrl-Z."""

import re
import sys

import pexpect
import pytest
from batch.programs import set_up
from conftest import Workspace
from eyes import watched
from history import assert_tidy

ENTER = "\r"
ROW = re.compile(r"^[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏!] +(T\d+) ", re.MULTILINE)


def run_of(jobs: int) -> list[str]:
    options = ["--items", "all", "--checkpoint", "at-end", "--jobs", str(jobs)]
    return [sys.executable, "-m", "gitbatch", "run", *options]


def find_ids(text: str) -> list[str]:
    return ROW.findall(text)


@pytest.mark.rule("F1")
def test_sizes_and_keys(workspace: Workspace) -> None:
    """12 items in 40 by 12, 80 by 24 and 160 by 50; help, one item is stopped, a pause; failures stay, and no row is there twice."""
    names = [f"T{number}" for number in range(1, 13)]
    set_up(workspace, *("hold" for _ in names))
    with watched(workspace, run_of(12), 40, 12) as eyes:
        text = eyes.look_for(r"… and 6 more \(slowest: T\d+ \d:\d\d\)")
        assert len(set(find_ids(text))) == 6
        first = text
        eyes.look_until(lambda text: find_ids(text) == find_ids(first) and text != first)
        eyes.resize(80, 24)
        text = eyes.look_until(lambda text: sorted(find_ids(text)) == sorted(names))
        assert text.count("0 of 12 items") == 1
        eyes.child.send("?")
        eyes.look_for("p  pause when the running items are done")
        eyes.child.send("?kT3")
        eyes.look_for(r"stop which item\? T3_")
        eyes.child.send(ENTER)
        eyes.look_for(r"✗ +T3 +failed +stopped by the user")
        eyes.child.send("p")
        eyes.look_for(r"1 of 12 items +pausing +1 failed")
        eyes.resize(160, 50)
        text = eyes.look_until(lambda text: sorted(find_ids(text)) == sorted({*names} - {"T3"}))
        assert len(re.findall("✗ +T3", text)) == 1
        assert text.count("of 12 items") == 1
        (workspace.home / "go").touch()
        text = eyes.look_for("end the batch")
        calls = re.findall(r"\x1b\]9;gitbatch: (.*?)\x1b\\\a", eyes.heard)
        assert calls == [f"{workspace.root.name}: checkpoint 1/1 waits for a review: 11 of 12 items done"]
        assert "\x1b]9;4;1;0\x1b\\" in eyes.heard, "how far it is"
        eyes.child.send("cy")
        eyes.look_for("finished  11 done, 1 not done")
        eyes.child.expect(pexpect.EOF)
        eyes.child.close()
        assert eyes.child.exitstatus == 1
    assert_tidy(workspace)


def test_ctrl_z_gives_the_terminal_back(workspace: Workspace) -> None:
    """A shell without modes of its own has those of before, and the run reads keys again when it continues."""
    set_up(workspace, "hold")
    shell = f"set -m; {' '.join(run_of(1))}; stty -a; echo ready; read line; fg; stty -a; echo code $?"
    with watched(workspace, ["sh", "-c", shell], 120, 40) as eyes:
        eyes.look_until(find_ids)
        eyes.child.send("\x1a")
        text = eyes.look_for("ready")
        assert re.search(r" icanon .*\n?.* echo ", text)
        assert not find_ids(text), "nothing is drawn while it is stopped"
        eyes.child.send(ENTER)
        eyes.look_until(find_ids)
        eyes.child.send("p")
        eyes.look_for("pausing")
        (workspace.home / "go").touch()
        eyes.look_for("end the batch")
        eyes.child.send("cy")
        text = eyes.look_for("code 0")
        assert len(re.findall(r" icanon .*\n?.* echo ", text)) == 2
