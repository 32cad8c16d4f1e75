"""`gitbatch batches`, and `gitbatch status` of any batch."""

import json

from cli.test_json import validate
from conftest import Here, Workspace


def test_all_batches(three: Workspace, here: Here) -> None:
    assert here("batches") == (0, "no batch is known here; start one: gitbatch run\n", "")
    three.edit("task.md", "Write b →", "Write b do: fail →")
    three.commit()
    three.gitbatch("run", "--items", "T101,T102", "--checkpoint", "at-end", code=1)
    three.gitbatch("run", "--items", "T102,T103,T104,T201", "--checkpoint", "after-each", code=3)
    output = json.loads(here("batches", "--json")[1])
    validate(output, "batches")
    first, second = output["batches"]
    assert output["running"] is None
    assert [first[name] for name in ("ended", "groups_done", "succeeded", "failed")] == [True, 1, 1, 1]
    assert [second[name] for name in ("ended", "groups_done", "groups", "items")] == [False, 1, 2, 4]
    newest, oldest, look = here("batches")[1].splitlines()
    assert newest.startswith(f"{second['batch']}  unfinished  ")
    assert newest.endswith("  task.md on main  1 of 2 groups, 2 of 4 items, 1 not done")
    assert oldest.startswith(f"{first['batch']}  ended ")
    assert oldest.endswith("1 of 1 group, 1 of 2 items, 1 not done")
    assert look == f"look:  gitbatch status {second['batch']}"

    code, said, _ = here("status", first["batch"])
    assert code == 0
    assert f"batch {first['batch']} (ended) on main" in said
    assert json.loads(here("status", second["batch"], "--json")[1])["state"] == "unfinished"


def test_batches_without_a_record_are_listed_too(three: Workspace, here: Here) -> None:
    """As history has them, also if it was written again on another base."""
    three.gitbatch("run", "--items", "T101,T102", "--checkpoint", "at-end", code=0)
    (known,) = json.loads(here("batches", "--json")[1])["batches"]
    assert not known["rebuilt"]
    three.gitbatch("gc", "--keep", "0", code=0)
    three.git("branch", "kept")
    three.git("reset", "--quiet", "--hard", "kept~2")
    three.write("more.txt", "more\n")
    base = three.commit()
    for options in (None, ("--quiet",), ("--quiet", "--rebase-merges")):
        three.git("reset", "--quiet", "--hard", "kept")
        if options:
            three.git("rebase", *options, base)
        output = json.loads(here("batches", "--json")[1])
        (found,) = output["batches"]
        validate(output, "batches")
        assert {**found, "spent": known["spent"], "rebuilt": False} == known
        assert found["rebuilt"]
        assert here("batches")[1].splitlines()[0].endswith("2 of 2 items, known by its commits alone")
        assert here("report", "--html", "-")[1].count("T102") >= 1


def test_unknown_batch(three: Workspace, here: Here) -> None:
    three.gitbatch("run", "--items", "T101", "--checkpoint", "at-end", code=0)
    known = json.loads(here("batches", "--json")[1])["batches"][0]["batch"]
    missing = "20200101-000000-abcd"
    code, _, error = here("status", missing)
    assert (code, error.splitlines()[0]) == (2, f"gitbatch: no batch {missing} is known here")
    assert "list the batches: gitbatch batches" in error
    typo = known[:-1] + ("0" if known[-1] != "0" else "1")
    assert f"did you mean {known}?" in here("status", typo)[2]


def test_completion(three: Workspace, here: Here) -> None:
    def complete(line: str) -> list[str]:
        return here("completion", "bash", "--line", line)[1].splitlines()

    assert complete("gitbatch show ") == []
    three.gitbatch("run", "--items", "T101,T102", "--checkpoint", "at-end", code=0)
    (batch,) = (each["batch"] for each in json.loads(here("batches", "--json")[1])["batches"])
    assert complete("gitbatch show ") == ["T101", "T102"]
    assert complete("gitbatch logs T101 --batch ") == [batch]
    assert complete("gitbatch status 2") == [batch]
    assert complete("gitbatch status ") == [], "a path may stand there: the shell completes it"
