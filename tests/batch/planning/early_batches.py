"""Random batches with early start, as values: what a run does with git is done here with dictionaries.

Items succeed, fail, come into conflict; reviews send back, reject and let the user change files and the plan. At each step
what the core chose is compared with the rules as they are written, in the plainest form.
"""

import random
from dataclasses import dataclass, field

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.planning.early.frontier import Frontier
from gitbatch.batch.planning.early.model import (
    EarlyGroup,
    EarlyItem,
    EarlyLimits,
    EarlyPlan,
    Obstacle,
    Start,
)
from gitbatch.batch.planning.early.staleness import EarlyReading, judge_reading
from gitbatch.plan.model import ItemReference

STATUS = "status.md"


def name_item(group: int, number: int) -> ItemReference:
    return ItemReference(f"{group}:out/{group}-{number}.md")


def path_of(reference: ItemReference) -> str:
    return reference.partition(":")[2]


def draw_plan(drawn: random.Random) -> EarlyPlan:
    """A plan of up to five groups, in which items read some of what is before them."""
    items: list[EarlyItem] = []
    groups: list[EarlyGroup] = []
    kinds = (None, None, None, Obstacle.NO_CONTEXT, Obstacle.WAIT)
    for number in range(1, drawn.randint(1, 5) + 1):
        earlier = [item.reference for item in items]
        own: list[ItemReference] = []
        for place in range(drawn.randint(1, 5)):
            obstacle = drawn.choice(kinds)
            reads = drawn.sample(earlier, min(len(earlier), drawn.randint(0, 2)))
            waits = drawn.sample(own, min(len(own), drawn.choice((0, 0, 1, 2))))
            is_declared = obstacle is not Obstacle.NO_CONTEXT
            reference = name_item(number, place)
            items.append(
                EarlyItem(reference, number, tuple(reads) if is_declared else (), tuple(waits), obstacle)
            )
            own.append(reference)
        boundary = drawn.choice((None,) * 5 + (Obstacle.BARRIER,))
        groups.append(EarlyGroup(number, drawn.choice((1, 2, 9)), boundary))
    return EarlyPlan(tuple(items), tuple(groups))


class Done(Struct, frozen=True):
    """An item branch."""

    commit: str
    blob: str
    start: Start
    reading: EarlyReading


@dataclass
class RandomBatch:
    """One batch from its start to its end, with what is checked at each step."""

    plan: EarlyPlan
    limits: EarlyLimits
    drawn: random.Random
    disturbances: int
    """How often something happens that makes items run again."""
    tree: dict[str, str] = field(default_factory=lambda: {STATUS: "0"})
    """What the branch has."""
    merged: set[str] = field(default_factory=set)
    """The item commits that the branch has."""
    done: dict[ItemReference, Done] = field(default_factory=dict)
    """The item branches that are not merged."""
    running: dict[ItemReference, tuple[Start, EarlyReading]] = field(default_factory=dict)
    ended: set[ItemReference] = field(default_factory=set)
    taken: set[ItemReference] = field(default_factory=set)
    """Early items that were judged in their turn: what they read is there, even if its item has failed since."""
    recorded: set[ItemReference] = field(default_factory=set)
    starts: list[Start] = field(default_factory=list)
    allowed: dict[ItemReference, int] = field(default_factory=dict)
    """How often each item may start."""
    stale: int = 0
    """How many done items were not taken."""
    said: dict[ItemReference, int] = field(default_factory=dict)
    """The version of what the plan says of each item."""
    known: set[ItemReference] = field(default_factory=set)
    """The items that the process knows: not those that an earlier one recorded."""
    of_user: set[str] = field(default_factory=set)
    """The paths that the user has changed: only the judgement in an item's turn can know."""
    commits: int = 0
    was_disturbed: bool = False
    open: int = 0

    def __post_init__(self) -> None:
        self.items = {item.reference: item for item in self.plan.items}
        self.known = set(self.items)
        self.allowed = dict.fromkeys(self.items, 1)
        self.said = dict.fromkeys(self.items, 0)
        self.frontier = Frontier(self.plan, self.limits)

    def run(self) -> None:
        for group in self.plan.groups:
            if self.open and self.drawn.random() < 0.2:
                self.restart()
            self.open = group.number
            self.judge(self.frontier.open_group(group.number))
            self.finish_group()
            while self.disturbances and self.drawn.random() < 0.6:
                self.review()
                self.finish_group()
        assert not self.running
        assert self.ended == set(self.items)

    def restart(self) -> None:
        """The process ends, and another one begins with what is in git: records and item branches."""
        for reference in self.running:
            self.allowed[reference] += 1
        self.running.clear()
        left = {each for each, item in self.items.items() if item.group > self.open}
        self.known = left
        items = (
            replace(item, reads=tuple(each for each in item.reads if each in left))
            if self.recorded | left >= {*item.reads}
            else replace(item, reads=(), obstacle=Obstacle.MISSING_INPUT)
            for item in self.plan.items
            if item.reference in left
        )
        plan = EarlyPlan(tuple(items), self.plan.groups[self.open :])
        self.frontier = Frontier(plan, self.limits)
        ended = [start for start in self.starts if start.reference in self.ended & left]
        for reference, start in {start.reference: start for start in ended}.items():
            self.frontier.restore_item(start, is_done=reference in self.done)
        for reference in self.items:
            if reference in left and reference in self.done and self.is_sound(reference):
                self.frontier.keep_item(reference)

    def is_sound(self, reference: ItemReference) -> bool:
        """Whether a done item was written from what the branch and the item branches have."""
        there = {**self.tree, **{path_of(each): done.blob for each, done in self.done.items()}}
        alive = {done.commit for done in self.done.values()} | self.merged
        given, reading = self.read_files(reference, there), self.done[reference].reading
        inputs = (*self.items[reference].reads, *self.items[reference].waits)
        return not judge_reading(reading, given, self.say(reference), frozenset({STATUS}), alive) and all(
            each in self.recorded or (each in self.done and self.is_sound(each)) for each in inputs
        )

    def finish_group(self) -> None:
        steps = 0
        self.start()
        while self.frontier.list_unended():
            steps += 1
            assert steps < 1000, "it does not end"
            assert self.running, "nothing runs, and nothing can start"
            self.end(self.drawn.choice(list(self.running)))
            self.start()
        self.record()

    def start(self) -> None:
        for start in self.frontier.start_items():
            self.check_start(start)
            self.starts.append(start)
            tree = {**self.tree, **{path_of(each): self.done[each].blob for each in start.base}}
            base = tuple(self.done[each].commit for each in start.base)
            reading = EarlyReading(self.read_files(start.reference, tree), self.say(start.reference), base)
            self.running[start.reference] = (start, reading)
        if not self.was_disturbed:
            self.check_nothing_left()

    def read_files(self, reference: ItemReference, tree: dict[str, str]) -> tuple[tuple[str, str], ...]:
        paths = (STATUS, *map(path_of, self.items[reference].reads))
        return tuple((path, tree[path]) for path in paths if path in tree)

    def say(self, reference: ItemReference) -> str:
        return f"{reference} {self.said[reference]}"

    def end(self, reference: ItemReference) -> None:
        start, reading = self.running.pop(reference)
        self.ended.add(reference)
        is_done = self.drawn.random() < 0.9
        if is_done:
            self.commits += 1
            blob = f"b{self.drawn.choice((0, self.commits))}"  # b0: the same again
            self.done[reference] = Done(f"c{self.commits}", blob, start, reading)
        self.frontier.end_item(reference, is_done=is_done)
        if is_done and start.is_early and self.items[reference].group == self.open:
            self.judge((reference,))

    def judge(self, references: tuple[ItemReference, ...]) -> None:
        """Takes done items of the open group, or has them run again."""
        for reference in references:
            if reference not in self.done:
                continue
            own = {each: self.done[each] for each in self.list_waits(reference) if each in self.done}
            tree = {**self.tree, **{path_of(each): done.blob for each, done in own.items()}}
            given, known = self.read_files(reference, tree), self.merged | {d.commit for d in own.values()}
            reading = self.done[reference].reading
            if judge_reading(reading, given, self.say(reference), frozenset({STATUS}), known):
                self.stale += 1
                self.run_again(self.frontier.reopen_item(reference))
            else:
                self.frontier.keep_item(reference)
                self.taken.add(reference)

    def run_again(self, references: tuple[ItemReference, ...]) -> None:
        assert len(set(references)) == len(references)
        for reference in references:
            self.done.pop(reference, None)
            self.ended.discard(reference)
            self.taken.discard(reference)
            self.recorded.discard(reference)
            self.allowed[reference] += 1

    def record(self) -> None:
        """Merges what is done of the groups up to the open one, after a conflict or without."""
        taken = [each for each in self.items if each in self.done and self.items[each].group <= self.open]
        if taken and self.disturbances and self.drawn.random() < 0.15:
            lost = self.drawn.choice(taken)
            self.disturb()
            del self.done[lost]
            again = self.frontier.discard_output(lost)
            self.run_again(again)
            if any(self.items[each].group <= self.open for each in again):
                self.finish_group()
                return
            taken.remove(lost)
        before, commits = dict(self.tree), {self.done[each].commit for each in taken}
        for reference in taken:
            self.check_taken(reference, before, commits)
        for reference in taken:
            done = self.done.pop(reference)
            self.tree[path_of(reference)] = done.blob
            self.merged.add(done.commit)
            self.recorded.add(reference)
        self.tree[STATUS] = f"{int(self.tree[STATUS]) + 1}"
        self.frontier.record_group()

    def disturb(self) -> None:
        self.disturbances -= 1
        self.was_disturbed = True

    def review(self) -> None:
        """Sends an item back or rejects it; or the user changes a file or the plan. Early items end meanwhile."""
        self.disturb()
        chosen = [
            each
            for each in self.items
            if self.items[each].group <= self.open and each in self.ended & self.known
        ]
        reference = self.drawn.choice(chosen)
        match self.drawn.randrange(4):
            case 0:
                self.run_again(self.frontier.reopen_item(reference))
            case 1 if reference in self.recorded:
                self.run_again(self.frontier.discard_output(reference))
                self.recorded.discard(reference)
                del self.tree[path_of(reference)]
            case 2:
                self.tree[path_of(reference)] = f"user {self.disturbances}"
                self.of_user.add(path_of(reference))
            case _:
                self.said[self.drawn.choice(list(self.items))] += 1
        if self.running and self.drawn.random() < 0.5:
            self.end(self.drawn.choice(list(self.running)))

    def list_waits(self, reference: ItemReference) -> list[ItemReference]:
        """The items of its group that an item waits for, and those that these wait for."""
        found: list[ItemReference] = []
        to_do = [reference]
        while to_do:
            more = [each for each in self.items[to_do.pop()].waits if each not in found]
            found += more
            to_do += more
        return found

    def may_start(self, reference: ItemReference) -> bool:
        """Whether an item may start now, by the rules; whether it has room is another question."""
        item = self.items[reference]
        if reference in self.ended or reference in self.running:
            return False
        if item.group <= self.open:
            return self.ended.issuperset(item.waits)
        if item.obstacle or (
            self.limits.lookahead is not None and item.group - self.open > self.limits.lookahead
        ):
            return False
        if any(group.boundary for group in self.plan.groups[self.open - 1 : item.group - 1]):
            return False
        return all(each in self.done or each in self.recorded for each in (*item.reads, *item.waits))

    def count_running(self, group: int | None = None) -> int:
        return sum(group in {None, self.items[each].group} for each in self.running)

    def has_room(self, reference: ItemReference) -> bool:
        group = self.items[reference].group
        at_once = self.plan.groups[group - 1].at_once
        return self.count_running() < self.limits.jobs and self.count_running(group) < at_once

    def check_start(self, start: Start) -> None:
        reference = start.reference
        assert self.may_start(reference)
        assert self.has_room(reference)
        assert start.is_early is (self.items[reference].group > self.open)
        if start.is_early:
            waiting = (each for each in self.items if self.items[each].group <= self.open)
            assert not any(self.may_start(each) and self.has_room(each) for each in waiting)
            self.check_sound((*self.items[reference].reads, *self.items[reference].waits))
        self.allowed[reference] -= 1
        assert self.allowed[reference] >= 0, "it starts more often than it may"
        base = {self.done[each].commit for each in start.base}
        for each in start.base:
            assert {*self.done[each].reading.base} <= base | self.merged, "a commit comes without its file"

    def check_sound(self, references: tuple[ItemReference, ...]) -> None:
        """That what an early item starts from was itself written from what is there now, and so on."""
        there = {**self.tree, **{path_of(each): done.blob for each, done in self.done.items()}}
        alive = {done.commit for done in self.done.values()} | self.merged
        for reference in references:
            assert reference in self.done or reference in self.recorded
            if reference in self.done:
                item, reading = self.items[reference], self.done[reference].reading
                files = (read for read in reading.files[1:] if read[0] not in self.of_user)
                assert all(there[path] == blob for path, blob in files), "it was written from something older"
                assert {*reading.base} <= alive, "it stands on a commit that is given up"
                if self.done[reference].start.is_early and reference not in self.taken:
                    self.check_sound((*item.reads, *item.waits))

    def check_nothing_left(self) -> None:
        """That nothing that may start waits; true as long as nothing was withdrawn."""
        left = [each for each in self.items if self.may_start(each) and self.has_room(each)]
        assert not left, "it could start"

    def check_taken(self, reference: ItemReference, before: dict[str, str], commits: set[str]) -> None:
        """That what is merged was written from what the branch has: nothing stale, and nothing of a discarded item."""
        reading = self.done[reference].reading
        assert {*reading.base} <= self.merged | commits
        started = next(each for each in reversed(self.starts) if each.reference == reference)
        if started.is_early:
            assert reading.files[1:] == self.read_files(reference, before)[1:]
            assert reading.plan_item == self.say(reference)
