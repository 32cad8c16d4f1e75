"""The repository of a trial: a plan with one tiny item, and the table of the agent that is tried."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from tempfile import mkdtemp

import msgspec
from msgspec import Struct

from gitbatch.agents.process.table import ProcessTable
from gitbatch.agents.survey.survey import SurveyedProject
from gitbatch.batch.caller import SessionSettings
from gitbatch.batch.history.ledger import SpendingLimits
from gitbatch.batch.model import CheckpointMode, PauseMode
from gitbatch.fs.temporary import temporary_folder
from gitbatch.plan.duration import parse_duration
from gitbatch.project.agent_table import AgentTable
from gitbatch.project.config import CONFIG_FILE, parse_config
from gitbatch.project.control import PLAN_FILE
from gitbatch.repo.sample import make_repository

OUTPUT = "trial/hello.md"
OTHER_FILE = "trial/other.md"
TRIAL_FOLDERS = "trial-"
"""The beginning of the names of the folders of trials that are removed at the end."""
MAX_COST = 0.25
"""US dollars that a trial may cost, if its agent reports its cost."""
_TIMEOUT = "5m"
_LONGEST_WAIT = 1.5
"""Seconds: a server that is busy is asked twice."""
_PATIENCE = 2.0
"""Seconds: some programs name such a short wait each time that it would be asked for half an hour."""
_MOST_BYTES = 4 * 1024 * 1024
"""The size of a program in the user's repository that is copied."""
_PLAN = f"""\
# Try an agent

## Work Packages

### Trial

This is a test of your tools and permissions, asked for by the user. Do these two things in this order, and nothing else:

1. Try once to write the file `{OTHER_FILE}`, with the word `no` in it. It is expected that this is denied. Then continue; do
   not try it in another way.
2. Write the file `{OUTPUT}`, with the line `Hello from the agent.` in it.

- [ ] T1 Say hello → Output: {OUTPUT}
"""


class TrialFolder(Struct, frozen=True):
    """The folder of a trial."""

    folder: Path

    @property
    def repository(self) -> Path:
        """The repository."""
        return self.folder / "repository"

    def make_settings(self, environment: Mapping[str, str], *, knows_cost: bool) -> SessionSettings:
        """Returns the settings of the session that runs the item. Its layers are in the folder, and go with it.

        Args:
            environment: the user's.
            knows_cost: the agent reports its cost, so that a limit can be kept.
        """
        return SessionSettings(
            environment=environment,
            cache_dir=self.folder / "cache",
            worktrees=self.folder / "worktrees",
            items="all",
            checkpoint=CheckpointMode(PauseMode.AT_END),
            limits=SpendingLimits(max_cost=MAX_COST) if knows_cost else SpendingLimits(),
            longest_wait=_LONGEST_WAIT,
            patience=_PATIENCE,
        )


@contextmanager
def trial_repository(
    project: SurveyedProject, name: str, cache_dir: Path, *, keep: bool = False
) -> Iterator[TrialFolder]:
    """Makes a repository to try an agent in, and removes it afterwards.

    Args:
        project: the configuration that has the agent.
        name: of the agent.
        cache_dir: the repository is made in it.
        keep: it is not removed.
    """
    with _make_folder(cache_dir, keep=keep) as folder:
        tree, table = folder / "tree", project.config.agents[name]
        tree.mkdir()
        (tree / PLAN_FILE).write_text(_PLAN, encoding="utf-8")
        (tree / CONFIG_FILE).write_text(render_config(name, table), encoding="utf-8")
        _copy_programs(project.root, table, tree)
        trial = TrialFolder(folder)
        make_repository(trial.repository, tree, message="Try an agent")
        shutil.rmtree(tree)
        yield trial


def _make_folder(cache_dir: Path, *, keep: bool) -> AbstractContextManager[Path]:
    if not keep:
        return temporary_folder(cache_dir, TRIAL_FOLDERS)
    cache_dir.mkdir(parents=True, exist_ok=True)
    return nullcontext(Path(mkdtemp(prefix="tried-", dir=cache_dir)))


def render_config(name: str, table: AgentTable) -> str:
    """Returns the text of a gitbatch.toml that has one agent, tried once and not for long.

    Args:
        name: of the agent.
        table: its settings.
    """
    settings = msgspec.to_builtins(table)
    if (parse_duration(table.timeout) or 0.0) > (parse_duration(_TIMEOUT) or 0.0):
        settings["timeout"] = _TIMEOUT
    lines = (f"{_quote(key)} = {_encode(value)}" for key, value in settings.items() if value is not None)
    batch = f"[batch]\nagent = {_quote(name)}\njobs = 1\nretries = 0\n"
    text = "\n".join((batch, f"[agents.{_quote(name)}]", *lines, ""))
    parse_config(text.encode())
    return text


def _encode(value: object) -> str:
    """Returns a value as TOML."""
    if isinstance(value, Mapping):
        pairs = (f"{_quote(key)} = {_encode(inner)}" for key, inner in value.items() if inner is not None)
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_encode, value))}]"
    return _quote(value) if isinstance(value, str) else json.dumps(value)


def _quote(text: str) -> str:
    """Returns a text as a string of TOML, which has the escapes of JSON and forbids one character more."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _copy_programs(root: Path, table: AgentTable, tree: Path) -> None:
    """Copies the files of the user's repository that the command of an agent names by relative paths."""
    program, *arguments = table.command_line if isinstance(table, ProcessTable) else ("",)
    for word in (program if "/" in program else "", *arguments):
        path = word.removeprefix("{worktree}/").removeprefix("./")
        if not path or path.startswith("/") or ".." in Path(path).parts:
            continue
        source, target = root / path, tree / path
        if source.is_file() and source.stat().st_size <= _MOST_BYTES and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
