"""Templates: what git checks out, made once for each tree."""

import os
import random
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Workspace
from shown import Shown, read_folder, require_right_index, require_right_sizes

from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository
from gitbatch.repo.templates import templates as module
from gitbatch.repo.templates.store import read_layers, remove_layer
from gitbatch.repo.templates.templates import Templates, open_templates


@pytest.fixture
def repo(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    workspace.write("a b/ü.md", "1")
    workspace.write("c/deep/x.md", "2")
    workspace.write("top.md", "3")
    workspace.commit()
    opened = open_repository(workspace.root)
    yield opened
    opened.close()


@pytest.fixture
def templates(repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Templates]:
    monkeypatch.setattr(module, "_MOST_LAYERS", 4)
    with open_templates(repo, tmp_path / "cache") as opened:
        yield opened


def head(repo: Repository) -> str:
    return repo.refs.commit("HEAD") or ""


def test_a_template_is_made_once_by_git(repo: Repository, workspace: Workspace, templates: Templates) -> None:
    workspace.write("long.md", "x" * 5000)
    workspace.write("empty.md", "")
    (workspace.root / "link").symlink_to("a b")
    workspace.commit()
    layers = templates.layers(head(repo))
    (tree,) = layers.lower
    require_right_sizes(layers)
    assert (tree / "a b/ü.md").read_text() == "1"
    status = workspace.git(
        "-C", str(tree), f"--git-dir={repo.git_dir}", f"--work-tree={tree}", "status", "-s"
    )
    assert status == ""
    templates.guard = lambda: pytest.fail("git is started again")
    assert templates.layers(head(repo)).lower == (tree,)


def merge_layers(lower: tuple[Path, ...]) -> Shown:
    """Returns what an overlay of layers shows."""
    found: Shown = {}
    for layer in reversed(lower):
        for name, (mode, content) in read_folder(layer).items():
            if not (stat.S_ISDIR(mode) and stat.S_ISDIR(found.get(name, (0, b""))[0])):
                for hidden in [path for path in found if path == name or path.startswith(f"{name}/")]:
                    del found[hidden]
            if not stat.S_ISCHR(mode):
                found[name] = (mode, content)
    return found


def edit_files(workspace: Workspace, dice: random.Random) -> None:
    """Makes a few random changes: files, links, folders in place of files, and the reverse."""
    names = ("a", "a/b", "a/b/c", "d/e", "f", "f/g", "top.md", "a-b", "a.b/x", "ü/y", "c/deep/x.md", "c")
    workspace.write("d/always.txt", f"$Id$ {dice.random()}\n")
    for _ in range(dice.randint(1, 4)):
        path = workspace.root / dice.choice(names)
        workspace.git(
            "rm", "-rq", "--cached", "--ignore-unmatch", "--", str(path.relative_to(workspace.root))
        )
        subprocess.run(["rm", "-rf", path], check=True)
        if dice.random() < 0.3:
            continue
        blocked = [above for above in path.parents if above.is_file() or above.is_symlink()]
        for above in blocked:
            above.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        if dice.random() < 0.2:
            path.symlink_to("top.md")
        else:
            path.write_text(f"{dice.random()}\n")
            path.chmod(dice.choice((0o644, 0o755)))
    workspace.commit()


@pytest.mark.parametrize("attributes", ["", "*.md text eol=crlf\n*.txt ident\n"])
def test_layers_show_what_a_checkout_has(
    repo: Repository, workspace: Workspace, templates: Templates, tmp_path: Path, attributes: str
) -> None:
    dice = random.Random(attributes)  # noqa: S311 - the same edits each time
    if attributes:
        workspace.write(".gitattributes", attributes)
        workspace.commit()
    depths = []
    for number in range(7):
        layers = templates.layers(head(repo))
        depths.append(len(layers.lower))
        checkout = tmp_path / f"checkout-{number}"
        workspace.git("worktree", "add", "-q", "--detach", str(checkout), "HEAD")
        assert merge_layers(layers.lower) == read_folder(checkout)
        require_right_index(workspace, layers.index, layers.tree, layers.lower)
        layers.close()
        edit_files(workspace, dice)
    assert depths == [1, 2, 3, 4, 2, 3, 4]


def commit_one(workspace: Workspace, path: str, text: str) -> None:
    workspace.write(path, text)
    workspace.commit()


def test_other_attributes_make_a_new_template(
    repo: Repository, workspace: Workspace, templates: Templates
) -> None:
    templates.layers(head(repo))
    commit_one(workspace, "c/.gitattributes", "*.md eol=crlf")
    layers = templates.layers(head(repo))
    assert [lease.marker.purpose for lease in layers.leases] == ["template"]


def test_a_base_that_differs_much_makes_a_new_template(
    repo: Repository, workspace: Workspace, templates: Templates, monkeypatch: pytest.MonkeyPatch
) -> None:
    templates.layers(head(repo))
    monkeypatch.setattr(module, "_FEW", 1)
    workspace.write("new/1.md", "1")
    commit_one(workspace, "new/2.md", "2")
    assert len(templates.layers(head(repo)).lower) == 1


def test_without_whiteouts_each_base_has_a_template(
    repo: Repository, workspace: Workspace, templates: Templates, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "mknod", refuse)
    templates.layers(head(repo))
    workspace.git("rm", "-q", "top.md")
    workspace.git("commit", "-qm", "less")
    layers = templates.layers(head(repo))
    assert [lease.marker.purpose for lease in layers.leases] == ["template"]
    assert not (layers.lower[0] / "top.md").exists()


def test_a_thin_layer_without_what_it_lies_on_is_made_again(
    repo: Repository, workspace: Workspace, templates: Templates
) -> None:
    template = templates.layers(head(repo))
    commit_one(workspace, "top.md", "new")
    thin = templates.layers(head(repo))
    (name,) = {lease.name for lease in template.leases}
    thin.close()
    template.close()
    assert remove_layer(templates.store.root, name)
    layers = templates.layers(head(repo))
    shown = merge_layers(layers.lower)
    assert (shown["top.md"][1], shown["a b/ü.md"][1]) == (b"new", b"1")
    assert len(layers.lower) == 1


def test_old_thin_layers_of_a_run_go(
    repo: Repository, workspace: Workspace, templates: Templates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_DELTAS", 2)
    used = templates.layers(head(repo))
    for number in range(6):
        commit_one(workspace, "top.md", str(number))
        layers = templates.layers(head(repo))
        assert merge_layers(layers.lower)["top.md"][1] == str(number).encode()
        layers.close()
    found = read_layers(templates.store.root)
    purposes = [found[name][0] for name in templates.store.list_names()]
    assert sorted(marker.purpose for marker in purposes if marker) == ["delta", "delta", "template"]
    used.close()


def test_another_umask_makes_another_template(repo: Repository, tmp_path: Path) -> None:
    names = set()
    for umask in (0o022, 0o077):
        before = os.umask(umask)
        try:
            with open_templates(repo, tmp_path) as templates:
                names.add(templates.layers(head(repo)).leases[0].name)
        finally:
            os.umask(before)
    assert len(names) == 2


def test_changed_control_files_stop_the_making(repo: Repository, tmp_path: Path) -> None:
    def refuse() -> None:
        raise ZeroDivisionError

    with open_templates(repo, tmp_path, refuse) as templates, pytest.raises(ZeroDivisionError):
        templates.layers(head(repo))
    assert templates.store.list_names() == ()


def test_layers_of_a_repository_with_sha256(workspace: Workspace, tmp_path: Path) -> None:
    shutil.rmtree(workspace.root / ".git")
    workspace.git("init", "-q", "-b", "main", "--object-format=sha256")
    commit_one(workspace, "b/new.md", "1")
    opened = open_repository(workspace.root)
    with closing(opened), open_templates(opened, tmp_path / "cache") as templates:
        templates.layers(head(opened))
        commit_one(workspace, "b/new.md", "2")
        layers = templates.layers(head(opened))
        assert len(layers.lower) == 2
        require_right_index(workspace, layers.index, layers.tree, layers.lower)
