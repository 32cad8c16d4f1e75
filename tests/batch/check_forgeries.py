"""Forged commits of a project with checks and gates. Each returns the commit that is wrong, or what is right."""

from dataclasses import replace

from batch.forger import OUT, Forger, item_trailers

CHECKS = '\n[checks.links]\ncommand = ["true"]\non = ["out/*.md"]\n[checks.style]\ncommand = ["true"]\n'
GATES = '\n[gates.tests]\ncommand = ["true"]\nmust-pass = true\n'
CHECKED = "Gitbatch-Check: links pass (0.1)"


def on_checks(f: Forger, tables: str) -> Forger:
    """Returns a forger on a commit whose configuration has tables of checks or gates."""
    config = f.read("gitbatch.toml") + tables
    return replace(f, tip=f.commit("Ask for more", (f.tip,), {"gitbatch.toml": config}))


def item_without_its_check(f: Forger) -> str:
    return on_checks(f, CHECKS).item({OUT: "x"})


def item_with_another_check(f: Forger) -> str:
    made = on_checks(f, CHECKS)
    message = f"T1 Write\n\nDone.\n\n{item_trailers()}\n{CHECKED.replace('links', 'style')}"
    return made.commit(message, (made.tip,), {OUT: "x"})


def item_with_a_red_check(f: Forger) -> str:
    made = on_checks(f, CHECKS)
    message = f"T1 Write\n\nDone.\n\n{item_trailers()}\n{CHECKED.replace('pass', 'red')}"
    return made.commit(message, (made.tip,), {OUT: "x"})


def item_with_its_check(f: Forger) -> str:
    made = on_checks(f, CHECKS)
    message = f"T1 Write\n\nDone.\n\n{item_trailers()}\n{CHECKED}"
    return made.commit(message, (made.tip,), {OUT: "x"})


def item_for_which_the_plan_asks_none(f: Forger) -> str:
    made = on_checks(f, CHECKS)
    plan = made.read("task.md").replace(f"→ Output: `{OUT}`", f"→ Output: `{OUT}` <!-- check: none -->")
    return made.item({OUT: "x"}, parents=(made.commit("No check", (made.tip,), {"task.md": plan}),))


def item_with_its_checks_own_file(f: Forger) -> str:
    """What asks for the check comes later: only the base counts."""
    item = f.item({OUT: "x"})
    later = replace(f, tip=on_checks(f, CHECKS).tip)
    merge = later.merge((item,), {OUT: "x"})
    changes = {"status.md": later.longer("status.md"), "task.md": later.ticked(OUT)}
    return later.checkpoint(changes, parents=(merge,), succeeded=(OUT,))


def checkpoint_without_its_gate(f: Forger) -> str:
    return on_checks(f, GATES).recorded(OUT)


def checkpoint_with_a_gate_of_another_tree(f: Forger) -> str:
    return _gated(f, "pass", "0" * 40)


def checkpoint_with_a_gate_that_must_pass(f: Forger) -> str:
    return _gated(f, "red-before")


def checkpoint_with_its_gate(f: Forger) -> str:
    return _gated(f, "pass")


def _gated(f: Forger, state: str, tree: str = "") -> str:
    good = on_checks(f, GATES).recorded(OUT)
    own = f.git("rev-parse", f"{good}^{{tree}}")
    message = f"{f.git('show', '-s', '--format=%B', good)}\nGitbatch-Gate: tests {state} {tree or own}"
    return f.git("commit-tree", own, "-p", f"{good}^", "-m", message)
