"""One event of each kind, for the tests of views."""

from typing import get_args

from gitbatch.agents.protocol import OutputStream, Reply
from gitbatch.batch.events import (
    AttemptFailed,
    BatchFinished,
    BatchHalted,
    BatchPaused,
    BatchStarted,
    BatchStopped,
    BatchWaiting,
    CheckFinished,
    CheckpointReached,
    CheckStarted,
    ConfigChanged,
    Event,
    GateFinished,
    GateStarted,
    GroupStarted,
    ItemCharged,
    ItemFinished,
    ItemProgress,
    ItemQueued,
    ItemSent,
    ItemStarted,
    ItemWaiting,
    Notice,
)
from gitbatch.batch.line_count import LineCount
from gitbatch.batch.model import (
    BatchGroup,
    BatchItem,
    Checkpoint,
    CriterionState,
    FailedItem,
    ItemStatus,
    Outcome,
)
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Spent, Usage
from gitbatch.text import clean_text

RED = CheckResult("links", CheckVerdict.RED, 0.2, clean_text("b.md is missing (exit 1)"))
LINES = LineCount(38, 2)
ITEM = BatchItem("out/a.md", "T1", "Write a", "1-t1", 1)
GROUP = BatchGroup(1, "Letters", (ITEM,))
BROKE = Outcome(ITEM, ItemStatus.FAILED, reason=clean_text("it broke"), cause=Cause.FAILED, seconds=1.5)
CLASHED = Outcome(ITEM, ItemStatus.CONFLICTED, reason=clean_text("it is a folder"))
WROTE = Outcome(
    ITEM, ItemStatus.SUCCEEDED, Reply(clean_text("It wrote a.")), seconds=2.0, lines=LineCount(38, 2)
)
LOST = FailedItem(1, ITEM.output, "T1", ItemStatus.FAILED, clean_text("it broke"), "1" * 40)
CRITERION = CriterionState(1, "All is written", done=False, items=("T1",), open_items=0)
CHECKPOINT = Checkpoint("b", 1, 2, GROUP, (WROTE, BROKE), (CRITERION,), "0" * 40, "1" * 40)

EVENTS: tuple[tuple[Event, str], ...] = (
    (
        GateStarted(batch="b", group=1, gate="tests", tree="2" * 40, items=("out/a.md",), of=2),
        "  gate      tests: 1 of 2 items\n",
    ),
    (
        GateFinished(
            batch="b",
            group=1,
            gate="tests",
            tree="2" * 40,
            result="red",
            seconds=1.2,
            reason=clean_text("exit code 1"),
        ),
        "  red       tests (1.2 s): exit code 1\n",
    ),
    (
        BatchStarted(
            batch="b",
            resumed=True,
            target="refs/heads/main",
            mode="at-end",
            agent="writer",
            jobs=4,
            sandbox="none",
            groups=2,
            items=1,
            groups_done=1,
            max_cost=2.0,
            max_tokens=1000,
            readable=(".venv",),
            spent=Spent(Usage(input=5, requests=1, cost=0.5), known=1, unknown=2),
        ),
        (
            "batch b resumes after 1 of 2 groups on main\n"
            "  1 item in 2 groups, checkpoint at-end, agent writer, 4 at a time\n  sandbox none (without one, agents have your rights)\n"
            "  agents can read of this checkout: .venv\n"
            "  limit $2.00 and 1,000 tokens\n"
            "  limit held by estimate: 2 attempts of unknown cost, counted as the mean, $0.50\n"
            "  used so far: 5 tokens in 1 request (input 5), $0.5000 and 2 attempts of unknown cost\n"
        ),
    ),
    (
        GroupStarted(
            batch="b", position=1, of=2, group=1, title="Letters", items=("out/a.md",), already=("out/b.md",)
        ),
        "group 1/2  Letters: 1 to run, 1 done before\n",
    ),
    (
        ItemStarted(
            batch="b",
            slug=ITEM.key,
            group=1,
            item="out/a.md",
            name="T1",
            agent="writer",
            attempt=2,
            context=(),
            missing=tuple(map(clean_text, "abcdefg")),
        ),
        "  start     T1 → out/a.md (writer, attempt 2)\n"
        + "".join(f"  without   T1: {missing}\n" for missing in (*"abcde", "and 2 more missing inputs")),
    ),
    (
        ItemProgress(
            batch="b",
            slug=ITEM.key,
            group=1,
            item="out/a.md",
            stream=OutputStream.ERROR,
            line=clean_text("oh"),
        ),
        "  !         T1: oh\n",
    ),
    (ItemQueued(batch="b", slug=ITEM.key, group=1, item="out/a.md"), ""),
    (
        ItemSent(batch="b", slug=ITEM.key, group=1, item="out/a.md", name="T1", host=clean_text("far")),
        "  on        T1: far\n",
    ),
    (
        ItemCharged(batch="b", slug=ITEM.key, group=1, item="out/a.md", usage=Usage(requests=1, cost=0.25)),
        "",
    ),
    (
        ItemWaiting(
            batch="b",
            slug=ITEM.key,
            group=1,
            item="out/a.md",
            name="T1",
            reason=clean_text("busy"),
            usage=Usage(),
        ),
        "  busy      T1: busy; it starts again\n",
    ),
    (
        CheckStarted(batch="b", slug=ITEM.key, group=1, item="out/a.md", name="T1", check="links"),
        "",
    ),
    (
        CheckFinished(batch="b", slug=ITEM.key, group=1, item="out/a.md", name="T1", result=RED),
        "  checked   T1: check links failed (0.2 s): b.md is missing (exit 1)\n",
    ),
    (BatchWaiting(batch="b", seconds=12), "waiting   12 s: the server is busy\n"),
    (AttemptFailed(batch="b", outcome=BROKE, left=1), "  again     T1: attempt 1: it broke; 1 left\n"),
    (ItemFinished(batch="b", outcome=WROTE), "  succeeded T1 (2.0 s)\n"),
    (ItemFinished(batch="b", outcome=BROKE), "  failed    T1 (1.5 s): it broke\n"),
    (ItemFinished(batch="b", outcome=CLASHED), "  conflicted T1: it is a folder\n"),
    (
        CheckpointReached(batch="b", checkpoint=CHECKPOINT),
        (
            "checkpoint 1/2  Letters: 1 of 2 done  1111111111\n"
            "  failed      T1  it broke\n"
            f"  succeeded   T1  {LINES}  It wrote a.\n"
            f"  1 file, {LINES}; in full: git show 1111111111\n"
            "  DoD #1  [ ]  ready: tick it  All is written\n"
        ),
    ),
    (BatchPaused(batch="b", next_group="Words"), "paused  next: Words\ntook      0.0 s\n"),
    (
        BatchStopped(batch="b", reason="it is done", advice="review it"),
        "stopped  it is done\n         review it\ntook      0.0 s\n",
    ),
    (
        BatchHalted(
            batch="b",
            cause=Cause.DISK,
            reason=clean_text("the disk is full"),
            advice="free disk space",
            back_at=None,
            items_left=2,
            spent=Spent(),
        ),
        "halted  the disk is full\n        2 items left; finished items are in git. free disk space\ntook      0.0 s\n",
    ),
    (
        ConfigChanged(batch="b", difference=("- a = 1", "+ a = 2")),
        (
            "config  gitbatch.toml names other programs, hosts, keys or paths than the batch was started with:\n"
            "        - a = 1\n        + a = 2\n"
        ),
    ),
    (
        BatchFinished(batch="b", succeeded=3, failed=1, failures=(LOST,), seconds=125.0),
        "finished  3 done, 1 not done\n  failed  T1  it broke\ntook      2 min 5 s\n",
    ),
    (Notice(batch="b", text="a word"), "note  a word\n"),
)
"""Each event, and how the line view shows it."""

KINDS = frozenset(get_args(Event))
