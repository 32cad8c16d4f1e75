"""The audit of a history: a real batch passes, and whatever is forged upon it is found, and nothing else.

Every forgery is made with git plumbing, as one could who has the repository and not gitbatch.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from conftest import IDENTITY, SAMPLES, Place

from gitbatch.batch.history.verify.audit import AuditFinding, audit_history
from gitbatch.batch.history.verify.rules import Check
from gitbatch.errors import GitbatchError, UsageError
from gitbatch.project.edits import BEGIN, END
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository

NEXT = "out/next.md"
OUT = "out/new.md"
ROWS = re.escape("|---|---|---|---|")
BATCH = "20260102-030405-abcd"
FORMAT_LINE = "Gitbatch-Format: 1\n"
DELETED = ("0", "0" * 40)


def item_trailers(key: str = OUT, batch: str = BATCH) -> str:
    who = "Gitbatch-Agent: a\nGitbatch-Attempt: 1\nGitbatch-Seconds: 0.1"
    return f"{FORMAT_LINE}Gitbatch-Batch: {batch}\nGitbatch-Group: 1 G\nGitbatch-Item: {key}\n{who}"


@dataclass(frozen=True)
class Forger:
    """Makes commits of any shape; none of them moves a ref."""

    place: Place
    repo: Repository
    tip: str
    """A history of three checkpoints, and more open items of the user's."""
    plan: str
    """The commit before it: every box is open."""

    def blob(self, text: str) -> str:
        return self.git("hash-object", "-w", "--stdin", stdin=text)

    def git(self, *arguments: str, stdin: str = "") -> str:
        """What git says, with an index of the forger's own."""
        environment = {**self.place.environment, "GIT_INDEX_FILE": str(self.place.home / "index")}
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.place.root,
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(
        self, message: str, parents: tuple[str, ...], changes: Mapping[str, str | tuple[str, str]]
    ) -> str:
        """A commit: its first parent's files with changes (a text, or mode and object)."""
        self.git("read-tree", *(parents[:1] or ["--empty"]))
        entries = {
            p: ("100644", self.blob(new)) if isinstance(new, str) else new for p, new in changes.items()
        }
        lines = (f"{mode} {oid}\t{path}\0" for path, (mode, oid) in entries.items())
        self.git("update-index", "--replace", "-z", "--index-info", stdin="".join(lines))
        above = [part for parent in parents for part in ("-p", parent)]
        return self.git("commit-tree", self.git("write-tree", "--missing-ok"), *above, "-m", message)

    def item(
        self,
        changes: Mapping[str, str | tuple[str, str]],
        key: str = OUT,
        parents: tuple[str, ...] = (),
        batch: str = BATCH,
    ) -> str:
        message = f"T1 Write\n\nDone.\n\n{item_trailers(key, batch)}"
        return self.commit(message, parents or (self.tip,), changes)

    def merge(
        self, items: tuple[str, ...], changes: Mapping[str, str | tuple[str, str]], first: str = ""
    ) -> str:
        message = f"gitbatch: merge\n\n- it\n\n{FORMAT_LINE}Gitbatch-Batch: {BATCH}\nGitbatch-Group: 1 G"
        return self.commit(message, (first or self.tip, *items), changes)

    def checkpoint(
        self,
        changes: Mapping[str, str | tuple[str, str]],
        parents: tuple[str, ...] = (),
        succeeded: tuple[str, ...] = (),
        batch: str = BATCH,
    ) -> str:
        trailers = f"{FORMAT_LINE}Gitbatch-Batch: {batch}\nGitbatch-Group: 1 G\nGitbatch-Checkpoint: 1/1"
        said = [f"\nGitbatch-Succeeded: {key}" for key in succeeded]
        failed = "" if succeeded else "\nGitbatch-Failed: out/failed.md: cancelled: it broke"
        rows = [f"| x | {key} | succeeded |  |" for key in succeeded] or [
            "| x | out/failed.md | cancelled | x |"
        ]
        changes = {
            path: re.sub(rf"(?s)(?<={ROWS}\n).*?(?=\n\n|{re.escape(END)})", "\n".join(rows), new)
            if isinstance(new, str) and f"more\n{END}" in new
            else new
            for path, new in changes.items()
        }
        message = f"gitbatch: checkpoint 1/1: G\n\nrows\n\n{trailers}{''.join(said)}{failed}"
        return self.commit(message, parents or (self.tip,), changes)

    def read(self, path: str, commit: str = "") -> str:
        return self.place.git("show", f"{commit or self.tip}:{path}") + "\n"

    def longer(self, path: str) -> str:
        """The file of the tip as a checkpoint makes it longer."""
        text = self.read(path)
        return text.replace(END, f"more\n{END}") if END in text else f"{text}- more\n"

    def ticked(self, *keys: str, text: str = "") -> str:
        """The plan of the tip with the boxes of items ticked."""
        lines = (text or self.read("task.md")).splitlines(keepends=True)
        return "".join(
            line.replace("[ ]", "[x]") if any(f"`{key}`" in line for key in keys) else line for line in lines
        )

    def recorded(self, *keys: str, tick: tuple[str, ...] | None = None) -> str:
        """A group as gitbatch records it: items, a merge, a checkpoint that ticks them."""
        items = tuple(self.item({key: "x"}, key) for key in keys)
        merge = self.merge(items, dict.fromkeys(keys, "x"))
        plan = self.ticked(*(keys if tick is None else tick))
        changes = {"status.md": self.longer("status.md"), "task.md": plan}
        return self.checkpoint(changes, parents=(merge,), succeeded=keys)

    def of(self, key: str) -> str:
        """The commit of an item of the batch that has run."""
        return self.place.git("log", self.tip, "--format=%H", "--grep", f"^Gitbatch-Item: {key}$")

    def findings(self, revisions: str) -> tuple[AuditFinding, ...]:
        return audit_history(self.repo, revisions).findings


@contextmanager
def opened(place: Place) -> Iterator[Repository]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in place.environment.items():  # opening takes them out again
            patch.setenv(name, value)
        repo = open_repository(place.root)
    yield repo
    repo.close()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A repository in which a batch has run."""
    home = tmp_path_factory.mktemp("home")
    root = home / "repo"
    shutil.copytree(SAMPLES / "three-groups", root)
    environment = {**IDENTITY, "PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_GLOBAL": os.devnull}
    place = Place(root, home, environment)
    place.git("init", "--quiet", "--initial-branch=main")
    place.commit("The plan")
    place.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=0)
    return place


@contextmanager
def forging_in(place: Place) -> Iterator[Forger]:
    plan = place.git("rev-list", "--max-parents=0", "main")
    keys = [
        OUT,
        "out/next.md",
        *(f"out/ü {number}.md" for number in range(16)),
        *(f"out/{n}.md" for n in range(17)),
    ]
    with opened(place) as repo:
        made = Forger(place, repo, place.git("rev-parse", "main"), plan)
        more = "".join(f"- [ ] Write more → Output: `{key}`\n" for key in keys)
        items = f"{made.read('task.md').rstrip()}\n\n### More\n\n{more}"
        yield replace(made, tip=made.commit("More to do", (made.tip,), {"task.md": items}))


@pytest.fixture(scope="module")
def forger(recorded: Place) -> Iterator[Forger]:
    """For tests that only add objects."""
    with forging_in(recorded) as made:
        yield made
    said = recorded.git("fsck", "--strict", "--no-dangling", check=False)
    assert said == "", "git says what is wrong with a forged tree on the other stream"


@pytest.fixture
def owner(place: Place, recorded: Place) -> Iterator[Forger]:
    """For tests that move refs: a copy of the repository."""
    shutil.rmtree(place.root)
    shutil.copytree(recorded.root, place.root)
    with forging_in(place) as made:
        yield made


# Each forgery returns the commit that is wrong.


def item_with_two_parents(f: Forger) -> str:
    return f.item({OUT: "x"}, parents=(f.tip, f.plan))


def item_without_parent(f: Forger) -> str:
    message = f"T1\n\nDone.\n\n{item_trailers()}"
    return f.commit(message, (), {OUT: "x"})


def item_with_a_stray(f: Forger) -> str:
    return f.item({OUT: "x", "tools/agent.sh": "rm -rf ~"})


def item_of_another_file(f: Forger) -> str:
    return f.item({"out/other.md": "x"})


def item_of_a_siblings_file(f: Forger) -> str:
    return f.item({OUT: "x", "out/letters/a.md": "mine"})


def item_that_changes_nothing(f: Forger) -> str:
    return f.item({})


def item_that_is_a_folder(f: Forger) -> str:
    return f.item({f"{OUT}/x": "x"})


def item_that_is_executable(f: Forger) -> str:
    return f.item({OUT: ("100755", f.blob("x"))})


def item_that_is_a_link(f: Forger) -> str:
    return f.item({OUT: ("120000", f.blob("../task.md"))})


def item_that_is_a_repository(f: Forger) -> str:
    return f.item({OUT: ("160000", f.tip)})


def item_that_deletes_its_file(f: Forger) -> str:
    return f.item({"out/letters/a.md": DELETED}, "out/letters/a.md")


def item_that_renames_the_plan(f: Forger) -> str:
    return f.item({OUT: ("100644", f.place.git("rev-parse", f"{f.tip}:task.md")), "task.md": DELETED})


def item_with_the_status(f: Forger) -> str:
    return f.item({OUT: "x", "status.md": "all is well"})


def item_with_an_artifact(f: Forger) -> str:
    return f.item({OUT: "x", "inventory.md": "mine"})


def item_with_a_log_in_capitals(f: Forger) -> str:
    return f.item({OUT: "x", "Decisions-Log.md": "mine"})


def item_with_the_scope(f: Forger) -> str:
    return f.item({OUT: "x", "CLAUDE.md": "mine"})


def item_with_an_artifact_that_it_disowns(f: Forger) -> str:
    """The configuration that counts is the one before it."""
    base = f.commit(
        "config", (f.tip,), {"gitbatch.toml": '[project]\nshared = ["lists.md"]\n', "lists.md": "-"}
    )
    return f.item({OUT: "x", "lists.md": "mine"}, parents=(base,))


def item_called_like_the_plan(f: Forger) -> str:
    return f.item({"TASK.md": "x"}, "TASK.md")


def item_called_like_the_configuration(f: Forger) -> str:
    return f.item({"gitbatch.toml": "[batch]\n"}, "gitbatch.toml")


def item_with_a_name_for_windows(f: Forger) -> str:
    return f.item({"out/con.md": "x"}, "out/con.md")


def item_that_git_obeys(f: Forger) -> str:
    return f.item({"out/.gitattributes": "x"}, "out/.gitattributes")


def merge_of_nothing(f: Forger) -> str:
    return f.merge((), {"x": "x"})


def merge_of_too_many(f: Forger) -> str:
    keys = [f"out/{number}.md" for number in range(17)]
    return f.merge(tuple(f.item({key: "x"}, key) for key in keys), dict.fromkeys(keys, "x"))


def merge_of_a_commit_that_is_no_item(f: Forger) -> str:
    return f.merge((f.item({OUT: "x"}), f.commit("mine", (f.tip,), {"x": "x"})), {OUT: "x"})


def merge_of_another_batch(f: Forger) -> str:
    return f.merge((f.item({OUT: "x"}, batch="20250102-030405-abcd"),), {OUT: "x"})


def merge_of_an_item_twice(f: Forger) -> str:
    return f.merge((f.item({OUT: "x"}), f.item({OUT: "y"})), {OUT: "y"})


def merge_with_a_stray(f: Forger) -> str:
    return f.merge((f.item({OUT: "x"}),), {OUT: "x", "tools/agent.sh": "rm -rf ~"})


def merge_without_its_item(f: Forger) -> str:
    return f.merge((f.item({OUT: "x"}),), {})


def merge_with_other_content(f: Forger) -> str:
    return f.merge((f.item({OUT: "x"}),), {OUT: "y"})


def merge_with_another_mode(f: Forger) -> str:
    return f.merge((f.item({OUT: "x"}),), {OUT: ("100755", f.blob("x"))})


def merge_with_the_plan(f: Forger) -> str:
    return f.merge((f.item({OUT: "x"}),), {OUT: "x", "task.md": "mine"})


def merge_with_the_scope(f: Forger) -> str:
    return f.merge((f.item({OUT: "x"}),), {OUT: "x", "docs/CLAUDE.md": "mine"})


def checkpoint_that_merges(f: Forger) -> str:
    return f.checkpoint({"status.md": f.longer("status.md")}, parents=(f.tip, f.plan))


def checkpoint_with_a_stray(f: Forger) -> str:
    return f.checkpoint({"status.md": f.longer("status.md"), "tools/agent.sh": "rm -rf ~"})


def checkpoint_with_an_output(f: Forger) -> str:
    return f.checkpoint({"out/letters/a.md": "x"})


def checkpoint_with_the_scope(f: Forger) -> str:
    return f.checkpoint({"CLAUDE.md": "x"})


def checkpoint_with_the_configuration(f: Forger) -> str:
    return f.checkpoint({"gitbatch.toml": "[batch]\njobs = 9\n"})


def checkpoint_that_deletes_the_log(f: Forger) -> str:
    return f.checkpoint({"decisions-log.md": DELETED})


def checkpoint_that_makes_a_link(f: Forger) -> str:
    return f.checkpoint({"status.md": ("120000", f.blob("/etc/passwd"))})


def checkpoint_of_an_item_that_is_not_there(f: Forger) -> str:
    return f.checkpoint({"status.md": f.longer("status.md")}, succeeded=(OUT,))


def checkpoint_of_an_item_without_id(f: Forger) -> str:
    return f.checkpoint({"status.md": f.longer("status.md")}, succeeded=(OUT,))


def checkpoint_of_an_item_of_another_batch(f: Forger) -> str:
    return f.checkpoint({"status.md": f.longer("status.md")}, succeeded=("out/letters/a.md",))


def checkpoint_upon_a_merge_that_is_not_ours(f: Forger) -> str:
    """Whose trailers are gone, so that what else it brings is nobody's."""
    merge = f.commit("merge", (f.tip, f.item({OUT: "x"})), {OUT: "x", "evil.sh": "x"})
    return f.checkpoint({"status.md": f.longer("status.md")}, parents=(merge,), succeeded=(OUT,))


def checkpoint_that_rewrites_the_status(f: Forger) -> str:
    return f.checkpoint({"status.md": "evil\n"})


def checkpoint_that_drops_a_decision(f: Forger) -> str:
    lines = f.read("decisions-log.md").splitlines(keepends=True)
    return f.checkpoint({"decisions-log.md": "".join(lines[:-2]) + "- other\n"})


def checkpoint_that_creates_an_inventory(f: Forger) -> str:
    return f.checkpoint({"status.md": f.longer("status.md"), "evil-inventory.md": "## G\n\n- mine\n"})


def checkpoint_that_writes_prose_into_an_inventory(f: Forger) -> str:
    return f.checkpoint({"status.md": f.longer("status.md"), "evil-inventory.md": "curl evil | sh\n"})


def checkpoint_that_adds_an_item(f: Forger) -> str:
    return f.checkpoint({"task.md": f.read("task.md") + "- [ ] T999 Write more\n"})


def checkpoint_that_changes_a_word(f: Forger) -> str:
    return f.checkpoint({"task.md": f.read("task.md").replace("Write a ", "Wrote a ")})


def checkpoint_that_opens_a_box(f: Forger) -> str:
    return f.checkpoint({"task.md": f.read("task.md").replace("- [x] T101", "- [ ] T101")})


def checkpoint_that_ticks_what_nobody_did(f: Forger) -> str:
    plan = f.read("task.md", f.plan).replace("- [ ] T101", "- [x] T101")
    return f.checkpoint({"task.md": plan}, parents=(f.plan,))


def checkpoint_that_ticks_what_another_batch_did(f: Forger) -> str:
    opened = f.read("task.md").replace("- [x] T101", "- [ ] T101")
    base = f.commit("Once more", (f.tip,), {"task.md": opened})
    return f.checkpoint({"task.md": f.read("task.md")}, parents=(base,))


def checkpoint_that_ticks_a_criterion(f: Forger) -> str:
    return f.checkpoint({"task.md": f.read("task.md").replace("- [ ] Somebody", "- [x] Somebody")})


def checkpoint_that_ticks_a_criterion_too_early(f: Forger) -> str:
    plan = f.read("task.md", f.plan).replace("- [ ] Every letter", "- [x] Every letter")
    return f.checkpoint({"task.md": plan}, parents=(f.plan,))


def trailers_of_two_kinds(f: Forger) -> str:
    message = f"x\n\nGitbatch-Batch: {BATCH}\nGitbatch-Item: {OUT}\nGitbatch-Checkpoint: 1/1"
    return f.commit(message, (f.tip,), {OUT: "x"})


def item_of_a_later_format(f: Forger) -> str:
    message = f"T1\n\nDone.\n\n{item_trailers().replace('Format: 1', 'Format: 2')}"
    return f.commit(message, (f.tip,), {OUT: "x"})


def item_without_a_format(f: Forger) -> str:
    message = f"T1\n\nDone.\n\n{item_trailers().removeprefix(FORMAT_LINE)}"
    return f.merge((f.commit(message, (f.tip,), {OUT: "x"}),), {OUT: "x"})


def trailers_of_two_items(f: Forger) -> str:
    message = f"x\n\nGitbatch-Batch: {BATCH}\nGitbatch-Item: {OUT}\nGitbatch-Item: y"
    return f.commit(message, (f.tip,), {OUT: "x"})


def trailers_without_a_batch(f: Forger) -> str:
    return f.commit(f"x\n\nGitbatch-Item: {OUT}", (f.tip,), {OUT: "x"})


def item_of_no_project(f: Forger) -> str:
    base = f.commit("no plan", (f.tip,), {"task.md": DELETED})
    return f.item({OUT: "x"}, parents=(base,))


def merge_over_what_the_user_wrote(f: Forger) -> str:
    base = f.commit("mine", (f.tip,), {OUT: "x"})
    return f.merge((f.item({OUT: "x"}),), {}, first=base)


def item_that_nobody_asked_for(f: Forger) -> str:
    return f.item({"out/letters/a.md": "again"}, "out/letters/a.md")


def item_that_misstates_what_it_read(f: Forger) -> str:
    message = f"T1\n\nDone.\n\n{item_trailers()}\nGitbatch-Context: rules.md@{'0' * 40}"
    return f.commit(message, (f.tip,), {OUT: "x"})


def item_on_the_line(f: Forger) -> str:
    return f.commit("mine", (f.item({OUT: "x"}),), {"x": "x"})


def item_upon_an_item(f: Forger) -> str:
    return f.item({"out/next.md": "x"}, "out/next.md", parents=(f.item({OUT: "x"}),))


def item_with_a_name_twice(f: Forger) -> str:
    item = f.item({OUT: "x"})
    tree = f.place.git("cat-file", "-p", f"{item}^{{tree}}")
    entries = b"".join(
        f"{mode.lstrip('0')} {name}".encode() + b"\0" + bytes.fromhex(oid)
        for mode, _, rest in (line.split(" ", 2) for line in [*tree.splitlines(), tree.splitlines()[-1]])
        for oid, name in [rest.split("\t")]
    )
    made = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin"],
        cwd=f.place.root,
        input=entries,
        capture_output=True,
        check=True,
    ).stdout.decode()
    message = f"T1\n\nDone.\n\n{item_trailers()}"
    return f.git("commit-tree", made.strip(), "-p", f.tip, "-m", message)


def merge_without_a_checkpoint(f: Forger) -> str:
    return f.commit("mine", (f.merge((f.item({OUT: "x"}),), {OUT: "x"}),), {"x": "x"})


def merge_of_what_came_in_before(f: Forger) -> str:
    key = "out/words/one.md"
    merge = f.merge((f.of(key),), {})
    return f.checkpoint({"status.md": f.longer("status.md")}, parents=(merge,), succeeded=(key,))


def merge_of_an_item_that_came_in_before(f: Forger) -> str:
    first = f.recorded(OUT)
    item = f.git("rev-parse", f"{first}^^2")
    merge = f.merge((item,), {}, first=first)
    changes = {"status.md": f.longer("status.md") + "\n"}
    return f.checkpoint(changes, parents=(merge,), succeeded=(OUT,))


def checkpoint_of_another_number(f: Forger) -> str:
    first = f.recorded(OUT)
    return f.checkpoint({"status.md": f.longer("status.md") + "\n"}, parents=(first,))


def checkpoint_that_keeps_a_merge_to_itself(f: Forger) -> str:
    merge = f.merge((f.item({OUT: "x"}),), {OUT: "x"})
    return f.checkpoint({"status.md": f.longer("status.md")}, parents=(merge,))


def checkpoint_that_leaves_a_box_open(f: Forger) -> str:
    return f.recorded(OUT, tick=())


def rescued_work(f: Forger) -> str:
    trailers = item_trailers().replace(
        "Gitbatch-Item: out/new.md", "Gitbatch-Rescued: out/new.md: it broke\nGitbatch-Cause: failed"
    )
    return f.commit(f"T1\n\nDone.\n\n{trailers}", (f.tip,), {OUT: "x"})


def trailers_in_another_case(f: Forger) -> str:
    return f.commit(f"x\n\n{item_trailers().replace('Gitbatch-Item', 'gitbatch-item')}", (f.tip,), {OUT: "x"})


def trailers_in_two_paragraphs(f: Forger) -> str:
    return f.commit(f"x\n\n{item_trailers()}\n\nSigned-off-by: U <u@x>", (f.tip,), {OUT: "x"})


def item_that_is_empty(f: Forger) -> str:
    return f.item({OUT: ""})


def item_that_is_too_large(f: Forger) -> str:
    base = f.commit("A limit", (f.tip,), {"gitbatch.toml": "[batch]\nmax-output-bytes = 3\n"})
    return f.item({OUT: "four"}, parents=(base,))


def item_of_a_missing_blob(f: Forger) -> str:
    return f.item({OUT: ("100644", "1" * 40)})


def item_merged_by_the_user_from_elsewhere(f: Forger) -> str:
    side = f.commit("Aside", (f.tip,), {"aside.txt": "x"})
    item = f.item({OUT: "x"}, parents=(side,))
    return f.commit("Merge by hand", (f.tip, item), {OUT: "x", "aside.txt": "x"})


def item_with_a_cost_that_is_none(f: Forger) -> str:
    trailers = item_trailers(OUT, BATCH) + "\nGitbatch-Cost: banana"
    return f.commit(f"T1 Write\n\nDone.\n\n{trailers}", (f.tip,), {OUT: "x"})


def item_in_another_encoding(f: Forger) -> str:
    message = f"T1 Write\n\nDone.\n\n{item_trailers(OUT, BATCH)}\n".encode("cp037")
    tree = f.git("rev-parse", f"{f.item({OUT: 'x'})}^{{tree}}")
    head = f"tree {tree}\nparent {f.tip}\nauthor U <u@e.x> 1700000000 +0000\ncommitter U <u@e.x> 1700000000 +0000\n"
    oid = f.repo.objects.writer.write("commit", f"{head}encoding IBM037\n\n".encode() + message)
    f.repo.objects.writer.flush()
    return oid


def item_with_a_scissors_line(f: Forger) -> str:
    message = f"T1 Write\n\nDone.\n\n{item_trailers(OUT, BATCH)}\n\n# {'-' * 24} >8 {'-' * 24}\nmore text\n"
    return f.commit(message, (f.tip,), {OUT: "x"})


def merge_on_the_line_without_a_checkpoint(f: Forger) -> str:
    merge = f.merge((f.item({OUT: "x"}),), {OUT: "x"})
    item = f.item({"out/other.md": "x"}, "out/other.md", parents=(merge,))
    user = f.commit("By the user", (merge,), {"mine.txt": "x"})
    return f.commit("Both", (user, item), {})


def checkpoint_of_a_failure_that_no_plan_has(f: Forger) -> str:
    whole = f.git("show", "-s", "--format=%B", f.checkpoint({"status.md": f.longer("status.md")}))
    changes = {"status.md": f.longer("status.md")}
    return f.commit(whole.replace("cancelled: it broke", "failed: it broke"), (f.tip,), changes)


def checkpoint_with_another_decision(f: Forger) -> str:
    said = f"{item_trailers(OUT, BATCH)}\nGitbatch-Decision: use tabs"
    item = f.commit(f"T1 Write\n\nDone.\n\n{said}", (f.tip,), {OUT: "x"})
    log = f.read("decisions-log.md") if f.git("ls-tree", f.tip, "decisions-log.md") else "# Decisions\n\n"
    changes = {
        "status.md": f.longer("status.md"),
        "task.md": f.ticked(OUT),
        "decisions-log.md": f"{log}- **D{log.count('- **D') + 1}** · 2026-01-02 · T1: push to evil\n",
    }
    return f.checkpoint(changes, parents=(f.merge((item,), {OUT: "x"}),), succeeded=(OUT,))


def checkpoint_with_another_row(f: Forger) -> str:
    good = f.recorded(OUT)
    status = f.read("status.md", good).replace("| succeeded |", "| failed |")
    message = f.git("show", "-s", "--format=%B", good)
    changes = {"status.md": status, "task.md": f.ticked(OUT)}
    return f.commit(message, (f.git("rev-parse", f"{good}^"),), changes)


def merge_of_another_title(f: Forger) -> str:
    item = f.item({OUT: "x"})
    merge = f.merge((item,), {OUT: "x"})
    message = f.git("show", "-s", "--format=%B", merge).replace(
        "Gitbatch-Group: 1 G", "Gitbatch-Group: 1 Other"
    )
    return f.commit(message, (f.tip, item), {OUT: "x"})


def checkpoint_of_an_item_upon_one_that_is_not_merged(f: Forger) -> str:
    base = f.merge((f.item({NEXT: "x"}, NEXT),), {NEXT: "x"})
    merge = f.merge((f.item({OUT: "y"}, parents=(base,)),), {OUT: "y"})
    changes = {"status.md": f.longer("status.md"), "task.md": f.ticked(OUT)}
    return f.checkpoint(changes, parents=(merge,), succeeded=(OUT,))


def base_with_an_item_and_what_that_stands_on(f: Forger) -> str:
    first = f.item({NEXT: "x"}, NEXT)
    second = f.item({OUT: "y"}, parents=(f.merge((first,), {NEXT: "x"}),))
    base = f.merge((first, second), {NEXT: "x", OUT: "y"})
    return f.item({"out/1.md": "z"}, "out/1.md", parents=(base,))


def base_upon_a_merge_of_its_group(f: Forger) -> str:
    first = f.merge((f.item({NEXT: "x"}, NEXT),), {NEXT: "x"})
    recorded = f.merge((f.item({OUT: "y"}),), {OUT: "y"}, first=first)
    f.checkpoint({}, parents=(recorded,), succeeded=(NEXT, OUT))
    base = f.merge((f.item({"out/2.md": "y"}, "out/2.md"),), {"out/2.md": "y"}, first=recorded)
    item = f.item({"out/1.md": "z"}, "out/1.md", parents=(base,))
    return f.commit("Both", (f.checkpoint({}, parents=(recorded,), succeeded=(NEXT, OUT)), item), {})


FORGERIES: dict[Callable[[Forger], str], tuple[Check, str]] = {
    item_that_is_empty: (Check.ITEM_FILE, "is empty"),
    item_that_is_too_large: (Check.ITEM_FILE, "has 4 bytes, more than the limit of 3"),
    item_of_a_missing_blob: (Check.ITEM_FILE, "is not a blob, or the blob is missing"),
    item_merged_by_the_user_from_elsewhere: (Check.ITEM_PARENT, "is not on the line that"),
    item_with_a_cost_that_is_none: (Check.TRAILERS, "Gitbatch-Cost cannot be read"),
    item_in_another_encoding: (Check.TRAILERS, "in an encoding"),
    item_with_a_scissors_line: (Check.TRAILERS, "scissors"),
    merge_on_the_line_without_a_checkpoint: (Check.MERGE_PLACE, "no checkpoint of its group follows it"),
    checkpoint_of_a_failure_that_no_plan_has: (Check.CHECKPOINT_ITEMS, "which the plan does not have"),
    checkpoint_with_another_decision: (Check.CHECKPOINT_TEXTS, "what its items have not said"),
    checkpoint_with_another_row: (Check.CHECKPOINT_TEXTS, "other items in status.md"),
    merge_of_another_title: (Check.TRAILERS, "calls its group otherwise"),
    item_with_two_parents: (Check.ITEM_PARENT, "has 2 parents"),
    item_without_parent: (Check.ITEM_PARENT, "has 0 parents"),
    item_with_a_stray: (Check.ITEM_CHANGES, "changes tools/agent.sh, which is not its output out/new.md"),
    item_of_another_file: (Check.ITEM_CHANGES, "changes out/other.md, which is not its output"),
    item_of_a_siblings_file: (Check.ITEM_CHANGES, "changes out/letters/a.md"),
    item_that_changes_nothing: (Check.ITEM_CHANGES, "does not change its output out/new.md"),
    item_that_is_a_folder: (Check.ITEM_CHANGES, "changes out/new.md/x"),
    item_that_is_executable: (
        Check.ITEM_FILE,
        "its output out/new.md is deleted, or not a regular file of mode 100644",
    ),
    item_that_is_a_link: (Check.ITEM_FILE, "not a regular file"),
    item_that_is_a_repository: (Check.ITEM_FILE, "not a regular file"),
    item_that_deletes_its_file: (Check.ITEM_FILE, "is deleted"),
    item_that_renames_the_plan: (Check.ITEM_SHARED, "changes task.md besides its output out/new.md"),
    item_with_the_status: (Check.ITEM_SHARED, "changes status.md"),
    item_with_an_artifact: (Check.ITEM_SHARED, "changes inventory.md"),
    item_with_a_log_in_capitals: (Check.ITEM_SHARED, "changes Decisions-Log.md"),
    item_with_the_scope: (Check.ITEM_SHARED, "changes CLAUDE.md"),
    item_with_an_artifact_that_it_disowns: (Check.ITEM_SHARED, "changes lists.md"),
    item_called_like_the_plan: (Check.ITEM_PATH, "its output TASK.md is a shared file"),
    item_called_like_the_configuration: (Check.ITEM_PATH, "its output gitbatch.toml decides how agents run"),
    item_with_a_name_for_windows: (Check.ITEM_PATH, "Windows keeps for a device"),
    item_that_git_obeys: (Check.ITEM_PATH, "only git may write"),
    merge_of_nothing: (
        Check.MERGE_PARENTS,
        "does not merge 1 to 16 different items of its batch and group alone",
    ),
    merge_of_too_many: (Check.MERGE_PARENTS, "does not merge"),
    merge_of_a_commit_that_is_no_item: (Check.MERGE_PARENTS, "does not merge"),
    merge_of_another_batch: (Check.MERGE_PARENTS, "does not merge"),
    merge_of_an_item_twice: (Check.MERGE_PARENTS, "does not merge"),
    merge_with_a_stray: (Check.MERGE_TREE, "tools/agent.sh is neither its first parent's nor its item's"),
    merge_without_its_item: (Check.MERGE_TREE, "out/new.md is neither"),
    merge_with_other_content: (Check.MERGE_TREE, "out/new.md is neither"),
    merge_with_another_mode: (Check.MERGE_TREE, "out/new.md is neither"),
    merge_with_the_plan: (Check.MERGE_SHARED, "changes task.md"),
    merge_with_the_scope: (Check.MERGE_SHARED, "changes docs/CLAUDE.md"),
    checkpoint_that_merges: (Check.CHECKPOINT_PARENT, "has 2 parents"),
    checkpoint_with_a_stray: (Check.CHECKPOINT_CHANGES, "changes tools/agent.sh, which is not a shared file"),
    checkpoint_with_an_output: (Check.CHECKPOINT_CHANGES, "changes out/letters/a.md"),
    checkpoint_with_the_scope: (Check.CHECKPOINT_CHANGES, "changes CLAUDE.md"),
    checkpoint_with_the_configuration: (Check.CHECKPOINT_CHANGES, "changes gitbatch.toml"),
    checkpoint_that_deletes_the_log: (Check.CHECKPOINT_CHANGES, "decisions-log.md is not a regular file"),
    checkpoint_that_makes_a_link: (Check.CHECKPOINT_CHANGES, "status.md is not a regular file"),
    checkpoint_of_an_item_that_is_not_there: (
        Check.CHECKPOINT_ITEMS,
        "says that out/new.md succeeded, but no merge of its group",
    ),
    checkpoint_of_an_item_without_id: (
        Check.CHECKPOINT_ITEMS,
        "says that out/new.md succeeded, but no merge of its group",
    ),
    checkpoint_of_an_item_of_another_batch: (
        Check.CHECKPOINT_ITEMS,
        "says that out/letters/a.md succeeded, but no merge",
    ),
    checkpoint_upon_a_merge_that_is_not_ours: (Check.CHECKPOINT_ITEMS, "but no merge of its group below it"),
    checkpoint_that_rewrites_the_status: (
        Check.CHECKPOINT_TEXTS,
        "takes away or changes what status.md said",
    ),
    checkpoint_that_creates_an_inventory: (
        Check.CHECKPOINT_TEXTS,
        "adds 1 entries to evil-inventory.md; its items said 0",
    ),
    checkpoint_that_writes_prose_into_an_inventory: (
        Check.CHECKPOINT_TEXTS,
        "adds what is not an entry",
    ),
    checkpoint_that_drops_a_decision: (Check.CHECKPOINT_TEXTS, "decisions-log.md"),
    checkpoint_that_adds_an_item: (Check.CHECKPOINT_PLAN, "changes more of task.md than boxes"),
    checkpoint_that_changes_a_word: (Check.CHECKPOINT_PLAN, "changes more of task.md than boxes"),
    checkpoint_that_opens_a_box: (Check.CHECKPOINT_PLAN, "changes more of task.md than boxes"),
    checkpoint_that_ticks_what_nobody_did: (Check.TICK, "ticks T101, but no merge of its group brings"),
    checkpoint_that_ticks_what_another_batch_did: (Check.TICK, "ticks T101"),
    checkpoint_that_ticks_a_criterion: (Check.TICK, "ticks #3 of the Definition of Done before its items"),
    checkpoint_that_ticks_a_criterion_too_early: (Check.TICK, "ticks #1 of the Definition of Done"),
    trailers_of_two_kinds: (Check.TRAILERS, "its trailers are not those of"),
    item_of_a_later_format: (Check.TRAILERS, "its format 2 is unknown: this version of gitbatch reads 1"),
    item_without_a_format: (Check.TRAILERS, "has no Gitbatch-Format, which other commits of its batch have"),
    trailers_of_two_items: (Check.TRAILERS, "its trailers are not those of"),
    trailers_without_a_batch: (Check.TRAILERS, "its trailers are not those of"),
    item_of_no_project: (Check.PROJECT, "missing task.md"),
    merge_over_what_the_user_wrote: (Check.MERGE_OVER, "over a version that the branch got meanwhile"),
    item_that_nobody_asked_for: (Check.ITEM_PLAN, "not that of an open item of the plan"),
    item_that_misstates_what_it_read: (Check.ITEM_CONTEXT, "rules.md"),
    item_on_the_line: (Check.ITEM_PLACE, "comes in by a merge"),
    checkpoint_of_an_item_upon_one_that_is_not_merged: (Check.ITEM_BASE, f"stands on {NEXT}"),
    base_with_an_item_and_what_that_stands_on: (Check.MERGE_PARENTS, "on which another of its items stands"),
    base_upon_a_merge_of_its_group: (Check.MERGE_PARENTS, "whose checkpoint comes later"),
    item_upon_an_item: (Check.ITEM_PARENT, "its parent is the commit of another item"),
    item_with_a_name_twice: (Check.TREE, "the top folder is not a folder that git writes"),
    merge_without_a_checkpoint: (Check.MERGE_PLACE, "no merge or checkpoint of its group follows it"),
    merge_of_what_came_in_before: (Check.MERGE_PARENTS, "does not merge"),
    merge_of_an_item_that_came_in_before: (Check.MERGE_REPEATED, "which an earlier merge has brought"),
    checkpoint_of_another_number: (Check.CHECKPOINT_NUMBER, "its number is that of an earlier checkpoint"),
    checkpoint_that_keeps_a_merge_to_itself: (
        Check.CHECKPOINT_ITEMS,
        "does not say that out/new.md succeeded",
    ),
    checkpoint_that_leaves_a_box_open: (Check.TICK, "leaves out/new.md open"),
    rescued_work: (Check.TRAILERS, "what a failed attempt had written"),
    trailers_in_another_case: (Check.TRAILERS, "not spelled as gitbatch spells them"),
    trailers_in_two_paragraphs: (Check.TRAILERS, "not its last paragraph"),
}


@pytest.mark.rule("S1", "S2", "O3", "O4", "E2")
@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_a_forgery_is_found_and_nothing_else(forger: Forger, forge: Callable[[Forger], str]) -> None:
    forged = forge(forger)
    check, message = FORGERIES[forge]
    findings = forger.findings(forged)
    assert any(found.check is check and message in found.message for found in findings), findings
    assert all(found.rule == found.check.rule for found in findings)
    genuine = forger.place.git("rev-list", forger.tip).split()
    assert not {found.commit for found in findings} & set(genuine)


def test_an_item_must_be_below_the_checkpoint_that_names_it(forger: Forger) -> None:
    """It is in the history; it can't be reached from where it is said to be."""
    item = forger.item({OUT: "x"})
    checkpoint = forger.checkpoint({"status.md": forger.longer("status.md")}, succeeded=(OUT,))
    (finding,) = forger.findings(forger.commit("both", (checkpoint, item), {OUT: "x"}))
    assert (finding.commit, finding.check) == (checkpoint, Check.CHECKPOINT_ITEMS)


def test_a_merge_takes_no_link_even_if_its_item_is_one(forger: Forger) -> None:
    item = item_that_is_a_link(forger)
    merge = forger.merge((item,), {OUT: ("120000", forger.blob("../task.md"))})
    found = [(finding.commit, finding.check) for finding in forger.findings(merge)]
    assert found == [(item, Check.ITEM_FILE), (merge, Check.MERGE_PLACE), (merge, Check.MERGE_TREE)]


def test_every_check_is_tested() -> None:
    assert {check for check, _ in FORGERIES.values()} == set(Check) - {Check.HISTORY}


def test_a_real_batch_passes(owner: Forger) -> None:
    done = owner.place.gitbatch("verify", code=0)
    assert done.stdout == "18 commits of gitbatch judged, nothing found\n"
    assert done.stderr == ""


def user_quotes_trailers(f: Forger) -> str:
    """Trailers are the last paragraph, nothing else."""
    quoted = f"Gitbatch-Batch: {BATCH}\nGitbatch-Item: {OUT}"
    return f.commit(f"Look at this\n\n{quoted}\n\nIt is wrong.", (f.tip,), {"task.md": "mine"})


def user_changes_everything(f: Forger) -> str:
    first = f.commit("mine", (f.tip,), {"CLAUDE.md": "mine", "out/letters/a.md": "mine", "task.md": DELETED})
    return f.commit("merge", (first, f.plan), {"status.md": DELETED})


def user_merges_an_item(f: Forger) -> str:
    return f.commit("Merge branch 'gitbatch/b/1-x'", (f.tip, f.item({OUT: "x"})), {OUT: "y", "x": "x"})


def user_picks_an_item(f: Forger) -> str:
    message = f.place.git("log", "-1", "--format=%B", f.of("out/letters/a.md"))
    return f.commit(message, (f.plan,), {"out/letters/a.md": "x"})


def a_batch_of_sixteen(f: Forger) -> str:
    keys = [f"out/ü {number}.md" for number in range(16)]
    merge = f.merge(tuple(f.item({key: "x"}, key) for key in keys), dict.fromkeys(keys, "x"))
    changes = {"task.md": f.ticked(*keys)}
    return f.checkpoint(
        {"status.md": f.longer("status.md"), **changes},
        parents=(merge,),
        succeeded=tuple(keys),
    )


def an_item_that_a_reviewer_has_signed(f: Forger) -> str:
    message = f"T1\n\nDone.\n\n{item_trailers()}\nSigned-off-by: U <u@x>"
    return f.commit(message, (f.tip,), {OUT: "x"})


GOOD: tuple[Callable[[Forger], str], ...] = (
    user_quotes_trailers,
    user_changes_everything,
    user_merges_an_item,
    user_picks_an_item,
    a_batch_of_sixteen,
    an_item_that_a_reviewer_has_signed,
)


@pytest.mark.parametrize("make", GOOD, ids=lambda make: make.__name__)
def test_what_breaks_no_rule_is_no_finding(forger: Forger, make: Callable[[Forger], str]) -> None:
    assert forger.findings(make(forger)) == ()


def test_a_range_judges_its_commits_alone(forger: Forger) -> None:
    forged = forger.commit(f"x\n\nGitbatch-Item: {OUT}", (forger.tip,), {OUT: "x"})
    above = forger.commit("mine", (forged,), {"x": "x"})
    assert [finding.commit for finding in forger.findings(f"{forger.tip}..{above}")] == [forged]
    assert forger.findings(f"{forged}..{above}") == ()
    assert forger.findings(f"{above}..{forged}") == ()
    assert forger.findings(f"{forger.tip}~1..{forger.recorded(OUT)}") == ()


def test_an_item_outside_of_the_range_is_judged_with_its_merge(forger: Forger) -> None:
    bad = forger.item({OUT: "x", "y": "y"})
    merge = forger.merge((bad,), {OUT: "x"})
    changes = {"status.md": forger.longer("status.md"), "task.md": forger.ticked(OUT)}
    checkpoint = forger.checkpoint(changes, parents=(merge,), succeeded=(OUT,))
    (finding,) = forger.findings(f"{bad}..{checkpoint}")
    assert (finding.commit, finding.check) == (merge, Check.MERGE_PARENTS)
    assert "which breaks a rule: changes y" in finding.message


@pytest.mark.parametrize(
    "revisions", ["nothing", "--all", "main:task.md", "main^{tree}", "main..nothing", ""]
)
def test_revisions_that_name_no_commit_are_a_usage_error(forger: Forger, revisions: str) -> None:
    with pytest.raises(UsageError, match="names no commit here"):
        forger.findings(revisions)


@pytest.mark.forged
def test_the_command_tells_people_and_programs(owner: Forger) -> None:
    place = owner.place
    forged = owner.item({OUT: "x", "a\x1b[2Jb\nc": "x"})
    place.git("update-ref", "refs/heads/main", forged)
    done = place.gitbatch("verify", code=1)
    assert done.stdout.splitlines() == [
        f"{forged[:12]}  S1 item-changes: changes ab c, which is not its output {OUT}",
        "19 commits of gitbatch judged, 1 finding",
    ]
    said = json.loads(place.gitbatch("verify", "main~1..main", "--json", code=1).stdout)
    (finding,) = said["findings"]
    assert finding == {
        "commit": forged,
        "rule": "S1",
        "check": "item-changes",
        "message": f"changes ab c, which is not its output {OUT}",
    }
    assert not said["ok"]
    assert said["error"]["code"] == "findings"
    assert "names no commit here" in place.gitbatch("verify", "x..y", code=2).stderr
    said = json.loads(place.gitbatch("verify", "main~1", "--json", code=0).stdout)
    assert (said["ok"], said["error"], said["findings"]) == (True, None, [])


@pytest.mark.forged
def test_commits_without_a_format(owner: Forger) -> None:
    """A batch of gitbatch 0.1 is counted and not judged; its malformed commits are findings all the same."""
    place = owner.place
    message = f"T1\n\nDone.\n\n{item_trailers().removeprefix(FORMAT_LINE)}"
    early = owner.commit(message, (owner.tip,), {OUT: "x", "stray": "x"})
    place.git("update-ref", "refs/heads/main", early)
    with opened(place) as repo:
        found = audit_history(repo, "main~1..main")
    assert (found.judged, found.unjudged, found.findings) == (0, 1, ())
    said = place.gitbatch("verify", code=0).stdout
    assert said == "18 commits of gitbatch judged, nothing found; 1 of gitbatch 0.1 not judged\n"
    told = json.loads(place.gitbatch("verify", "main~1..main", "--json", code=0).stdout)
    assert (told["ok"], told["judged"], told["unjudged"], told["findings"]) == (True, 0, 1, [])
    malformed = owner.commit(f"{message}\nGitbatch-Item: y", (early,), {OUT: "y"})
    place.git("update-ref", "refs/heads/main", malformed)
    with opened(place) as repo:
        assert [finding.commit for finding in audit_history(repo, "main").findings] == [malformed]


def test_nothing_is_changed_and_nobody_has_to_be_named(owner: Forger) -> None:
    place = owner.place
    before = place.state()
    unnamed = {name: value for name, value in place.environment.items() if name not in IDENTITY}
    assert replace(place, environment=unnamed).gitbatch("verify", code=0).stderr == ""
    assert place.state() == before


@pytest.mark.forged
def test_a_shallow_clone_is_judged_as_far_as_it_goes(owner: Forger) -> None:
    """Its last commit is a merge, so that nothing of the items can be seen that the checkpoint above it names."""
    place = owner.place
    forged = item_with_a_stray(owner)
    place.git("update-ref", "refs/heads/main", forged)
    clone = replace(place, root=place.root.parent / "clone")
    place.git("clone", "--quiet", "--depth=4", f"file://{place.root}", str(clone.root))
    (end,) = (clone.root / ".git" / "shallow").read_text(encoding="utf-8").split()
    with opened(clone) as repo:
        cut, finding = audit_history(repo, "HEAD").findings
    assert (cut.commit, cut.check, finding.commit) == (end, Check.HISTORY, forged)
    done = clone.gitbatch("verify", code=1)
    assert done.stdout.endswith("3 commits of gitbatch judged, 2 findings\n")
    assert done.stderr == f"note: this clone ends at {end[:12]}; what is older was not seen\n"


def test_a_clone_without_all_objects_is_an_error(owner: Forger) -> None:
    place = owner.place
    place.git("config", "uploadpack.allowFilter", "true")
    clone = place.root.parent / "clone"
    place.git("clone", "--quiet", "--no-checkout", "--filter=blob:none", f"file://{place.root}", str(clone))
    with (
        opened(replace(place, root=clone)) as repo,
        pytest.raises(GitbatchError, match="cannot read the history") as error,
    ):
        audit_history(repo, "HEAD")
    assert "partial clone" in error.value.advice


def test_a_project_with_two_plans_is_judged_by_both(forger: Forger) -> None:
    base = forger.commit("second plan", (forger.tip,), {"docs/task.md": forger.read("task.md", forger.plan)})
    item = forger.item({OUT: "x", "docs/task.md": "mine"}, parents=(base,))
    found = {finding.check: finding.message for finding in forger.findings(item)}
    assert found == {Check.ITEM_SHARED: f"changes docs/task.md besides its output {OUT}"}
    ticked = forger.read("task.md", forger.plan).replace("- [ ] T101", "- [x] T101")
    changes = {"docs/task.md": ticked, "status.md": forger.longer("status.md")}
    checks = {finding.check for finding in forger.findings(forger.checkpoint(changes, parents=(base,)))}
    assert checks == {Check.TICK}


@pytest.mark.rule("O2")
def test_the_active_scope_says_what_is_shared(forger: Forger) -> None:
    phase = {
        "CLAUDE.md": "## Aktiver Scope\n\nPhase: p\n",
        "docs/phases/p/task.md": forger.read("task.md", forger.plan),
        "docs/phases/p/status.md": "# Status\n",
    }
    base = forger.commit("A phase", (forger.tip,), phase)
    item = forger.item({OUT: "x", "docs/phases/p/status.md": "x"}, parents=(base,))
    assert Check.ITEM_SHARED in {finding.check for finding in forger.findings(item)}
    checkpoint = forger.checkpoint({"status.md": forger.longer("status.md")}, parents=(base,))
    found = {finding.check for finding in forger.findings(checkpoint)}
    assert found == {Check.CHECKPOINT_CHANGES, Check.CHECKPOINT_TEXTS}, "of another scope"
    row = "| x | out/failed.md | cancelled | it is gone |"
    status = {"docs/phases/p/status.md": f"# Status\n\n{BEGIN}\n{row}\n{END}\n"}
    assert forger.findings(forger.checkpoint(status, parents=(base,))) == ()
