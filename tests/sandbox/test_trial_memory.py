"""What is remembered of trials of overlay worktrees, and what makes it worthless."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from gitbatch.sandbox import overlay, trial_memory
from gitbatch.sandbox.model import SandboxKind
from gitbatch.sandbox.overlay import find_overlay_problem
from gitbatch.sandbox.trial_memory import TrialMemory

KIND, MARKS = SandboxKind.NONE, ((1, 2, 0), (1, 2, 0))
FIELDS = ("f_fsid", "f_flag")
NOW = 1_800_000_000.0
DAY = 24 * 3600.0


def remember(folder: Path) -> Path:
    """Returns the file of what a run has found to work."""
    memory = TrialMemory(folder, NOW)
    memory.note(KIND, MARKS)
    memory.confirm(KIND)
    (file,) = folder.iterdir()
    os.utime(file, (NOW, NOW))
    return file


def test_used_once(tmp_path: Path) -> None:
    """A run that is killed, or in which no agent works, leaves nothing: the next one makes a trial."""
    remember(tmp_path)
    using = TrialMemory(tmp_path, NOW)
    assert using.take(KIND, MARKS)
    assert not TrialMemory(tmp_path, NOW).take(KIND, MARKS)
    using.confirm(KIND)
    (file,) = tmp_path.iterdir()
    os.utime(file, (NOW, NOW))
    assert TrialMemory(tmp_path, NOW).take(KIND, MARKS)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda change: change.setattr("platform.release", lambda: "9.9.9"), id="kernel"),
        pytest.param(lambda change: change.setattr("os.geteuid", lambda: 12345), id="user"),
        pytest.param(lambda change: change.setattr(trial_memory, "__version__", "9.9.9"), id="version"),
        pytest.param(lambda change: change.setattr("sys.executable", "/bin/sh"), id="Python"),
        pytest.param(
            lambda change: change.setattr(
                trial_memory, "_read_file", lambda path: b"1" if path.endswith("boot_id") else b""
            ),
            id="start of the machine",
        ),
    ],
)
def test_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """It counts only for the same user, kernel, start of the machine, rights and programs."""
    monkeypatch.setattr(trial_memory, "_read_file", lambda _: b"")
    remember(tmp_path)
    with monkeypatch.context() as changed:
        change(changed)
        assert not TrialMemory(tmp_path, NOW).take(KIND, MARKS)
    assert TrialMemory(tmp_path, NOW).take(KIND, MARKS)


def test_another_trial(tmp_path: Path) -> None:
    """Another sandbox, or folders on other file systems, need a trial of their own."""
    remember(tmp_path)
    memory = TrialMemory(tmp_path, NOW)
    assert not memory.take(SandboxKind.LANDLOCK, MARKS)
    assert not memory.take(SandboxKind.BUBBLEWRAP, MARKS)
    assert not memory.take(KIND, ((1, 2, 0), (7, 2, 0)))
    assert memory.take(KIND, MARKS)


@pytest.mark.parametrize(("age", "counts"), [(DAY - 1, True), (DAY, False), (-60.0, False)])
def test_its_age(tmp_path: Path, age: float, *, counts: bool) -> None:
    """It counts for a day; not if it is from the future, as after a wrong clock."""
    remember(tmp_path)
    assert TrialMemory(tmp_path, NOW + age).take(KIND, MARKS) is counts


def test_old_ones_are_removed(tmp_path: Path) -> None:
    """What was remembered of other machines and kernels does not pile up."""
    old = remember(tmp_path).rename(tmp_path / "overlay-old")
    memory = TrialMemory(tmp_path, NOW + DAY)
    memory.note(KIND, MARKS)
    memory.confirm(KIND)
    assert not old.exists()
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("kind", ["link", "folder", "file"])
def test_cache_with_something_else(tmp_path: Path, kind: str) -> None:
    """Nothing but a file counts, and a cache that cannot be written remembers nothing."""
    file = remember(tmp_path / "trials")
    if kind == "link":
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    elif kind == "folder":
        file.unlink()
        file.mkdir()
    else:
        file.unlink()
        file.parent.rmdir()
        file.parent.touch()
    memory = TrialMemory(file.parent, NOW)
    assert not memory.take(KIND, MARKS)
    memory.note(KIND, MARKS)
    memory.confirm(KIND)


def test_links_are_not_followed(tmp_path: Path) -> None:
    """Root may use the cache of another user (`sudo`), who must not choose what root writes or removes."""
    name = remember(tmp_path / "trials").name
    target, old = tmp_path / "target", tmp_path / "other/overlay-old"
    old.parent.mkdir()
    old.touch()
    (tmp_path / "linked").symlink_to(old.parent)
    (tmp_path / "trials" / name).unlink()
    (tmp_path / "trials" / name).symlink_to(target)
    for folder in ("linked", "trials"):
        memory = TrialMemory(tmp_path / folder, NOW + 400 * DAY)
        memory.note(KIND, MARKS)
        memory.confirm(KIND)
    assert list(old.parent.iterdir()) == [old]
    assert not target.exists()
    assert (tmp_path / "trials" / name).is_file()


def test_what_cannot_be_removed_does_not_matter(tmp_path: Path) -> None:
    """A folder of that name, for example: it is remembered all the same."""
    file = remember(tmp_path)
    file.unlink()
    (tmp_path / "overlay-folder").mkdir()
    memory = TrialMemory(tmp_path, NOW + 400 * DAY)
    memory.note(KIND, MARKS)
    memory.confirm(KIND)
    assert file.is_file()


def test_only_of_the_sandbox_in_which_an_agent_has_worked(tmp_path: Path) -> None:
    """What is remembered for checks may be wrong as long as no program has used it: the next run makes a trial."""
    memory = TrialMemory(tmp_path, NOW)
    for kind in (KIND, SandboxKind.BUBBLEWRAP):
        memory.note(kind, MARKS)
    memory.confirm("")
    assert len(list(tmp_path.iterdir())) == 2, "a trial has shown that they work"
    for file in tmp_path.iterdir():
        os.utime(file, (NOW, NOW))
    using = TrialMemory(tmp_path, NOW)
    assert using.take(KIND, MARKS)
    assert using.take(SandboxKind.BUBBLEWRAP, MARKS)
    using.note(SandboxKind.BUBBLEWRAP, MARKS, is_tried=False)
    using.confirm("")
    assert list(tmp_path.iterdir()) == [], "agents that are no programs have used no overlay"
    using.confirm(KIND)
    assert [file.name for file in tmp_path.iterdir()] == [remember(tmp_path).name]


@pytest.mark.parametrize(("field", "value"), [("f_fsid", 7), ("f_flag", os.ST_NOSUID | os.ST_RDONLY)])
def test_another_file_system_with_the_same_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, value: int
) -> None:
    """Once a disk is unmounted, the next one gets its device number; and a disk may be mounted with other options."""
    before, found = overlay._mark_of(tmp_path), os.statvfs(tmp_path)
    values = {name: getattr(found, name) for name in FIELDS} | {field: value}
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(**values))
    assert overlay._mark_of(tmp_path) != before


def test_program_whose_capabilities_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`setcap` on bubblewrap changes neither its content nor its time of modification."""
    program = tmp_path / "program"
    program.touch(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    file, before = remember(tmp_path / "trials"), program.stat()
    while program.stat().st_ctime_ns == before.st_ctime_ns:  # until the next tick of the kernel's clock
        program.chmod(0o755)
    assert program.stat().st_mtime_ns == before.st_mtime_ns
    assert not TrialMemory(tmp_path / "trials", NOW).take(KIND, MARKS)
    assert file.exists()


def test_no_trial_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial is made where nothing is remembered, and what it finds is remembered once an agent has worked."""
    trials: list[SandboxKind] = []

    def make_trial(kind: SandboxKind, *_: object) -> str:
        trials.append(kind)
        return ""

    monkeypatch.setattr(overlay, "_find_problem", make_trial)
    monkeypatch.setattr("sys.platform", "linux")

    def look() -> TrialMemory:
        monkeypatch.setattr(overlay, "_KNOWN", {})
        memory = TrialMemory(tmp_path / "trials")
        assert find_overlay_problem(KIND, tmp_path, tmp_path, memory=memory) == ""
        return memory

    look()
    look().confirm(KIND)
    assert len(trials) == 2
    look().confirm(KIND)
    look()
    assert len(trials) == 2
    look()
    assert len(trials) == 3


def test_what_does_not_work_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may work a moment later, after an administrator has changed a setting."""
    monkeypatch.setattr(overlay, "_find_problem", lambda *_: "no mounts here")
    monkeypatch.setattr(overlay, "_KNOWN", {})
    monkeypatch.setattr("sys.platform", "linux")
    memory = TrialMemory(tmp_path / "trials")
    assert find_overlay_problem(KIND, tmp_path, tmp_path, memory=memory) == "no mounts here"
    memory.confirm(KIND)
    assert not (tmp_path / "trials").exists()
