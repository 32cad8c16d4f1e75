"""Fetches the objects that a partial clone (`git clone --filter=…`) has left on its remote.

Git processes of ours have no network and never fetch by themselves. So the missing objects that a run needs are found
before and fetched together: with the user's own git and configuration, from the remote that the clone recorded as its
promisor, without tags, submodules or hooks. In a clone that is not partial, a missing object is damage.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from gitbatch.errors import GitbatchError, GitError, find_reason
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.objects.walk import missing_of
from gitbatch.repo.refs.lock_files import TEMPORARY
from gitbatch.repo.settings import Setting, is_true
from gitbatch.text import clean_text

_KEPT = (
    *("GIT_CONFIG", "GIT_SSH", "GIT_ASKPASS", "GIT_PROXY", "GIT_HTTP", "GIT_SSL", "GIT_CURL"),
    *("GIT_ALLOW_PROTOCOL", "GIT_PROTOCOL"),
)
"""Prefixes of the variables that tell how the user connects to a remote."""
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
    """Needed objects are missing in this clone, and were not fetched."""


class Promised(Struct, frozen=True):
    """The remote of a partial clone, and whether it may be fetched from."""

    remote: str
    environment: Mapping[str, str]
    """Variables for the user's own git."""
    before: Callable[[str], None] | None = None
    """Called with a notice before each fetch, and may refuse it by raising; None: nothing is fetched."""
    config: bytes = b""
    """The repository's own configuration, read when the process started; empty: git reads the current one."""


def find_promised(settings: tuple[Setting, ...], inherited: Mapping[str, str]) -> Promised | None:
    """Returns the promisor remote of a partial clone; None: the clone is not partial.

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
    """Fetches those objects that are missing.

    Args:
        objects: the object store.
        promised: the remote.
        commit: the commit that they belong to, for the command that a user is shown.
        oids: of the objects.

    Raises:
        PartialCloneError: some are missing, and may or could not be fetched.
    """
    missing = objects.find_missing(dict.fromkeys(oids))
    if missing:
        _fetch_missing(objects, promised, commit, missing)


def require_whole(objects: Objects, promised: Promised, commit: str) -> None:
    """Fetches all objects of a commit that are missing.

    Raises:
        PartialCloneError: something is missing, and may or could not be fetched.
    """
    while missing := missing_of(objects.git, commit):
        _fetch_missing(
            objects, promised, commit, missing
        )  # the contents of a tree are only known once it is fetched


def _fetch_missing(objects: Objects, promised: Promised, commit: str, missing: tuple[str, ...]) -> None:
    count = f"{len(missing)} object{'s' * (len(missing) != 1)}"
    what = (
        f"{count} that the batch needs {'are' if len(missing) != 1 else 'is'} missing in this partial clone"
    )
    if promised.before is None:
        raise PartialCloneError(what, f"fetch them: {_fetch_command(promised, commit)}")
    promised.before(f"fetching {count} that this partial clone lacks from {promised.remote}")
    wanted = "".join(f"{oid}\n" for oid in missing).encode()
    try:
        with _fetch_environment(objects, promised) as environment:
            objects.git.fetch_with_user_config(
                wanted, *_QUIETLY, *_FETCH, "--", promised.remote, extra=environment
            )
    except GitError as error:
        answer = [clean_text(line) for line in error.stderr.strip().splitlines() if line.strip()]
        reason = find_reason("\n".join(answer)) or "git gave no reason"
        raise PartialCloneError(
            f"{what}, and fetching from {promised.remote} failed: {reason}",
            f"fetch them by hand: {_fetch_command(promised, commit)}",
            "\n".join(answer[-_SHOWN:]),
        ) from error
    left = objects.find_missing(missing)
    if left:
        raise PartialCloneError(
            f"{what}, and {promised.remote} does not have them",
            f"try it by hand: {_fetch_command(promised, commit)}",
        )


@contextmanager
def _fetch_environment(objects: Objects, promised: Promised) -> Iterator[Mapping[str, str]]:
    """Yields the variables for a fetch; if agents may run, in a git directory with the configuration of the start.

    The repository's own configuration names programs, too, and an agent without a sandbox could change it right before.
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


def _fetch_command(promised: Promised, commit: str) -> str:
    """Returns a shell command that fetches all missing objects of a commit."""
    listed = f"{_LIST} {commit} | sed -n 's/^?//p'"
    options = " ".join(option for option in _FETCH if option != "--quiet")
    return f"{listed} | git -c fetch.negotiationAlgorithm=noop {options} -- {promised.remote}"
