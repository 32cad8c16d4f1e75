"""What a run would refuse or regret although the plan is right: lint, plan and run say the same."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Here, Workspace

from gitbatch.batch.planning.checkout_files import CheckoutFiles
from gitbatch.batch.planning.lint import LintSettings, lint_plan
from gitbatch.batch.planning.start_checks import Folders
from gitbatch.batch.planning.surroundings import OwnFiles
from gitbatch.project.disk import DiskSnapshot
from gitbatch.project.lint import check_plan

RUN = ("run", "--items", "group:1", "--checkpoint", "at-end")
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


def said(workspace: Workspace, code: str, *more: str) -> dict[str, list[str]]:
    """The lines with a code that each of the three commands says, without the position of the file."""
    found = {}
    for command in (("lint",), ("plan",), (*RUN, *more)):
        done = workspace.gitbatch(*command)
        text = done.stdout + done.stderr
        found[command[0]] = [line for line in text.splitlines() if f": {code} " in line]
    return found


def assert_same(found: dict[str, list[str]], *words: str) -> None:
    assert found["lint"] == found["plan"] == found["run"]
    for word in words:
        assert word in "\n".join(found["lint"])


def add_submodule(workspace: Workspace) -> None:
    inner = workspace.root.parent / "inner"
    workspace.git("clone", "-q", str(workspace.root), str(inner))
    workspace.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "sub")


def add_repository(workspace: Workspace, folder: str) -> None:
    workspace.git("init", "-q", folder)
    workspace.write(f"{folder}/notes.md", "notes of another repository\n")
    workspace.write(".gitignore", f"/{folder}/\n")


@pytest.mark.parametrize("name", ["sub/rules.md", "sub/tools", "sub", "/sub/rules.md"])
@pytest.mark.sample(2)
def test_a_context_in_a_submodule(three: Workspace, name: str) -> None:
    add_submodule(three)
    three.edit("task.md", "out/letters/a.md\n", f"out/letters/a.md (context: {name})\n")
    three.commit()
    found = said(three, "GB401")
    assert found["lint"] == found["plan"]
    assert f"“T101” reads “{name}”, which is in the submodule sub: " in found["lint"][0]
    assert "task.md:13:67: GB401 error: " in found["lint"][0]
    done = three.gitbatch(*RUN, code=2)
    assert f"T101 reads {name}, which is in the submodule sub: its files are in no commit" in done.stderr
    three.gitbatch("lint", code=2)
    three.gitbatch("plan", code=2)
    assert "GB401" in three.gitbatch("run", "--items", "T102", "--checkpoint", "at-end", code=0).stderr


def test_a_context_in_a_nested_repository(three: Workspace) -> None:
    add_repository(three, "other")
    three.edit("task.md", "out/letters/a.md\n", "out/letters/a.md (context: other/notes.md)\n")
    three.commit()
    found = said(three, "GB401")
    assert_same({**found, "run": found["plan"]}, "which is in the nested repository other")
    assert "which is in the nested repository other" in three.gitbatch(*RUN, code=2).stderr


def lfs(workspace: Workspace, content: str = POINTER) -> None:
    workspace.write(".gitattributes", "*.bin filter=lfs -text\n*.key filter=git-crypt\n")
    workspace.write("model.bin", content)
    workspace.write("a.key", "secret\n")
    workspace.edit(
        "task.md", "out/letters/a.md\n", "out/letters/a.md (context: model.bin, a.key, rules.md)\n"
    )
    workspace.edit("tools/agent.sh", "prompt=$(cat)", 'prompt=$(tee "$HOME/$(basename $1).prompt")')
    workspace.commit()


def test_a_context_that_is_a_pointer_is_reported_and_the_prompt_says_so(three: Workspace) -> None:
    lfs(three)
    found = said(three, "GB402")
    assert_same(found, "GB402 warning: “T101” reads “model.bin”, which is a Git LFS pointer, not the content")
    assert_same(found, "“a.key”, which is as its filter git-crypt stores it")
    prompt = (three.home / "a.md.prompt").read_text(encoding="utf-8")
    assert "- model.bin (declared; a Git LFS pointer, not the content)\n" in prompt
    assert "- a.key (declared; as its filter git-crypt stores it, not as it is used)\n" in prompt
    assert "- rules.md (rules)\n" in prompt


def test_the_prompt_does_not_call_a_file_a_pointer_that_may_be_real(three: Workspace) -> None:
    lfs(three)
    (three.root / ".git/lfs/objects").mkdir(parents=True)
    three.gitbatch(*RUN)
    prompt = (three.home / "a.md.prompt").read_text(encoding="utf-8")
    said = "stored by Git LFS: a worktree has the content if this repository has it, else a pointer"
    assert f"- model.bin (declared; {said})\n" in prompt


def test_a_large_file_under_the_lfs_attribute_is_no_pointer(three: Workspace) -> None:
    lfs(three, "x" * 5000)
    assert "model.bin" not in "\n".join(said(three, "GB402")["plan"])


@pytest.mark.parametrize("where", [".gitignore", "out/.gitignore", ".git/info/exclude"])
@pytest.mark.sample(2)
def test_an_output_that_is_ignored(three: Workspace, where: str) -> None:
    pattern = "*.md" if where == "out/.gitignore" else "out/letters/a.md"
    three.write(where, f"{pattern}\n!b.md\n")
    if not where.startswith(".git/"):
        three.commit()
    found = said(three, "GB403", "--items", "all")
    assert_same(
        found,
        f"task.md:13:40: GB403 warning: the output “out/letters/a.md” is ignored by the pattern “{pattern}” in {where}",
    )
    assert "out/letters/b.md" not in "\n".join(found["lint"])
    assert len(found["lint"]) == (11 if where == "out/.gitignore" else 1)
    assert three.read("out/letters/a.md"), "it is written all the same"
    three.gitbatch("lint", "--strict", code=0)


def test_what_the_user_ignores_everywhere_is_theirs(three: Workspace) -> None:
    (three.home / ".config/git").mkdir(parents=True)
    (three.home / ".config/git/ignore").write_text("*.md\n", encoding="utf-8")
    assert three.gitbatch("lint", code=0).stdout == "task.md: 12 items in 3 groups\n"


def test_an_output_below_a_nested_repository_is_refused(three: Workspace) -> None:
    three.git("init", "-q", "out/letters")
    before = three.state()
    found = said(three, "GB404")
    problem = "out/letters is a repository of its own and not a submodule of this one"
    assert_same(found, f"cannot write the output “out/letters/a.md”: {problem}")
    assert len(found["lint"]) == 4
    assert problem in three.gitbatch(*RUN, code=2).stderr
    three.gitbatch("lint", code=2)
    three.gitbatch("plan", code=2)
    assert three.state() == before
    three.gitbatch(*RUN, "--branch", "work", code=0)


def test_a_nested_repository_that_comes_between_two_starts_is_refused(paused: Workspace) -> None:
    paused.git("init", "-q", "out/words")
    done = paused.gitbatch("run", code=2)
    assert "cannot write the output out/words/one.md: out/words is a repository" in done.stderr
    (paused.root / "out/words/.git").rename(paused.home / "away")
    paused.gitbatch("run", code=3)


def test_a_folder_that_is_no_repository_is_a_folder(three: Workspace) -> None:
    (three.root / "out/letters/.git").mkdir(parents=True)
    assert three.gitbatch("lint", code=0).stdout == "task.md: 12 items in 3 groups\n"


def test_a_box_that_was_ticked_without_its_file(three: Workspace) -> None:
    three.edit("task.md", "- [ ] T101", "- [x] T101")
    three.edit("task.md", "- [ ] T102", "- [x] T102")
    three.write("out/letters/b.md", "by hand\n")
    three.commit()
    (three.root / "out/letters/b.md").unlink()
    three.git("update-index", "--skip-worktree", "out/letters/b.md")
    found = said(three, "GB405", "--branch", "work")
    assert_same(
        found,
        "task.md:13:1: GB405 warning: “T101” is ticked, and its output “out/letters/a.md” does not exist",
    )
    assert len(found["lint"]) == 1


@pytest.mark.parametrize("kind", ["submodule", "link", "file", "folder"])
def test_an_output_that_is_blocked(three: Workspace, kind: str) -> None:
    if kind == "submodule":
        add_submodule(three)
    elif kind == "link":
        three.write("real/x", "x")
        (three.root / "sub").symlink_to("real")
    elif kind == "file":
        three.write("sub", "x")
    else:
        three.write("sub/a.md/x", "x")
    three.edit("task.md", "out/letters/a.md\n", "sub/a.md\n")
    three.edit("task.md", "out/letters/a.md, out/letters/b.md", "out/letters/b.md")
    three.edit("task.md", "out/letters/d.md, out/letters/a.md", "out/letters/d.md")
    three.commit()
    found = said(three, "GB406")
    what = {"submodule": "sub is a submodule", "link": "sub is a symlink", "file": "sub is a file"}
    assert_same(found, f"cannot write the output “sub/a.md”: {what.get(kind, 'sub/a.md is a folder')}")
    assert "cannot write the output sub/" in three.gitbatch(*RUN, code=2).stderr


@pytest.mark.rule("O6")
def test_what_keeps_an_item_from_running_is_an_error_with_its_place(three: Workspace) -> None:
    three.edit(
        "task.md", "out/letters/a.md\n", "out/letters/a.md (context: docs/*.md, out/words/one.md, gone.md)\n"
    )
    three.edit("task.md", "out/letters/b.md\n", "out/letters/b.md → Agent: scriptd\n")
    three.commit()
    before = three.state()
    text = three.gitbatch("lint", code=2).stdout
    for expected in (
        "GB408 error: “T101” reads “docs/*.md”, which does not exist and which no item writes",
        "help: Platzhalter werden nicht ausgewertet: nenne den Ordner oder jede Datei",
        "GB408 error: “T101” reads “out/words/one.md”, which T301 writes, and that is not in an earlier group",
        "GB408 error: “T101” reads “gone.md”",
        "GB409 error: “T102” wants agent “scriptd”, which is not configured",
        "help: ist scripted gemeint?",
    ):
        assert expected in text
    assert text.splitlines()[-1] == "task.md: 4 errors"
    assert "task.md:13: T101 reads docs/*.md, which does not exist" in three.gitbatch(*RUN, code=2).stderr
    criteria = [line for line in three.read("task.md").splitlines() if line.startswith("- [ ] ")][:3]
    for line in criteria:
        three.edit("task.md", line, line.replace("[ ]", "[x]"))
    text = three.gitbatch("lint", code=0).stdout
    assert text.count("GB412 warning: ") == 12
    assert "GB412 warning: “T101” does not run: every criterion of the Definition of Done is ticked" in text
    assert text.splitlines()[-1] == "task.md: 12 warnings"
    three.git("checkout", "-q", "task.md")
    assert three.state() == before


def test_an_output_with_a_filter(three: Workspace) -> None:
    three.write(".gitattributes", "out/letters/a.md filter=lfs\n*.sh filter\n")
    three.commit()
    assert_same(said(three, "GB407"), "the output “out/letters/a.md” has the filter “lfs”")


PROGRAMS = (
    *(
        "filter.lfs.clean",
        "filter.lfs.smudge",
        "filter.lfs.process",
        "core.fsmonitor",
        "core.pager",
        "core.editor",
    ),
    *("pager.log", "pager.status", "diff.external", "diff.x.textconv", "merge.x.driver", "core.sshCommand"),
    *("credential.helper", "gpg.program", "core.askPass", "interactive.diffFilter"),
)


def test_no_program_that_the_repository_names_is_started(three: Workspace) -> None:
    trap = three.home / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {three.home}/ran\n", encoding="utf-8")
    trap.chmod(0o755)
    three.write(".gitattributes", "*.bin filter=lfs diff=x merge=x\n*.md filter=lfs\n")
    three.write("gitbatch.toml", three.read("gitbatch.toml").replace('"sh", ', f'"{trap}", '))
    three.commit()
    for name in PROGRAMS:
        three.git("config", name, str(trap))
    for name in ("status", "log", "ls-files", "check-ignore", "cat-file", "for-each-ref"):
        three.git("config", f"alias.{name}", f"!{trap}")
    three.git("config", "commit.gpgSign", "true")
    for hook in ("post-checkout", "post-index-change", "reference-transaction", "pre-commit"):
        (three.root / ".git/hooks").mkdir(exist_ok=True)
        (three.root / ".git/hooks" / hook).symlink_to(trap)
    three.write(".gitignore", "out/\n")
    three.write("new.bin", "x")
    (three.home / "ran").unlink(missing_ok=True)
    for command in ("lint", "plan", "status"):
        three.gitbatch(command, code=0)
    assert "uncommitted changes" not in three.gitbatch("lint", "--here", code=0).stdout
    assert not (three.home / "ran").exists()
    three.git("status")
    assert (three.home / "ran").exists(), "git itself falls into the trap"


def test_the_number_of_git_commands_does_not_grow_with_the_plan(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    settings = LintSettings(workspace.environment, Folders(None, workspace.home))
    started: list[object] = []
    run = subprocess.Popen.__init__

    def count(process: "subprocess.Popen[bytes]", *arguments: Any, **more: Any) -> None:  # noqa: ANN401 - as Popen
        started.append(arguments)
        run(process, *arguments, **more)

    monkeypatch.setattr(subprocess.Popen, "__init__", count)
    counts = []
    for size in (1, 40):
        items = (
            f"- [{' x'[number % 2]}] T{number} a → Output: o/{number}.md (context: docs/{number}.md)\n"
            for number in range(2 * size)
        )
        workspace.write("task.md", f"## Work Packages\n\n### G\n{''.join(items)}")
        for number in range(2 * size):
            workspace.write(f"docs/{number}.md", "a\n")
        started.clear()
        lint_plan(workspace.root / "task.md", settings)
        counts.append(len(started))
    assert counts[0] == counts[1] > 0


def test_outside_a_repository_there_is_nothing_to_see(tmp_path: Path, three: Workspace) -> None:
    (tmp_path / "alone").mkdir()
    plan = tmp_path / "alone/task.md"
    plan.write_text("## Work Packages\n\n### G\n\n- [x] a → Output: a.md\n", encoding="utf-8")
    assert check_plan(plan).plan.diagnostics == ()
    assert "1 item in 1 group" in replace(three, root=tmp_path / "alone").gitbatch("lint", code=0).stdout


def test_where_the_project_cannot_be_made_out_the_plan_alone_is_checked(three: Workspace) -> None:
    three.write("CLAUDE.md", "## Active Scope\n\nPhase: nowhere\n")
    three.edit("task.md", "- [ ] T101", "- [x] T101")
    said = three.gitbatch("lint", "task.md", code=2).stdout
    assert "GB405" not in said
    assert "CLAUDE.md:1:1: GB414 error: phase nowhere has no folder docs/phases/nowhere" in said


def test_the_files_of_other_repositories_are_not_own_files(three: Workspace) -> None:
    add_repository(three, "other")
    three.write("sub/a.md", "of the submodule\n")
    own = OwnFiles(CheckoutFiles(DiskSnapshot(three.root), {}), frozenset({"sub"}))
    assert [own.read(path) for path in ("rules.md", "sub/a.md", "other/notes.md")] == [
        three.read("rules.md").encode(),
        None,
        None,
    ]
    assert own.files("sub") == own.files("other") == ()
    assert not {"sub", "other"} & set(own.list_folder("").folders)
    assert own.list_folder("sub").files == ()
    assert "rules.md" in own.list_folder("").files
    assert own.blob("sub/a.md") is None


def test_an_output_that_worktrees_are_prepared_from(three: Workspace, here: Here) -> None:
    settings = 'prepare = ["make"]\nprepare-on = ["out/letters/*.md", "out/words/one.md"]'
    three.edit("gitbatch.toml", "jobs = 4", f"jobs = 4\n{settings}")
    three.commit()
    found = [line for line in here("lint")[1].splitlines() if "GB424" in line]
    assert len(found) == 5
    assert found[0].endswith("worktrees are prepared from the output “out/letters/a.md” (batch.prepare-on)")
    three.edit("gitbatch.toml", 'prepare = ["make"]\n', "")
    three.commit()
    assert "GB424" not in here("lint")[1], "nothing is prepared"
