"""The results of gates in a batch, in git: a blob with one ref. A gate does not run again on a tree that it has judged.

Each result is stored when the run of the gate has ended, so a kill loses at most the run that was interrupted. What gave
no verdict is not stored. The ref is pinned while the process runs (`repo/refs/pinned.py`), as a forged result would let
a tree pass that the gate has never seen; between two processes nothing protects it, as nothing protects other refs.
"""

import hashlib

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.project.check_tables import GateTable
from gitbatch.repo.refs.names import gates_ref
from gitbatch.repo.refs.pinned import PinnedRefs
from gitbatch.repo.repository import Repository
from gitbatch.text import CleanText


class GateResult(Struct, frozen=True):
    """What a gate has said of a tree."""

    gate: str
    settings: str
    """The digest of its settings: with others it is another gate."""
    tree: str
    reds: int = 0
    """The number of red results."""
    passed: CheckVerdict | None = None
    """The first result that was not red, if there is one: pass or skip."""
    reason: CleanText = CleanText("")
    """Of the last result that is not a pass."""
    findings: tuple[CleanText, ...] = ()
    """What it printed then."""
    green_after: frozenset[str] = frozenset()
    """The trees on which it was red before it was run on this one once more, and was not red."""
    host: CleanText = CleanText("")
    """The other machine of its last run; empty: this one."""

    @property
    def is_flaky(self) -> bool:
        """Whether it was red and not red on the same tree."""
        return bool(self.reds and self.passed)

    def add_run(self, ended: CheckResult) -> "GateResult":
        """Returns the result with one more run, which gave a verdict."""
        if ended.verdict is CheckVerdict.PASS:
            return replace(self, passed=ended.verdict, host=ended.host)
        said = replace(self, reason=ended.reason, findings=ended.findings, host=ended.host)
        if ended.verdict is CheckVerdict.SKIP:
            return replace(said, passed=ended.verdict)
        return replace(said, reds=self.reds + 1)


def digest_settings(table: GateTable) -> str:
    """Returns the digest of a gate's settings."""
    return hashlib.sha256(msgspec.json.encode(table)).hexdigest()


class GateResults(Struct):
    """The results of a running batch. Only the git thread uses it."""

    repo: Repository
    batch: str
    pinned: PinnedRefs
    entries: dict[tuple[str, str, str], GateResult] = field(default_factory=dict)
    """By gate, settings and tree."""

    @classmethod
    def open(cls, repo: Repository, batch: str, pinned: PinnedRefs) -> "GateResults":
        """Returns the results that git has; none if they are unreadable, and then the gates run again."""
        results = cls(repo, batch, pinned)
        blob = repo.refs.read(gates_ref(batch))
        try:
            listed = msgspec.json.decode(repo.objects.read_blob(blob), type=list[GateResult]) if blob else []
        except msgspec.DecodeError:
            listed = []
        results.entries.update({(entry.gate, entry.settings, entry.tree): entry for entry in listed})
        return results

    def find(self, gate: str, settings: str, tree: str) -> GateResult:
        """Returns what a gate has said of a tree."""
        return self.entries.get((gate, settings, tree)) or GateResult(gate, settings, tree)

    def store(self, result: GateResult) -> None:
        """Writes a result to git."""
        self.entries[result.gate, result.settings, result.tree] = result
        self._write()

    def forget(self, gate: str) -> None:
        """Removes the results of a gate, because they contradict each other."""
        self.entries = {key: entry for key, entry in self.entries.items() if entry.gate != gate}
        self._write()

    def _write(self) -> None:
        ref = gates_ref(self.batch)
        self.repo.publish_blob(ref, msgspec.json.encode(list(self.entries.values())))
        self.pinned.values[ref] = self.repo.refs.read(ref)
