"""The choice of the kind of worktree, and what it says about the kinds that do not work."""

from pathlib import Path

import pytest

from gitbatch.batch.workplace import kinds
from gitbatch.batch.workplace.kinds import FEW_FILES, KindChoice, TrialTools, WorktreeKind, choose_kind
from gitbatch.errors import GitbatchError, UsageError
from gitbatch.sandbox import overlay
from gitbatch.sandbox.model import SandboxKind
from gitbatch.sandbox.trial_memory import TrialMemory


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "worktrees", tmp_path / "layers"


def refuse(monkeypatch: pytest.MonkeyPatch, overlay: str, clone: str) -> None:
    monkeypatch.setattr(kinds, "_find_overlay_problem", lambda *_: overlay)
    monkeypatch.setattr(kinds, "_find_clone_problem", lambda *_: clone)


@pytest.mark.parametrize(
    ("overlay", "clone", "text"),
    [
        ("", "", "overlay"),
        ("no mounts", "", "clone (overlay: no mounts)"),
        ("no mounts", "no reflinks", "copy (overlay: no mounts; clone: no reflinks)"),
    ],
)
def test_the_first_that_works(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, overlay: str, clone: str, text: str
) -> None:
    refuse(monkeypatch, overlay, clone)
    assert choose_kind("auto", (), *folders).text == text


def test_few_files_are_copied(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, "", "")
    text = "copy (3 files of a context, which cost less than a mount)"
    assert choose_kind("auto", (), *folders, 3).text == text
    assert choose_kind("auto", (), *folders, FEW_FILES + 1).kind is WorktreeKind.OVERLAY
    assert choose_kind("overlay", (), *folders, 3).kind is WorktreeKind.OVERLAY


def test_a_kind_that_is_asked_for(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, "no mounts", "the file system has no reflinks")
    assert choose_kind("copy", (), *folders) == KindChoice(WorktreeKind.COPY)
    with pytest.raises(GitbatchError, match="kind clone: the file system has no reflinks"):
        choose_kind("clone", (), *folders)
    with pytest.raises(UsageError, match="GITBATCH_WORKTREE is hardlink"):
        choose_kind("hardlink", (), *folders)
    refuse(monkeypatch, "no mounts", "")
    assert choose_kind("clone", (), *folders) == KindChoice(WorktreeKind.CLONE)


def test_only_for_agents_a_memory_counts(
    tmp_path: Path, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it is wrong for a check's sandbox, the agent is paid before the check cannot start."""
    trials: list[SandboxKind] = []

    def make_trial(kind: SandboxKind, *_: object) -> str:
        trials.append(kind)
        return ""

    monkeypatch.setattr(overlay, "_find_problem", make_trial)
    monkeypatch.setattr("sys.platform", "linux")
    both = SandboxKind.NONE, SandboxKind.BUBBLEWRAP
    for agents in (frozenset(both), frozenset(both[:1])):
        monkeypatch.setattr(overlay, "_KNOWN", {})
        memory = TrialMemory(tmp_path / "trials")
        assert choose_kind("auto", both, *folders, tools=TrialTools(None, memory, agents)).text == "overlay"
        memory.confirm("")
    assert trials == [SandboxKind.BUBBLEWRAP, SandboxKind.NONE, SandboxKind.BUBBLEWRAP]
