"""`--json`: every verb prints one envelope, also for errors, and it is what `gitbatch schema` says."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
from conftest import Here, Workspace, read_run

from gitbatch.batch.events import SCHEMA
from gitbatch.cli.report_error import wants_json
from gitbatch.cli.verbs import VERBS
from gitbatch.errors import ErrorKind, ExitCode, FilePlace, GitbatchError
from gitbatch.view.envelope import ErrorOutput, describe_error, encode_output
from gitbatch.view.schemas import OUTPUTS, make_schema, schema_names

Call = Callable[..., tuple[int, str]]
VALIDATOR = resolve_name("jsonschema:Draft202012Validator")
BAD = "## Work Packages\n\n### G\n\n- [ ] a → DoD: #7\n"


@pytest.fixture
def call(here: Here) -> Call:
    """Runs gitbatch in this process with `--json`: its exit code, and what it prints on standard output."""
    return lambda *arguments: here(*arguments, "--json")[:2]


def read_output(said: str, schema: str) -> Any:  # noqa: ANN401 - JSON
    """The one line that was printed, which the schema allows."""
    (line,) = said.splitlines()
    found = json.loads(line)
    validate(found, schema)
    return found


@cache
def validator(schema: str) -> Any:  # noqa: ANN401 - of jsonschema
    return VALIDATOR(make_schema(schema))


def validate(value: object, schema: str) -> None:
    validator(schema).validate(value)


def is_valid(value: object, schema: str) -> bool:
    return bool(validator(schema).is_valid(value))


@pytest.mark.parametrize("name", schema_names())
def test_schema_is_one(name: str) -> None:
    VALIDATOR.check_schema(make_schema(name))


@pytest.mark.parametrize("name", OUTPUTS)
def test_error_is_valid_for_every_output(name: str) -> None:
    output = describe_error(GitbatchError("it\nfailed", "do this", place=FilePlace("task.md", 3)))
    error = json.loads(encode_output(output))
    validate(error, name)
    assert error == {
        "schema": SCHEMA,
        "ok": False,
        "error": {
            "code": "failed",
            "message": "it failed",
            "advice": "do this",
            "place": {"path": "task.md", "line": 3, "column": None},
        },
    }
    assert not is_valid(error | {"ok": True}, name)
    assert not is_valid({"schema": SCHEMA, "ok": True, "error": None}, name)


@pytest.mark.parametrize(
    "verb",
    [
        name
        for name, _, _ in VERBS
        if name not in {"help", "schema", "completion", "init", "lint", "agents", "cache"}
    ],
)
def test_every_verb_reports_errors(call: Call, verb: str, workspace: Workspace) -> None:
    """Here: no repository, for the demo a folder that is not empty, and for the worker nothing to do."""
    (workspace.root / ".git").rename(workspace.home / "git")
    workspace.write("a", "")
    given = {"hooks": ("status",), "demo": (".",), "show": ("T1",), "logs": ("T1",), "retry": ("T1",)}
    words = (verb, *given.get(verb, ()))
    code, said = call(*words)
    found = read_output(said, {"run": "events", "demo": "events"}.get(verb, verb))
    is_usage = verb in {"demo", "worker"}
    assert code == (2 if is_usage else 1)
    assert found["error"]["code"] == ("invalid-usage" if is_usage else "failed")
    assert found["error"]["advice"]


INVALID = (
    (("status", "--nonsense"), "status"),
    (("nonsense",), "status"),
    (("run", "--jobs", "x"), "events"),
    (("help", "nonsense"), "help"),
    (("schema", "nonsense"), "help"),
    (("completion", "tcsh"), "help"),
    (("init", "--lang", "fr"), "init"),
    (("lint", "missing.md"), "lint"),
    (("verify", "x..y"), "verify"),
    (("verify", "--config", "HEAD"), "verify"),
)


def test_invalid_options(call: Call, workspace: Workspace) -> None:
    workspace.write("a", "")
    workspace.commit()
    for words, schema in INVALID:
        code, said = call(*words)
        found = read_output(said, schema)
        assert (code, found["error"]["code"]) == (2, "invalid-usage"), words
        assert found["error"]["advice"], words


def test_before_the_first_batch(call: Call, workspace: Workspace) -> None:
    workspace.write("task.md", BAD)
    workspace.commit()
    workspace.write("docs/a.md", "a")
    code, said = call("status")
    assert (code, read_output(said, "status")["batch"]) == (0, None)
    code, said = call("plan")
    error = read_output(said, "plan")["error"]
    assert (code, error["code"]) == (2, "invalid-plan")
    assert error["place"] == {"path": "task.md", "line": 5, "column": 16}
    code, said = call("lint")
    found = read_output(said, "lint")
    assert (code, found["error"]["code"], found["error"]["place"]) == (2, "findings", error["place"])
    assert [finding["code"] for finding in found["findings"]] == ["GB214"]
    code, said = call("abort")
    assert (code, read_output(said, "abort")["error"]["code"]) == (1, "failed")
    workspace.write("gitbatch.toml", "[batch]\njobs = 0\n")
    workspace.commit()
    code, said = call("plan")
    assert read_output(said, "plan")["error"]["place"] == {"path": "gitbatch.toml", "line": 2, "column": 8}
    workspace.git("rm", "-q", "gitbatch.toml")
    code, said = call("agents")
    assert (code, read_output(said, "agents")["agents"]) == (0, [])
    code, said = call("init")
    made = read_output(said, "init")
    assert code == 0
    assert "gitbatch.toml" in made["written"]
    code, said = call("gc", "--dry-run")
    found = read_output(said, "gc")
    assert (code, found["ok"], found["dry_run"], found["removed"]) == (0, True, True, [])


def test_hooks(call: Call) -> None:
    changes = []
    for verb in ("install", "status", "uninstall"):
        code, said = call("hooks", verb)
        assert code == 0
        changes.append(read_output(said, "hooks")["change"])
    assert changes == ["installed", None, "removed"]


def test_batch(call: Call, three: Workspace) -> None:
    """One batch that pauses, is aborted, and is looked at by every verb."""
    code, said = call("plan")
    plan = read_output(said, "plan")
    assert (code, plan["ok"], len(plan["groups"])) == (0, True, 3)
    early = plan["early"]
    assert early["held"] == [{"reason": "no-context", "items": 4}]
    assert early["items"][0] == {"group": 2, "item": "out/pairs/ab.md", "after": ["T101", "T102"]}
    code, said = call("lint")
    linted = read_output(said, "lint")
    assert (code, linted["ok"], linted["files"][0]["items"]) == (0, True, 12)
    code, said = call("run", "--items", "group:1-2", "--checkpoint", "after-each")
    events, envelope = read_run(said)
    for event in (*events, envelope):
        validate(event, "events")
    assert {event["schema"] for event in events} == {SCHEMA}
    assert (code, envelope["ok"], envelope["ending"]) == (3, False, "paused")
    assert envelope["error"]["code"] == "paused"
    assert "resume: gitbatch run" in envelope["error"]["advice"]
    assert envelope["succeeded"] == 4
    code, said = call("status")
    shown = read_output(said, "status")
    assert (code, shown["state"], len(shown["items"])) == (0, "unfinished", 8)
    code, said = call("abort", "-n")
    found = read_output(said, "abort")
    assert (code, found["dry_run"], found["merged"], len(found["lost"])) == (0, True, 4, 4)
    assert read_output(call("status")[1], "status")["state"] == "unfinished"
    code, said = call("abort")
    assert (code, read_output(said, "abort")["batch"]) == (0, shown["batch"])
    code, said = call("rescue")
    assert (code, read_output(said, "rescue")["files"]) == (0, [])
    code, said = call("gc", "--keep", "0")
    assert (code, bool(read_output(said, "gc")["removed"])) == (0, True)
    code, said = call("verify")
    audit = read_output(said, "verify")
    assert (code, read_output(call("verify", "--checks", "--config", "HEAD")[1], "verify")["checks_run"]) == (
        0,
        0,
    )
    code, said = call("check")
    assert (code, read_output(said, "check")["results"]) == (0, [])
    assert (code, audit["ok"], audit["findings"]) == (0, True, [])
    assert three.git("status", "--porcelain") == ""


def test_help_is_listed_and_shown(call: Call) -> None:
    listed = read_output(call("help")[1], "help")["topics"]
    assert "configuration" in {topic["name"] for topic in listed}
    assert read_output(call("help", "json")[1], "help")["text"].startswith("# ")
    schemas = read_output(call("schema")[1], "help")["topics"]
    assert [schema["name"] for schema in schemas] == list(schema_names())


def test_text_for_people_is_a_field(call: Call, here: Here) -> None:
    assert read_output(call("completion", "bash")[1], "help")["text"] == here("completion", "bash")[1]
    assert [line.split()[0] for line in here("schema")[1].splitlines()] == list(schema_names())


def test_schema_is_printed(call: Call) -> None:
    assert json.loads(call("schema", "status")[1]) == json.loads(json.dumps(make_schema("status")))


def test_descriptions_are_the_docstrings_of_fields() -> None:
    definitions = make_schema("status")["$defs"]
    assert "attempts" in definitions["ItemState"]["properties"]["spent"]["description"]
    assert "exit code is 0" in definitions["BatchState"]["properties"]["ok"]["description"]
    batch = make_schema("config")["$defs"]["BatchTable"]["properties"]
    assert "command line" not in batch["jobs"].get("description", "")
    assert "fetch what the batch needs" in batch["fetch"]["description"]


@pytest.mark.parametrize(
    ("config", "allowed"),
    [
        ({}, True),
        ({"batch": {"jobs": 2, "retry-pause": "1s"}, "agents": {"a": {"kind": "anthropic"}}}, True),
        ({"agents": {"a": {"kind": "command", "command": ["x"], "busy-patterns": ["later"]}}}, True),
        ({"agents": {"a": {"kind": "command"}}}, False),
        ({"agents": {"a": {"kind": "nonsense", "command": ["x"]}}}, False),
        ({"batch": {"job": 2}}, False),
        ({"batch": {"jobs": 0}}, False),
    ],
)
def test_schema_of_the_configuration(config: Mapping[str, object], *, allowed: bool) -> None:
    assert is_valid(config, "config") == allowed


@pytest.mark.parametrize(
    ("arguments", "json_wanted"),
    [(["status", "--json"], True), (["status"], False), (["lint", "--", "--json"], False)],
)
def test_json_is_recognised_in_any_arguments(arguments: list[str], *, json_wanted: bool) -> None:
    assert wants_json(arguments) == json_wanted


def test_interruption(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gitbatch.cli.status.open_repository_of", interrupt)
    code, said = call("status")
    assert (code, read_output(said, "status")["error"]["code"]) == (130, "interrupted")


def test_internal_error(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("gitbatch.cli.status.open_repository_of", fail)
    code, said = call("status")
    error = read_output(said, "status")["error"]
    assert (code, error["code"]) == (ExitCode.BUG, ErrorKind.INTERNAL)
    (log,) = [word for word in error["message"].split() if word.startswith("/")]
    assert "a bug" in Path(log).read_text(encoding="utf-8")
    assert Path(log).is_relative_to(tmp_path)
    assert ErrorOutput.__struct_fields__ == ("schema", "ok", "error")
