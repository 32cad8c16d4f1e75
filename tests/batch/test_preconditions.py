"""What the header of a run says about its programs."""

from gitbatch.batch.preconditions import advise_on_programs
from gitbatch.project.check_tables import CheckTable, GateTable
from gitbatch.project.config import Config


def test_checks_and_gates_without_a_sandbox_are_said() -> None:
    """An agent in a sandbox could write a test that such a gate runs with all rights."""
    config = Config(
        checks={
            "links": CheckTable(command=("lychee",)),
            "unit": CheckTable(command=("pytest",), sandbox="none"),
            "style": CheckTable(agent="judge", prompt="Good?"),
        },
        gates={"tests": GateTable(command=("pytest",), sandbox="none")},
    )
    said = advise_on_programs(config)
    assert [line.partition(" runs without a sandbox")[0] for line in said] == ["check unit", "gate tests"]
    assert advise_on_programs(Config()) == ()
