"""Forged commits of items and their bases. Each returns the commit that is wrong."""

import subprocess

from batch.forger import BATCH, DELETED, FORMAT_LINE, NEXT, OUT, Forger, item_trailers


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
    return f.item({OUT: ("100644", f.workspace.git("rev-parse", f"{f.tip}:task.md")), "task.md": DELETED})


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


def trailers_of_two_kinds(f: Forger) -> str:
    message = f"x\n\nGitbatch-Batch: {BATCH}\nGitbatch-Item: {OUT}\nGitbatch-Checkpoint: 1/1"
    return f.commit(message, (f.tip,), {OUT: "x"})


def item_of_a_later_format(f: Forger) -> str:
    message = f"T1\n\nDone.\n\n{item_trailers().replace('Format: 1', 'Format: 4')}"
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
    tree = f.workspace.git("cat-file", "-p", f"{item}^{{tree}}")
    entries = b"".join(
        f"{mode.lstrip('0')} {name}".encode() + b"\0" + bytes.fromhex(oid)
        for mode, _, rest in (line.split(" ", 2) for line in [*tree.splitlines(), tree.splitlines()[-1]])
        for oid, name in [rest.split("\t")]
    )
    made = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin"],
        cwd=f.workspace.root,
        input=entries,
        capture_output=True,
        check=True,
    ).stdout.decode()
    message = f"T1\n\nDone.\n\n{item_trailers()}"
    return f.git("commit-tree", made.strip(), "-p", f.tip, "-m", message)


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
