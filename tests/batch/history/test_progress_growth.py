"""What the progress of a batch costs grows with its items, not with their pairs. Pure."""

from collections.abc import Callable

from counting import growth_of

from gitbatch.batch.history.progress import BatchProgress, FinishedGroup
from gitbatch.batch.history.standings import ItemStanding, derive_standings, select_line
from gitbatch.batch.history.trailers import parse_trailers
from gitbatch.batch.model import BatchGroup, BatchItem, ItemStatus, Outcome

BATCH = "20260102-030405-abcd"


def checkpoint(names: list[str]) -> str:
    """The message of a checkpoint at which all items succeeded."""
    head = f"Gitbatch-Format: 2\nGitbatch-Batch: {BATCH}\nGitbatch-Group: 1 G\nGitbatch-Checkpoint: 1/1\n"
    return f"subject\n\nbody\n\n{head}" + "".join(f"Gitbatch-Succeeded: {name}\n" for name in names)


def test_reading_a_checkpoint_costs_the_same_for_each_item() -> None:
    def prepare(count: int) -> Callable[[], object]:
        names = [f"out/{number}.md" for number in range(count)]
        message = checkpoint(names)

        def read() -> None:
            trailers = parse_trailers(message)
            for _ in names:  # as a view asks, for each item
                assert trailers.batch == BATCH
                assert len(trailers.succeeded) == count
            assert len(derive_standings(select_line(BATCH, [("1" * 40, message)]))) == count

        return read

    assert growth_of(prepare, 60) < 2.2


def test_open_items_cost_the_same_for_each_item() -> None:
    def prepare(count: int) -> Callable[[], object]:
        items = tuple(BatchItem(f"out/{n}.md", f"T{n}", f"T{n}", f"1-t{n}", 1) for n in range(count))
        failed = tuple(Outcome(item, ItemStatus.FAILED) for item in items[::2])
        group = BatchGroup(1, "G", items[: count // 2])
        standings = {item.key: ItemStanding() for item in group.items}
        finished = FinishedGroup(group, "1" * 40, failed[: count // 4], standings=standings)
        state = BatchProgress((finished,), {})
        return lambda: [[*state.find_open(items)], [item.key in state.reopened for item in items]]

    assert growth_of(prepare, 60) < 2.2
