"""The core of early start, step by step: what starts, in which order, from what. Pure."""

from gitbatch.batch.planning.early.frontier import Frontier
from gitbatch.batch.planning.early.model import EarlyGroup, EarlyItem, EarlyLimits, EarlyPlan, Obstacle, Start
from gitbatch.plan.model import ItemReference


def make_plan(*lines: str, at_once: int = 9, boundaries: str = "") -> EarlyPlan:
    """A plan from lines such as `2b < 1a 2a`: item b of group 2 reads 1a, and waits for 2a; `!` has no context."""
    items: list[EarlyItem] = []
    for line in lines:
        name, _, before = line.rstrip("!").partition(" < ")
        others = tuple(map(ItemReference, before.split()))
        own = tuple(other for other in others if other[0] == name[0])
        reads = tuple(other for other in others if other not in own)
        obstacle = Obstacle.NO_CONTEXT if line.endswith("!") else None
        items.append(EarlyItem(ItemReference(name), int(name[0]), reads, own, obstacle))
    numbers = sorted({item.group for item in items})
    return EarlyPlan(
        tuple(items),
        tuple(EarlyGroup(n, at_once, Obstacle.BARRIER if str(n) in boundaries else None) for n in numbers),
    )


def open_first(plan: EarlyPlan, jobs: int = 9, lookahead: int | None = None) -> Frontier:
    frontier = Frontier(plan, EarlyLimits(jobs, lookahead))
    assert frontier.open_group(1) == ()
    return frontier


def start(frontier: Frontier) -> str:
    """What starts now: `*` is early, and what its base has is behind the name."""
    starts = frontier.start_items()
    return " ".join(
        f"{'*' if each.is_early else ''}{each.reference}{'+'.join(('', *each.base))}" for each in starts
    )


def end(frontier: Frontier, *names: str, is_done: bool = True) -> str:
    for name in names:
        frontier.end_item(ItemReference(name), is_done=is_done)
    return start(frontier)


def test_an_item_starts_when_what_it_reads_is_done() -> None:
    frontier = open_first(make_plan("1a", "1b", "2a < 1a", "2b < 1a 1b", "2c!"))
    assert start(frontier) == "1a 1b"
    assert end(frontier, "1a") == "*2a+1a"
    assert end(frontier, "1b") == "*2b+1a+1b"
    frontier.record_group()
    assert frontier.open_group(2) == ()
    assert start(frontier) == "2c"
    assert frontier.list_unended() == ("2a", "2b", "2c")


def test_an_item_that_reads_nothing_of_the_batch_starts_from_the_branch() -> None:
    assert start(open_first(make_plan("1a", "2a", "3a"))) == "1a *2a *3a"
    assert start(open_first(make_plan("1a", "2a", "3a"), lookahead=1)) == "1a *2a"
    assert start(open_first(make_plan("1a", "2a", "3a"), lookahead=0)) == "1a"


def test_nothing_passes_a_boundary() -> None:
    frontier = open_first(make_plan("1a", "2a", "3a", "4a", boundaries="2"))
    assert start(frontier) == "1a *2a"
    end(frontier, "1a", "2a")
    frontier.record_group()
    assert frontier.open_group(2) == ("2a",)
    assert start(frontier) == ""
    frontier.keep_item(ItemReference("2a"))
    frontier.record_group()
    frontier.open_group(3)
    assert start(frontier) == "3a *4a"


def test_the_open_group_comes_first_then_the_longest_chain_then_the_plan() -> None:
    plan = make_plan("1a", "1b", "2a", "2b", "2c", "3a < 2c", "4a < 3a")
    frontier = open_first(plan, jobs=3)
    assert start(frontier) == "1a 1b *2c"
    assert end(frontier, "2c") == "*3a+2c"
    assert end(frontier, "1a", "3a") == "*2a *2b"
    assert end(frontier, "2a") == "*4a+2c+3a"


def test_an_item_of_the_open_group_that_others_read_comes_first() -> None:
    assert start(open_first(make_plan("1a", "1b", "2a < 1b"), jobs=1)) == "1b"
    assert start(open_first(make_plan("1a", "1b", "2a < 1b"), jobs=1, lookahead=0)) == "1a"
    assert start(open_first(make_plan("1a", "1b", "1c < 1b", "2a!"), jobs=1)) == "1a"
    assert start(open_first(make_plan("1a", "1b", "1c < 1b", "2a < 1c"), jobs=1)) == "1b"


def test_each_group_keeps_its_width() -> None:
    assert start(open_first(make_plan("1a", "1b", "2a", "2b", "3a", at_once=1))) == "1a *2a *3a"


def test_an_early_item_waits_for_those_of_its_own_group() -> None:
    frontier = open_first(make_plan("1a", "2a", "2b < 2a", "2c < 2b"))
    assert start(frontier) == "1a *2a"
    assert end(frontier, "2a") == "*2b+2a"
    assert end(frontier, "2b") == "*2c+2a+2b"


def test_an_input_that_failed_lets_nothing_start_early() -> None:
    frontier = open_first(make_plan("1a", "2a < 1a", "2b", "2c < 2b"))
    assert start(frontier) == "1a *2b"
    assert end(frontier, "1a", "2b", is_done=False) == ""
    frontier.record_group()
    frontier.open_group(2)
    assert start(frontier) == "2a 2c"


def test_what_was_written_from_something_older_is_not_read() -> None:
    frontier = open_first(make_plan("1a", "2a < 1a", "3a < 2a"))
    start(frontier)
    assert end(frontier, "1a") == "*2a+1a"
    frontier.record_group()
    assert frontier.reopen_item(ItemReference("1a")) == ("1a",)  # a review sends it back
    assert start(frontier) == "1a"
    assert frontier.list_unended() == ("1a",)
    assert end(frontier, "1a") == ""
    assert end(frontier, "2a") == ""  # it began before 1a was written again
    frontier.record_group()
    assert frontier.open_group(2) == ("2a",)
    assert frontier.reopen_item(ItemReference("2a")) == ("2a",)
    assert start(frontier) == "2a"
    assert end(frontier, "2a") == "*3a+2a"


def test_what_stands_on_a_commit_that_is_given_up_runs_again() -> None:
    frontier = open_first(make_plan("1a", "2a", "2b < 2a", "3a < 2b"))
    start(frontier)
    end(frontier, "2a")
    end(frontier, "2b")
    assert end(frontier, "3a", "1a") == ""
    frontier.record_group()
    assert frontier.open_group(2) == ("2a", "2b")
    assert set(frontier.reopen_item(ItemReference("2a"))) == {"2a", "2b", "3a"}
    assert start(frontier) == "2a"
    assert end(frontier, "2a") == "2b+2a"
    assert end(frontier, "2b") == "*3a+2a+2b"
    end(frontier, "3a")
    assert frontier.discard_output(ItemReference("2b")) == ("3a",)  # a conflict at the merge
    assert start(frontier) == ""
    frontier.record_group()
    frontier.open_group(3)
    assert start(frontier) == "3a"


def test_what_a_process_left_done_is_found_again() -> None:
    frontier = Frontier(make_plan("1a", "1b < 1a", "2a < 1a"), EarlyLimits(9))
    frontier.restore_item(Start(ItemReference("1a"), is_early=False), is_done=True)
    assert frontier.start_items() == ()
    assert frontier.open_group(1) == ("1a",)
    assert start(frontier) == "1b+1a"
    frontier.keep_item(ItemReference("1a"))
    assert start(frontier) == "*2a+1a"
