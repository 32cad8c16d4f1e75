"""`gitbatch watch`: a run, seen from another terminal."""

import json

from batch.programs import set_up, starts
from cli.test_json import validate
from conftest import Here, Workspace
from waiting import wait_until


def test_run_of_another_terminal(workspace: Workspace, here: Here) -> None:
    set_up(workspace, "hold", "3")
    workspace.edit("gitbatch.toml", "[batch]\n", "[batch]\nretries = 0\n")
    workspace.commit()
    assert here("watch")[::2] == (1, "gitbatch: no run works here\n  start or resume one: gitbatch run\n")
    process = workspace.start("run", "--items", "all", "--checkpoint", "at-end", is_heard=False)
    try:
        wait_until(lambda: starts(workspace, "T1"), "the first item")
        watching = workspace.start("watch", "--json", "--exit-status")
        assert watching.stdout
        first = json.loads(watching.stdout.readline())
        assert first["event"] == "batch-started"
    finally:
        (workspace.home / "go").touch()
        code = process.wait()
    with watching.stdout as said_later:
        *events, end = map(json.loads, said_later)
    assert (code, watching.wait()) == (1, 1)
    for each in (first, *events, end):
        validate(each, "watch")
    kinds = [event["event"] for event in events]
    assert kinds.count("item-finished") == 2
    assert kinds[-1] == "batch-finished"
    assert (end["ok"], end["code"], end["error"]["code"]) == (False, 1, "items-failed")

    code, said, _ = here("watch", "--exit-status")
    assert (code, said.splitlines()[0]) == (1, "finished  1 done, 1 not done")
    assert here("watch")[0] == 0, "the code of the run is given only where it is asked for"
    (log,) = workspace.root.glob(".git/gitbatch/*/events.jsonl")
    log.unlink()
    assert here("watch")[0] == 1
