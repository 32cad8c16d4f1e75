"""Our merge of a group against `git merge` of its branches."""

from dataclasses import dataclass

from bench.experiments import GROUP_PHASES, run_gitbatch
from bench.measure import Spread, run, spread
from bench.repositories import Repository, Work


@dataclass(frozen=True, slots=True)
class Merges:
    """Bringing the finished items of one group into the branch and the checkout, in milliseconds."""

    items: int
    recorded: Spread
    """Ours: the merge and the checkpoint, until the branch has them."""
    ours: Spread
    """The same, and the checkout has followed."""
    git_merge: Spread
    """`git merge` of the same branches, one after another."""
    octopus: Spread
    """One `git merge` of all of them."""


def measure_merges(repo: Repository, items: int, rounds: int) -> Merges:
    """Our merge of a group against `git merge` of its branches."""
    work = Work(1, items)
    recorded: list[float] = []
    ours: list[float] = []
    one_by_one: list[float] = []
    octopus: list[float] = []
    for _ in range(rounds):
        trace = run_gitbatch(repo, work, "none", jobs=4)
        took = {phase: sum(seconds for seconds, _ in trace.phases[phase]) for phase in GROUP_PHASES}
        recorded.append(took["merge"])
        ours.append(took["merge"] + took["follow"])
        commits = _item_commits(repo)
        assert len(commits) == items, f"{len(commits)} of {items} items were done"
        for times, merges in ((one_by_one, [[c] for c in commits]), (octopus, [commits])):
            repo.git("reset", "--quiet", "--hard", "start")
            repo.git("reset", "--quiet", "--hard", f"{commits[0]}^")
            script = "\n".join(f"git merge --quiet --no-ff -m Merge {' '.join(part)}" for part in merges)
            cost = run(["sh", "-ec", script], repo.root, repo.environment, repo.log)
            times.append(cost.wall)
    return Merges(items, spread(recorded), spread(ours), spread(one_by_one), spread(octopus))


def _item_commits(repo: Repository) -> list[str]:
    """The commits of the items of the batch that ran last."""
    return repo.git("log", "--format=%H", "--grep=^Gitbatch-Item: ", "main").split()
