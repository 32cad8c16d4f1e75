"""Every path that lint accepts comes back byte for byte, wherever a program reads it from."""

import json
from dataclasses import replace
from itertools import cycle

import pytest
from conftest import Workspace, read_run
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gitbatch.agents.protocol import Reply
from gitbatch.batch.history.item_message import parse_item_message
from gitbatch.batch.history.messages import (
    render_checkpoint_message,
    render_item_message,
    render_merge_message,
)
from gitbatch.batch.history.trailers import Kind, parse_trailers
from gitbatch.batch.model import BatchGroup, BatchItem, ItemStatus, Outcome, Record
from gitbatch.plan.model import PlanOptions
from gitbatch.plan.outputs import path_problem
from gitbatch.plan.parse import parse_plan
from gitbatch.project.context import ContextFile, ContextReason, InputProblem, MissingInput
from gitbatch.text import clean_text, neutralise_forge_commands

PIECES = (
    *("[skip ci]", "[ci skip]", "***NO_CI***", "fix #1", "Closes GH-1", "resolves a/b#2", "implements ABC-1"),
    *("→", " → ", "  ", '"', "'", "@name", "!1", "&amp;", "<b>", "|", "#", "DoD", "-", "--", "succeeded  "),
    *(
        "failed",
        "e\u0301",
        "ü",
        "❤\ufe0f",
        "\u034f",
        "\u3164",
        "漢",
        "%s",
        "$HOME",
        "{x}",
        "~",
        "a@b.example",
    ),
)
paths = (
    st.lists(
        st.one_of(
            st.sampled_from(PIECES), st.characters(categories=("L", "M", "N", "P", "S", "Zs")), st.just("/")
        ),
        max_size=9,
    )
    .map(lambda pieces: "out/" + "".join(pieces) + ".md")
    .filter(lambda path: path_problem(path) is None)
)


def outcomes_of(keys: list[str], status: ItemStatus) -> tuple[Outcome, ...]:
    items = [BatchItem(key, key, "Write", f"1-{number}", 1) for number, key in enumerate(keys)]
    return tuple(
        Outcome(
            item,
            status,
            Reply(clean_text("Done. It is short.")),
            reason=clean_text(f"{item.output}: failed: x"),
            missing=tuple(MissingInput(key, problem, clean_text("failed: x")) for key in keys),
        )
        for item, problem in zip(items, cycle(InputProblem), strict=False)
    )


@given(st.lists(paths, min_size=1, max_size=4, unique=True))
def test_messages_carry_paths_whole(keys: list[str]) -> None:
    done = outcomes_of(keys, ItemStatus.SUCCEEDED)
    lost = outcomes_of([f"lost/{key}" for key in keys], ItemStatus.FAILED)
    group = BatchGroup(1, "G", tuple(outcome.item for outcome in (*done, *lost)))
    record = Record("20260102-030405-abcd", 0, "refs/heads/main", "", "task.md", "at-end", "a", 1, (group,))
    files = tuple(ContextFile(key, "0" * 40, ContextReason.DECLARED) for key in keys)
    messages = [render_item_message(record, group, outcome, "a", files, ()) for outcome in done]
    for key, message in zip(keys, messages, strict=True):
        trailers, _ = parse_item_message(message)
        assert (trailers.kind, trailers.output) == (Kind.ITEM, key)
        assert trailers.context == tuple((file.path, file.blob) for file in files)
        assert [missing.path for missing in trailers.missing] == keys
    messages += [
        render_merge_message(record, group, done),
        render_checkpoint_message(record, group, done + lost, (), ()),
    ]
    trailers = parse_trailers(messages[-1])
    assert trailers.kind is Kind.CHECKPOINT
    assert trailers.succeeded == tuple(keys)
    assert [failed.output for failed in trailers.failed] == [outcome.item.output for outcome in lost]
    assert {failed.reason for failed in trailers.failed} <= {
        neutralise_forge_commands(o.reason) for o in lost
    }
    for message in messages:
        assert neutralise_forge_commands(message) == message


AGENT = """\
[batch]
retries = 0

[agents.writer]
kind = "command"
command = ["sh", "agent.sh"]
sandbox = "none"
"""


SCRIPT = """\
case $GITBATCH_OUTPUT in *lost*) exit 1 ;; esac
mkdir -p "$(dirname "$GITBATCH_OUTPUT")"
echo x >"$GITBATCH_OUTPUT"
"""


def plan_of(keys: list[str]) -> str:
    return "# P\n\n## Work Packages\n\n### G\n\n" + "".join(f"- [ ] T → Output: ``{key}``\n" for key in keys)


@settings(
    max_examples=2,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(paths, min_size=8, max_size=12, unique=True))
@pytest.mark.rule("F4")
def test_a_run_carries_paths_whole(workspace: Workspace, generated: list[str]) -> None:
    fixed = [
        "docs/[skip ci] a.md",
        "docs/fix #1.md",
        "a → b.md",
        'docs/"x".md',
        "docs/a  b.md",
        "lost/[x] #2.md",
    ]
    keys = [*fixed, *generated]
    plan = parse_plan(plan_of(keys).encode(), "task.md", PlanOptions())
    bad = {d.line for d in plan.errors}
    lines = plan_of(keys).splitlines()
    source = "\n".join(line for number, line in enumerate(lines, 1) if number not in bad) + "\n"
    plan = parse_plan(source.encode(), "task.md", PlanOptions())
    assert not plan.errors
    keys = [item.output for item in plan.items]
    assert set(keys) >= set(fixed)
    done = [key for key in keys if "lost" not in key]
    workspace.git("update-ref", "-d", "HEAD")
    workspace.git("read-tree", "--empty")
    workspace.git("clean", "-dfxq")
    workspace.write("gitbatch.toml", AGENT)
    workspace.write("agent.sh", SCRIPT)
    workspace.write("task.md", source)
    workspace.commit("The plan")
    arguments = ("run", "--items", "all", "--checkpoint", "at-end", "--json")
    said = read_run(workspace.gitbatch(*arguments, code=1).stdout)[0]
    (checkpoint,) = [event["checkpoint"] for event in said if event["event"] == "checkpoint"]
    assert [o["item"]["key"] for o in checkpoint["outcomes"]] == keys
    assert [o["item"]["key"] for o in checkpoint["outcomes"] if o["status"] == "succeeded"] == done
    listed = workspace.git("ls-tree", "-r", "-z", "--name-only", "main").split("\0")
    assert set(done) <= set(listed)
    status = json.loads(workspace.gitbatch("status", "--json").stdout)
    assert {item["item"]: item["status"] for item in status["items"]} == {
        key: "succeeded" if key in done else "failed" for key in keys
    }
    assert workspace.gitbatch("verify", code=0).stdout.endswith("nothing found\n")


@pytest.mark.parametrize("locale", ["C", "de_DE.ISO-8859-1"])
def test_paths_are_utf_8_whatever_the_locale_is(workspace: Workspace, locale: str) -> None:
    keys = ["docs/ü 漢.md", "docs/plain.md"]
    workspace.write("gitbatch.toml", AGENT)
    workspace.write("agent.sh", SCRIPT)
    workspace.write("docs/é.txt", "mine")
    workspace.write(
        "task.md", plan_of(keys).replace("docs/plain.md``", "docs/plain.md`` (context: `docs/é.txt`)")
    )
    workspace.commit("The plan")
    odd = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    odd_workspace = replace(workspace, environment={**workspace.environment, **odd})
    odd_workspace.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=0)
    listed = workspace.git("ls-tree", "-r", "-z", "--name-only", "main").split("\0")
    assert {*keys, "docs/é.txt"} <= set(listed)
    assert (workspace.root / keys[0]).read_text(encoding="utf-8") == "x\n"
    assert workspace.git("status", "--porcelain") == ""
    assert json.loads(odd_workspace.gitbatch("status", "--json").stdout)["items"][0]["item"] == keys[0]
    assert odd_workspace.gitbatch("verify", code=0).stdout.endswith("nothing found\n")
