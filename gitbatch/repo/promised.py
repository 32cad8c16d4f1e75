"""Objects that a partial clone (`git clone --filter=…`) has left with its remote.

Git processes of ours have no network and never fetch by themselves. So what a run needs and what is missing is found
out before, and fetched at once: with the user's own git and configuration, from the remote that the clone recorded as
the one that promised the objects, without tags, submodules or hooks. Not for anything else that is missing: where a
clone is not partial, a missing object is damage.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from gitbatch.errors import GitbatchError, GitError
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.objects.walk import missing_of
from gitbatch.repo.refs.lock_files import TEMPORARY
from gitbatch.repo.settings import Setting, is_true
from gitbatch.text import clean_text

_KEPT = (
    *("GIT_CONFIG", "GIT_SSH", "GIT_ASKPASS", "GIT_PROXY", "GIT_HTTP", "GIT_SSL", "GIT_CURL"),
    *("GIT_ALLOW_PROTOCOL", "GIT_PROTOCOL"),
)
"""What the names of the variables start with that say how the user reaches a remote."""
_QUIETLY = (
    *("-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "maintenance.auto=false"),
    *("-c", "fetch.negotiationAlgorithm=noop"),
)
_FETCH = (
    *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no"),
    *("--filter=blob:none", "--stdin"),
)
_LIST = "git rev-list --objects --no-walk --missing=print"
_SHOWN = 10


class PartialCloneError(GitbatchError):
    """Objects that are needed are not in this clone, and were not fetched."""


class Promised(Struct, frozen=True):
    """The remote of a partial clone, and whether it may be asked."""

    remote: str
    environment: Mapping[str, str]
    """Variables that the user's own git is started with."""
    before: Callable[[str], None] | None = None
    """Called before each fetch with what is about to happen, and may refuse; None: nothing is fetched."""
    config: bytes = b""
    """The repository's own configuration as it was when the process started; empty: git reads it where it is."""


def find_promised(settings: tuple[Setting, ...], inherited: Mapping[str, str]) -> Promised | None:
    """The remote that has promised what is missing; None if this is not a partial clone.

    Args:
        settings: the repository's.
        inherited: the GIT_* variables that this process was started with.
    """
    remotes = [
        setting.key.removeprefix("remote.").removesuffix(".promisor")
        for setting in settings
        if setting.key.startswith("remote.") and is_true(setting.value)
    ]
    recorded = [setting.value for setting in settings if setting.key == "extensions.partialclone"]
    names = [name for name in (*recorded, *remotes) if name and not name.startswith("-")]
    if not names:
        return None
    return Promised(names[0], {k: v for k, v in inherited.items() if k.startswith(_KEPT)})


def require_present(objects: Objects, promised: Promised, commit: str, oids: Iterable[str]) -> None:
    """See that objects are there; fetch those that are not.

    Args:
        objects: where they are looked for.
        promised: the remote.
        commit: the commit that they belong to, for the command that a user is shown.
        oids: which ones.

    Raises:
        PartialCloneError: some are missing, and may or could not be fetched.
    """
    missing = objects.find_missing(dict.fromkeys(oids))
    if missing:
        _fetch(objects, promised, commit, missing)


def require_whole(objects: Objects, promised: Promised, commit: str) -> None:
    """See that everything in a commit is there; fetch what is not.

    Raises:
        PartialCloneError: something is missing, and may or could not be fetched.
    """
    while missing := missing_of(objects.git, commit):
        _fetch(objects, promised, commit, missing)  # what is below a tree is known when it is there


def _fetch(objects: Objects, promised: Promised, commit: str, missing: tuple[str, ...]) -> None:
    count = f"{len(missing)} object{'s' * (len(missing) != 1)}"
    what = (
        f"{count} that the batch needs {'are' if len(missing) != 1 else 'is'} missing in this partial clone"
    )
    if promised.before is None:
        raise PartialCloneError(what, f"fetch them: {_command(promised, commit)}")
    promised.before(f"fetching {count} that this partial clone lacks from {promised.remote}")
    wanted = "".join(f"{oid}\n" for oid in missing).encode()
    try:
        with _by_config(objects, promised) as environment:
            objects.git.fetch_with_user_config(
                wanted, *_QUIETLY, *_FETCH, "--", promised.remote, extra=environment
            )
    except GitError as error:
        said = [clean_text(line) for line in error.stderr.strip().splitlines() if line.strip()]
        reason = said[-1] if said else "git does not say why"
        raise PartialCloneError(
            f"{what}, and fetching from {promised.remote} failed: {reason}",
            f"fetch them by hand: {_command(promised, commit)}",
            "\n".join(said[-_SHOWN:]),
        ) from error
    left = objects.find_missing(missing)
    if left:
        raise PartialCloneError(
            f"{what}, and {promised.remote} does not have them",
            f"see what it says: {_command(promised, commit)}",
        )


@contextmanager
def _by_config(objects: Objects, promised: Promised) -> Iterator[Mapping[str, str]]:
    """The variables of a git that fetches: where agents may run, in a git directory with the configuration of the start.

    The repository's own names programs too, and an agent without a sandbox could change it right before.
    """
    if not promised.config:
        yield promised.environment
        return
    own = objects.folder.parent / "gitbatch"
    own.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=own, ignore_cleanup_errors=True) as made:
        Path(made, "refs").mkdir()
        Path(made, "HEAD").write_text("ref: refs/heads/none\n", encoding="utf-8")
        Path(made, "config").write_bytes(promised.config)
        yield {**promised.environment, "GIT_DIR": made, "GIT_OBJECT_DIRECTORY": str(objects.folder)}


def _command(promised: Promised, commit: str) -> str:
    """A command for a shell that fetches everything that is missing of a commit."""
    listed = f"{_LIST} {commit} | sed -n 's/^?//p'"
    options = " ".join(option for option in _FETCH if option != "--quiet")
    return f"{listed} | git -c fetch.negotiationAlgorithm=noop {options} -- {promised.remote}"
