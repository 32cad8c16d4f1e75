"""What one attempt has asked for, was denied and has cost so far, and the limits that stop it."""

from collections import deque
from typing import Any

from msgspec import Struct

from gitbatch.agents.acp.events import SessionEvents
from gitbatch.agents.acp.inbox import Decided, Inbox
from gitbatch.agents.acp.message import PermissionRequest
from gitbatch.agents.acp.outcome import Stage, Stop, TurnState, count_usage
from gitbatch.agents.acp.permission import PermissionDecision, PermissionRule, choose_option
from gitbatch.agents.acp.table import AcpAgent
from gitbatch.agents.protocol import AgentFolders, Assignment
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause, WaitReason
from gitbatch.limits.usage import Usage, format_dollars
from gitbatch.paths import ancestors
from gitbatch.text import CleanText, clean_text

BATCH_LIMIT = "the budget of the batch is reached"
_OFFLINE_REPORTS = 3
_DENIALS = 20
"""Lines of calls that were not allowed, for the details of a failure."""


class Money(Struct, frozen=True):
    """Where costs are charged, and the most that may be spent."""

    budget: Budget
    own_left: float | None = None
    """US dollars that are left for the item; None: it has no limit."""
    own_limit: float = 0.0


class Turn:
    """One attempt. Its lines come in by the inbox; what is decided about them is kept here."""

    def __init__(
        self,
        table: AcpAgent,
        assignment: Assignment,
        folders: AgentFolders,
        rule: PermissionRule,
        money: Money,
    ) -> None:
        self.known = TurnState()
        self.events = SessionEvents(folders.worktree, self._charge_cost)
        self.inbox = Inbox(self.events, self._decide, table.known.noise)
        self.denials: deque[CleanText] = deque(maxlen=_DENIALS)
        self.dialogue: Any = None
        """The conversation, once the program has started. Its module imports the library."""
        self._table = table
        self._assignment = assignment
        self._folders = folders
        self.rule = rule
        self._money = money
        self._is_stopping = False

    @property
    def usage(self) -> Usage:
        """What was reported so far; the cost is unknown if none was."""
        return count_usage(self.known.result, self.events.cost)

    @property
    def has_ended(self) -> bool:
        """Whether the agent has ended its turn, or said that it cannot."""
        return self.known.result is not None or self.known.error is not None or self.known.stop is not None

    def stop(self, why: Stop | None = None) -> None:
        """Lets the agent end its turn, and denies whatever it still asks for.

        Args:
            why: the reason of the failure; the first one counts.
        """
        self._is_stopping = True
        if why and self.known.stop is None and self.known.stage is not Stage.ENDED:
            self.known.stop = why
        if self.dialogue is not None:
            self.dialogue.stop()

    def check_limits(self) -> None:
        """Stops the agent if it has made too many calls, or has left its mode."""
        if self._is_stopping or self.known.stage is not Stage.PROMPTED:
            return
        if self.events.counts.calls > self._table.max_turns:
            said = f"it made more than {self._table.max_turns} calls of tools (max-turns)"
            self.stop(Stop(Cause.FAILED, said))
        if self.events.offline_reports >= _OFFLINE_REPORTS:
            self.stop(Stop(Cause.BUSY, "no connection: it waits for a network", WaitReason.NO_CONNECTION))
        mode = self._table.wanted_mode
        if mode and self.events.mode != mode:
            self.stop(Stop(Cause.FATAL, f"it left its mode {mode!r} for {self.events.mode!r}"))

    def _charge_cost(self, cost: float) -> None:
        """Charges what a turn has cost since it was charged last, and stops it at a limit."""
        money = self._money
        rest = cost - money.budget.charged_cost(self._assignment.item)  # the proxy may have charged it before
        if rest > 0:
            money.budget.charge_request(self._assignment.item, Usage(cost=rest))
        if money.own_left is not None and cost >= money.own_left:
            self.stop(Stop(Cause.LIMIT, describe_limit(money.own_limit)))
        elif money.budget.is_exhausted_for(self._assignment.item):
            self.stop(Stop(Cause.BUDGET, BATCH_LIMIT))

    def _decide(self, request: PermissionRequest) -> Decided:
        """Returns the answer to a request for permission."""
        if self._is_stopping:
            return Decided(None)
        call = request.tool_call
        calls = self.events.find_call(call)
        decision = self.rule.judge_calls(calls)
        if (
            decision is PermissionDecision.ALLOW
            and any(each.kind == "edit" for each in calls)
            and self._has_link()
        ):
            decision = PermissionDecision.REJECT
        chosen = choose_option(decision, request.options)
        if (
            decision is PermissionDecision.ALLOW
            and chosen is not None
            and _kind_of(request, chosen) == decision
        ):
            return Decided(chosen)
        line = clean_text(self.events.describe_denial(call))
        self.denials.append(line)
        return Decided(chosen, line)

    def _has_link(self) -> bool:
        """Whether a part of the path of the output is a link by now."""
        output = self._assignment.output
        paths = (*ancestors(output), output)
        return any((layer / path).is_symlink() for layer in self._folders.layers for path in paths)


def describe_limit(dollars: float) -> str:
    """Returns why an item that has spent its own limit is stopped."""
    return f"its limit of {format_dollars(dollars)} (max-cost) is reached"


def _kind_of(request: PermissionRequest, option: str) -> str:
    return next((each.kind for each in request.options if each.option_id == option), "")
