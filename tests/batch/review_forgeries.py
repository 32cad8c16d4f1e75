"""Forged reviews. Each returns the commit that is wrong, made from one that gitbatch has made."""

from collections.abc import Mapping
from dataclasses import dataclass

from batch.forger import DELETED, FORMAT_LINE, OUT, Forger

B = "out/letters/b.md"


@dataclass(frozen=True)
class ReviewForger:
    """Makes reviews like a genuine one: it rejects T102, sends T103 back and approves T101."""

    f: Forger
    genuine: str

    def forge(
        self,
        changes: Mapping[str, str | tuple[str, str]] | None = None,
        message: tuple[str, str] | None = None,
        parents: tuple[str, ...] = (),
    ) -> str:
        """The genuine review with other changes, with a part of its message replaced, or on other parents."""
        git = self.f.workspace.git
        said = git("log", "-1", "--format=%B", self.genuine)
        if message:
            assert message[0] in said
            said = said.replace(*message)
        shared = ("task.md", "status.md", "decisions-log.md", "inventory.md")
        kept = {path: self.f.read(path, self.genuine) for path in shared}
        made: dict[str, str | tuple[str, str]] = {**kept, B: DELETED}
        above = parents or (git("rev-parse", f"{self.genuine}~1"),)
        return self.f.commit(said, above, {**made, **(changes or {})})

    def blob(self, path: str) -> str:
        return self.f.workspace.git("rev-parse", f"{self.genuine}~1:{path}")


def review_that_merges(r: ReviewForger) -> str:
    return r.forge(parents=(f"{r.genuine}~1", r.f.plan))


def review_on_an_item(r: ReviewForger) -> str:
    return r.forge(parents=(r.f.item({OUT: "x"}, parents=(f"{r.genuine}~1",)),))


def review_on_a_merge(r: ReviewForger) -> str:
    return r.forge(parents=(r.f.workspace.git("rev-parse", f"{r.genuine}~2"),))


def review_of_nothing(r: ReviewForger) -> str:
    said = r.f.workspace.git("log", "-1", "--format=%B", r.genuine)
    return r.forge(message=(said[said.index("\nGitbatch-Review:") :], ""))


def review_in_another_spelling(r: ReviewForger) -> str:
    return r.forge(message=("Gitbatch-Review: approve", "Gitbatch-Review: praise"))


def review_of_an_item_twice(r: ReviewForger) -> str:
    line = f"Gitbatch-Review: reject 1 {B} {r.blob(B)}"
    return r.forge(message=(line, f"{line}\n{line}"))


def review_of_another_version(r: ReviewForger) -> str:
    return r.forge(message=(r.blob("out/letters/a.md"), r.blob("out/letters/d.md")))


def review_of_an_item_that_has_no_checkpoint(r: ReviewForger) -> str:
    blob = r.blob("out/letters/a.md")
    return r.forge(message=(f"approve 1 out/letters/a.md {blob}", f"approve 1 {OUT} -"))


def review_of_another_checkpoint(r: ReviewForger) -> str:
    return r.forge(message=("Gitbatch-Reviewed: 3/3", "Gitbatch-Reviewed: 2/3"))


def review_of_another_plan(r: ReviewForger) -> str:
    return r.forge(message=("Gitbatch-Plan: task.md", "Gitbatch-Plan: other.md"))


def review_with_a_stray(r: ReviewForger) -> str:
    return r.forge({"tools/agent.sh": "rm -rf ~"})


def review_with_a_file_that_it_approves(r: ReviewForger) -> str:
    return r.forge({"out/letters/a.md": "x"})


def review_that_leaves_what_it_rejects(r: ReviewForger) -> str:
    return r.forge({B: r.f.read(B, f"{r.genuine}~1").rstrip() + "\n"})


def review_that_rejects_what_the_user_wrote(r: ReviewForger) -> str:
    above = r.f.commit("mine", (r.f.workspace.git("rev-parse", f"{r.genuine}~1"),), {B: "mine"})
    return r.forge(message=(r.blob(B), r.f.blob("mine")), parents=(above,))


def review_that_ticks_a_box(r: ReviewForger) -> str:
    plan = r.f.read("task.md", r.genuine)
    return r.forge({"task.md": plan.replace("- [ ] Somebody", "- [x] Somebody")})


def review_that_leaves_a_box_ticked(r: ReviewForger) -> str:
    plan = r.f.read("task.md", r.genuine)
    return r.forge({"task.md": plan.replace("- [ ] T103", "- [x] T103")})


def review_that_changes_the_plan(r: ReviewForger) -> str:
    return r.forge({"task.md": r.f.read("task.md", r.genuine) + "- [ ] more\n"})


def review_with_another_line_in_the_log(r: ReviewForger) -> str:
    log = r.f.read("decisions-log.md", r.genuine)
    return r.forge({"decisions-log.md": log.replace("rejected", "praised")})


AGENT_LINE = "Gitbatch-Review-Agent: 1 out/letters/c.md a"
"""T103 runs again."""


def _name_agents(r: ReviewForger, lines: str) -> str:
    line = f"Gitbatch-Review: revise 1 out/letters/c.md {r.blob('out/letters/c.md')}"
    return r.forge(message=(line, f"{line}\n{lines}"))


def review_with_an_agent_of_what_it_rejects(r: ReviewForger) -> str:
    return _name_agents(r, AGENT_LINE.replace("out/letters/c.md", B))


def review_with_two_agents_of_an_item(r: ReviewForger) -> str:
    return _name_agents(r, f"{AGENT_LINE}\n{AGENT_LINE}2")


def review_with_an_agent_that_has_no_name(r: ReviewForger) -> str:
    return _name_agents(r, AGENT_LINE.removesuffix(" a"))


def review_that_retries_before_it_undoes(r: ReviewForger) -> str:
    line = f"Gitbatch-Review: reject 1 {B} {r.blob(B)}"
    both = f"{line.replace('reject', 'retry')}\n{line.replace('reject', 'undo')}"
    return r.forge(message=(line, both))


def review_that_withdraws_no_decision(r: ReviewForger) -> str:
    *kept, _ = r.f.read("decisions-log.md", r.genuine).splitlines(keepends=True)
    return r.forge({"decisions-log.md": "".join(kept)})


def review_that_leaves_a_line_of_what_it_rejects(r: ReviewForger) -> str:
    return r.forge({"inventory.md": r.f.read("inventory.md", f"{r.genuine}~1")})


def review_that_takes_a_line_of_another_item(r: ReviewForger) -> str:
    text = r.f.read("inventory.md", r.genuine)
    return r.forge({"inventory.md": text.replace("- out/letters/a.md exists\n", "")})


def review_that_rewrites_the_log(r: ReviewForger) -> str:
    log = r.f.read("decisions-log.md", r.genuine)
    return r.forge({"decisions-log.md": log.replace("Used one heading in out/letters/a.md", "Used two")})


def review_with_another_status(r: ReviewForger) -> str:
    return r.forge({"status.md": "mine\n"})


def revise(
    r: ReviewForger, trailers: str = "1/3\nGitbatch-Revision: 1", key: str = "out/letters/c.md"
) -> str:
    """A revision of an item that the genuine review sent back: an item, a merge and a checkpoint."""
    f, git = r.f, r.f.workspace.git
    batch = git("log", "-1", "--format=%(trailers:key=Gitbatch-Batch,valueonly)", r.genuine).strip()
    head = f"{FORMAT_LINE}Gitbatch-Batch: {batch}\nGitbatch-Group: 1 Letters"
    who = "Gitbatch-Agent: a\nGitbatch-Attempt: 1\nGitbatch-Seconds: 0.1"
    item = f.commit(f"T103\n\nAgain.\n\n{head}\nGitbatch-Item: {key}\n{who}", (r.genuine,), {key: "again"})
    merge = f.commit(f"gitbatch: merge\n\n- it\n\n{head}", (r.genuine, item), {key: "again"})
    status = f.read("status.md", r.genuine)
    row = next(line for line in status.splitlines() if f"| {key} |" in line)
    section = status[status.index(ROWS_HEAD) + len(ROWS_HEAD) : status.index("\n\n| DoD")]
    changes = {
        "task.md": f.ticked(key, text=f.read("task.md", r.genuine).replace(key, f"`{key}`")).replace("`", ""),
        "status.md": status.replace(
            section, f"{row.rpartition(' | ')[0].rpartition(' | ')[0]} | succeeded | Again. |"
        ),
    }
    said = f"{head}\nGitbatch-Plan: task.md\nGitbatch-Checkpoint: {trailers}\nGitbatch-Succeeded: {key}"
    return f.commit(f"gitbatch: checkpoint\n\nrows\n\n{said}", (merge,), changes)


ROWS_HEAD = "| Item | Output | Status | Summary |\n|---|---|---|---|\n"


def revision_of_another_number(r: ReviewForger) -> str:
    return revise(r, "1/3\nGitbatch-Revision: 2")


def revision_of_another_checkpoint(r: ReviewForger) -> str:
    return revise(r, "2/3\nGitbatch-Revision: 1")


def revision_of_an_item_that_was_approved(r: ReviewForger) -> str:
    return revise(r, key="out/letters/a.md")


def checkpoint_of_a_group_for_a_second_time(r: ReviewForger) -> str:
    return revise(r, "1/3")
