"""What templates, their thin layers and git in a worktree cost, next to what git and other tools need for a worktree."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median

from bench.experiments import run_gitbatch
from bench.measure import run
from bench.reach_setup import Setup, Times, clear_cache, join_times, run_script, warm_template
from bench.repositories import Repository, Work, output_name, remove_folder
from bench.rows import Row

_MANY = 10_000
_BASES, _OUTPUTS = 5, 20
"""The later bases that are measured, and the outputs that each has more."""
_STATUS = (
    "s() { git status --porcelain >/dev/null; }; n() { date +%s%N; }; l() { for i in $(seq COUNT); do s; done; }; "
    'a=$(n); s; b=$(n); l; c=$(n); echo $((b - a)) $(((c - b) / COUNT)) > "$1"'
)
"""An agent that says how many nanoseconds the first `git status` takes, and each of some after it."""


def measure_templates(setup: Setup) -> Iterator[Row]:
    """A template against `git worktree add`, then the layers of later bases."""
    times = Times()
    for _ in range(setup.rounds):
        for files, repo in setup.repositories.items():
            repo.reset(Work(1, 1, "full"))
            clear_cache(repo)
            times.add("template", files, float(warm_template(repo)["seconds"]))
            for name, seconds in _time_worktree(repo):
                times.add(name, files, seconds)
    for files, repo in setup.repositories.items():
        made, added = times.median("template", files), times.median("add", files)
        measured = join_times((("template", made), ("git worktree add", added)))
        yield Row(f"{files:,} files: template / git worktree add", measured, made / added, 1.1)
        removed = times.median("remove", files)
        measured = join_times((("add", added), ("remove", removed)))
        yield Row(f"{files:,} files: git worktree add and remove", measured, added + removed, unit=" ms")
        later = run_script(repo, "template.py", repo.cache, _BASES, _OUTPUTS)["later"]
        least, most = 1000 * min(later), 1000 * max(later)
        name = f"{files:,} files: the layers of a new base after a checkpoint of {_OUTPUTS} outputs"
        yield Row(name, f"{least:.1f} to {most:.1f} ms", 1000 * median(later), 50, unit=" ms")


def _time_worktree(repo: Repository) -> Iterator[tuple[str, float]]:
    """Yields what it takes to add a worktree by git, and to remove it."""
    place = repo.worktrees / "by git"
    for name, arguments in (("add", ("add", "--quiet", "--detach")), ("remove", ("remove", "--force"))):
        began = time.monotonic()
        repo.git("worktree", *arguments, str(place))
        yield name, time.monotonic() - began


def measure_status(setup: Setup) -> Iterator[Row]:
    """`git status` in an overlay worktree, by an agent, and in the template that it lies on."""
    for files, repo in setup.repositories.items():
        script = _STATUS.replace("COUNT", "4" if files > _MANY else "20")
        times = Times()
        for _ in range(setup.rounds):
            run_gitbatch(repo, Work(1, 2, "full", agent=script), "none", prepare=warm_template)
            for number in (1, 2):
                _note_status(times, "worktree", repo.root / output_name(1, number))
                _note_status(times, "template", _run_in_template(repo, script))
        inside, outside = times.median("worktree", 0), times.median("template", 0)
        first = ((f"the first in the {name}", times.median(name, 1)) for name in ("worktree", "template"))
        measured = join_times((("worktree", inside), ("template", outside), *first))
        name = f"{files:,} files: git status in a worktree / in the template"
        yield Row(name, measured, inside / outside, 1.5)


def _note_status(times: Times, name: str, said: Path) -> None:
    """Notes the first time, which also writes the index or reads folders for the first time, and the later ones."""
    first, later = said.read_text(encoding="ascii").split()
    times.add(name, 1, int(first) / 1e9)
    times.add(name, 0, int(later) / 1e9)


def _run_in_template(repo: Repository, script: str) -> Path:
    """Returns what the same script says in the template, with a copy of its index."""
    found = warm_template(repo)
    index, said, tree = repo.folder / "index", repo.folder / "said", found["lower"][-1]
    shutil.copyfile(found["index"], index)
    git = {"GIT_INDEX_FILE": str(index), "GIT_DIR": f"{repo.root}/.git", "GIT_WORK_TREE": tree}
    run(["sh", "-c", script, "sh", said], Path(tree), {**repo.environment, **git}, repo.log)
    return said


def measure_peers(setup: Setup) -> Iterator[Row]:
    """What else makes a worktree: `cp --reflink` on btrfs, and Claude Code."""
    files = sorted(setup.sizes)[len(setup.sizes) // 2]
    yield _measure_reflink(setup, files)
    for size in sorted(setup.sizes):
        yield _measure_claude(setup, setup.repositories[size])


def _measure_reflink(setup: Setup, files: int) -> Row:
    """Returns what a copy of a checkout by reflinks costs, on a file system in a file."""
    name = f"{files:,} files: cp --reflink, next to kind clone and git worktree add, on btrfs"
    program = shutil.which("mkfs.btrfs", path="/sbin:/usr/sbin") or shutil.which("mkfs.btrfs")
    if program is None:
        return Row(name, "mkfs.btrfs is not installed")
    place = setup.disk.place
    image, mounted = place / "btrfs.image", place / "btrfs"
    mounted.mkdir(parents=True, exist_ok=True)
    with image.open("wb") as file:
        file.truncate(4 << 30)
    try:
        _run_quietly(program, "-q", "-f", str(image))
        _run_quietly("mount", "-o", "loop", str(image), str(mounted))
    except (OSError, subprocess.CalledProcessError) as error:
        remove_folder(image)
        mounted.rmdir()
        return Row(name, f"a btrfs cannot be mounted here: {error}")
    try:
        return _copy_on_btrfs(name, mounted, setup, files)
    finally:
        _run_quietly("umount", str(mounted))
        remove_folder(image)
        mounted.rmdir()


def _copy_on_btrfs(name: str, mounted: Path, setup: Setup, files: int) -> Row:
    shutil.copytree(setup.repositories[files].folder, mounted / "files", symlinks=True, ignore=_ignore_home)
    repo = Repository(mounted / "files", files, kind="clone")
    clear_cache(repo)
    (repo.folder / "home").mkdir(exist_ok=True)
    times = Times()
    for _ in range(setup.rounds):
        copy = repo.folder / "copy"
        argv: list[str | Path] = ["cp", "-a", "--reflink=always", repo.root, copy]
        times.add("cp --reflink", 0, run(argv, repo.folder, repo.environment, repo.log).wall)
        remove_folder(copy)
        trace = run_gitbatch(repo, Work(1, 3, "full"), "none", prepare=warm_template)
        times.add("clone", 0, sum(seconds for seconds, _ in trace.phases["worktree"][:2]))
        times.add("git worktree add", 0, next(_time_worktree(repo))[1])
        repo.git("worktree", "remove", "--force", str(repo.worktrees / "by git"))
    pairs = [(way, times.median(way, 0)) for way in ("cp --reflink", "clone", "git worktree add")]
    return Row(name, join_times(pairs), pairs[0][1], unit=" ms")


def _ignore_home(_: str, names: list[str]) -> set[str]:
    return {"home", "worktrees"} & set(names)


def _run_quietly(*argv: str) -> None:
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _measure_claude(setup: Setup, repo: Repository) -> Row:
    """Returns how much later Claude Code asks its model for the first time if it makes a worktree (`--worktree`)."""
    name = f"{repo.files:,} files: Claude Code, --worktree: the model is asked later by"
    if setup.claude is None:
        return Row(name, "Claude Code is not installed (--claude)")
    repo.reset(Work(1, 1, "full"))
    try:
        found = run_script(repo, "peer.py", setup.claude, min(3, setup.rounds))
    finally:
        for worktree in (repo.root / ".claude" / "worktrees").glob("*"):
            with suppress(subprocess.CalledProcessError):
                repo.git("worktree", "remove", "--force", "--force", str(worktree))
        remove_folder(repo.root / ".claude")
    plain, with_worktree = (1000 * median(found[way]) for way in ("plain", "worktree"))
    measured = join_times((("without", plain), ("with", with_worktree)))
    return Row(name, measured, with_worktree - plain, unit=" ms")
