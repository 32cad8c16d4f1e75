"""What an agent of ACP may do: denied unless a row allows it, and never for more than once."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gitbatch.agents.acp.message import Location, PermissionOption, ToolCall
from gitbatch.agents.acp.permission import (
    PermissionDecision,
    PermissionRule,
    choose_option,
    keep_paths,
    merge_calls,
    named_paths,
)

WORKTREE, REAL, SCRATCH = Path("/w/tree"), Path("/real/tree"), Path("/w/scratch")
RULE = PermissionRule((WORKTREE, REAL), (SCRATCH,), "docs/p 1.md")
ALLOW, REJECT = PermissionDecision.ALLOW, PermissionDecision.REJECT
OWN = "/w/tree/docs/p 1.md"


def a_call(kind: str | None, *paths: str, given: Any = None, content: Any = None) -> ToolCall:  # noqa: ANN401 - of any tool
    locations = tuple(Location(path) for path in paths)
    return ToolCall("c", kind, locations=locations, raw_input=given, content=content)


def a_diff(path: Any) -> list[Any]:  # noqa: ANN401 - of any tool
    return [{"type": "diff", "path": path, "newText": "x"}, {"type": "content"}, "x"]


@pytest.mark.parametrize(
    ("call", "decision"),
    [
        # its output, by each form of its path
        (a_call("edit", OWN), ALLOW),
        (a_call("edit", "/real/tree/docs/p 1.md"), ALLOW),
        (a_call("edit", "docs/p 1.md"), ALLOW),
        (a_call("edit", "./docs//p 1.md"), ALLOW),
        (a_call("edit", "/w/tree/./docs/p 1.md"), ALLOW),
        (a_call("edit", given={"file_path": OWN}), ALLOW),
        (a_call("edit", given={"filePath": "docs/p 1.md", "content": "/etc/passwd"}), ALLOW),
        (a_call("edit", OWN, given={"filepath": OWN}, content=a_diff(OWN)), ALLOW),
        (a_call("edit", OWN, content=a_diff("p 1.md")), ALLOW),  # Gemini shows a name alone
        # anything else
        (a_call("edit"), REJECT),
        (a_call("edit", ""), REJECT),
        (a_call("edit", " "), REJECT),
        (a_call("edit", given={"file_path": ""}), REJECT),
        (a_call("edit", given="docs/p 1.md"), REJECT),
        (a_call("edit", "/w/tree/docs/p2.md"), REJECT),
        (a_call("edit", OWN, "/w/tree/docs/p2.md"), REJECT),
        (a_call("edit", OWN, given={"path": "/w/tree/task.md"}), REJECT),
        (a_call("edit", OWN, given={"file_path": ["docs/p 1.md", "x"]}), REJECT),
        (a_call("edit", OWN, given={"file_path": {"a": 1}}), REJECT),
        (a_call("edit", OWN, given={"new_path": "/w/tree/task.md"}), REJECT),
        (a_call("edit", OWN, content=a_diff("/w/tree/task.md")), REJECT),
        (a_call("edit", OWN, content=a_diff(None)), REJECT),
        (a_call("edit", "/w/tree/docs/P 1.md"), REJECT),
        (a_call("edit", "/w/tree/docs/p 1.md/"), ALLOW),
        (a_call("edit", "/w/tree/docs/p 1.md/x"), REJECT),
        (a_call("edit", "//w/tree/docs/p 1.md"), REJECT),
        (a_call("edit", "/w/tree/link/../docs/p 1.md"), REJECT),  # link may lead anywhere
        (a_call("edit", "docs/../docs/p 1.md"), REJECT),
        (a_call("edit", "../tree/docs/p 1.md"), REJECT),
        (a_call("edit", f"{OWN}\0x"), REJECT),
        (a_call("edit", "~/docs/p 1.md"), REJECT),
        (a_call("edit", "file:///w/tree/docs/p 1.md"), REJECT),
        # other kinds
        (a_call("read", OWN), ALLOW),
        (a_call("read", "/w/scratch/x", "rules.md"), ALLOW),
        (a_call("read", "/home/user/.ssh/id"), REJECT),
        (a_call("read", "/w/tree2/x"), REJECT),
        (a_call("read", "/w/tree/../x"), REJECT),
        (a_call("search", given={"pattern": "x"}), ALLOW),
        (a_call("search", given={"path": "/etc"}), REJECT),
        (a_call("search", given={"paths": ["a", "/w/tree/b"]}), ALLOW),
        (a_call("think", "/anything"), ALLOW),
        (a_call("execute", given={"command": "true"}), REJECT),
        (a_call("delete", OWN), REJECT),
        (a_call("move", OWN), REJECT),
        (a_call("fetch", given={"url": "http://x"}), REJECT),
        (a_call("switch_mode"), REJECT),
        (a_call("other", OWN), REJECT),
        (a_call("EDIT", OWN), REJECT),
        (a_call(None, OWN), REJECT),
    ],
)
def test_table(call: ToolCall, decision: PermissionDecision) -> None:
    assert RULE.judge_calls((call,)) is decision


def test_names_are_no_patterns() -> None:
    odd = msgspec.structs.replace(RULE, output="docs/[x] a*b?!#(1).md")
    assert odd.judge_calls((a_call("edit", "docs/[x] a*b?!#(1).md"),)) is ALLOW
    assert odd.judge_calls((a_call("edit", "docs/x a--b-!#(1).md"),)) is REJECT


def test_settings_of_the_rule() -> None:
    changed = msgspec.structs.replace(RULE, may_read=False, may_execute=True)
    calls = {kind: changed.judge_calls((a_call(kind, "rules.md"),)) for kind in ("read", "search", "execute")}
    assert calls == {"read": REJECT, "search": REJECT, "execute": ALLOW}


def test_what_was_said_before_counts_too() -> None:
    """A request may leave out the kind and the paths; it cannot take them back."""
    request = ToolCall("c")
    assert RULE.judge_calls((a_call("edit", OWN), request)) is ALLOW
    assert RULE.judge_calls((a_call("execute", OWN), a_call("edit", OWN))) is REJECT
    assert RULE.judge_calls((a_call("edit", "/w/tree/task.md"), a_call("edit", OWN))) is REJECT
    assert RULE.judge_calls((a_call("think", OWN), a_call("read", OWN))) is REJECT
    assert RULE.judge_calls((request,)) is REJECT
    assert RULE.judge_calls(()) is REJECT


@pytest.mark.parametrize(
    ("decision", "kinds", "chosen"),
    [
        (ALLOW, ["allow_always", "allow_once", "reject_once"], "1"),
        (ALLOW, ["reject_once", "allow_once"], "1"),
        (ALLOW, ["allow_always", "reject_once"], "1"),  # once is not offered: rejected
        (ALLOW, ["allow_always", "reject_always"], None),
        (ALLOW, ["allow_once", "allow_once"], "0"),
        (REJECT, ["allow_once", "reject_once"], "1"),
        (REJECT, ["allow_once", "reject_always"], None),
        (REJECT, ["ALLOW_ONCE", ""], None),
        (REJECT, [], None),
    ],
)
def test_option_is_chosen_by_its_kind(
    decision: PermissionDecision, kinds: list[str], chosen: str | None
) -> None:
    options = [PermissionOption(str(number), kind) for number, kind in enumerate(kinds)]
    assert choose_option(decision, options) == chosen


def test_what_is_kept_of_a_call() -> None:
    """Its texts can be megabytes: what is dropped must not make it look better."""
    call = a_call("edit", *["a"] * 101, given={"content": "x" * 99, "path": "y" * 20_000, "command": "make"})
    kept = keep_paths(call)
    assert kept.raw_input == {"path": "\0", "command": "make"}
    assert named_paths(kept) == ["\0", "\0"]
    assert keep_paths(a_call("edit", OWN, given="text", content=a_diff("/x"))).content is None
    merged = merge_calls(a_call("edit", OWN, given={"path": "a"}), ToolCall("c", title="T"))
    assert (merged.kind, merged.title, named_paths(merged)) == ("edit", "T", [OWN, "a"])
    assert merge_calls(None, call) is call
