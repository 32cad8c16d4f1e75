"""One job: the agent in a worktree of what was sent, and the frames of its result, which go into the spool."""

import os
from collections.abc import Callable, Iterator

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from gitbatch.agents.pool import AgentPool
from gitbatch.agents.protocol import Agent, Failure, OutputStream, Reply
from gitbatch.agents.secrets import Secrets
from gitbatch.batch.executor.frames import pack_frame
from gitbatch.batch.executor.message_codec import encode_message
from gitbatch.batch.executor.messages import (
    CHUNK_BYTES,
    MOST_PATHS,
    PATH_CHARACTERS,
    PATHS_AT_ONCE,
    FromWorker,
    ItemJob,
    JobChanges,
    JobChunk,
    JobEvent,
    JobResult,
    JobUsage,
    SentSecrets,
)
from gitbatch.batch.executor.sent_answers import send_answer, send_usage
from gitbatch.batch.worker.repository_copy import RepositoryCopy
from gitbatch.batch.worker.spool import Spool
from gitbatch.batch.workplace.protocol import Collected, OutputSource, WorkplaceChanges
from gitbatch.concurrency import shielded
from gitbatch.errors import GitbatchError, GitError
from gitbatch.fs.disk import DiskError
from gitbatch.fs.nofollow import describe_open_error
from gitbatch.fs.room import require_room
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import FREE, Usage
from gitbatch.project.agent_kinds import find_kind
from gitbatch.project.agent_table import AgentTable
from gitbatch.project.config import Config
from gitbatch.text import CleanText, clean_text

Send = Callable[[FromWorker], None]
_LONGEST_LINE = 4_000
_OF_MACHINE = frozenset({Cause.DISK, Cause.FATAL, Cause.LOST})
_LONGEST_PATH = 4_096


class JobRefusedError(Exception):
    """This machine lacks what the agent of a job needs. The message is one line."""


class JobTools(Struct, frozen=True):
    """What the jobs of a worker share."""

    copy: RepositoryCopy
    pool: AgentPool
    spool: Spool
    sent: frozenset[str] = frozenset()
    """The variables whose values are the orchestrator's, and are nowhere but in memory."""
    _tables: dict[bytes, AgentTable] = field(default_factory=dict)

    def add_secrets(self, given: SentSecrets) -> "JobTools":
        """Returns the tools with the keys that the orchestrator has sent: they count more than those of this machine."""
        values = {each.name: each.value for each in given.values}
        whole = {**self.pool.environment, **values}
        left = {name: value for name, value in whole.items() if value or name not in values}
        return replace(self, pool=replace(self.pool, environment=left, _made={}), sent=frozenset(values))

    def open_agent(self, job: ItemJob) -> tuple[Agent, Secrets]:
        """Returns the agent of a job, and the values that it may not write anywhere.

        Raises:
            JobRefusedError: it cannot work here.
        """
        try:
            table = self._tables.get(job.table) or read_agent_table(job.table)
            self._tables[job.table] = table
            config = Config(agents={job.agent: table})
            # A program of the worktree may be there.
            agent = self.pool.require_usable(job.agent, config, lambda _: True)
        except GitbatchError as error:
            raise JobRefusedError(_describe_error(error)) from error
        if job.cost_left is not None and not agent.knows_cost:
            raise JobRefusedError("the agent does not report its cost here, and the batch has a limit of it")
        if job.tokens_left is not None and not agent.knows_usage:
            raise JobRefusedError(
                "the agent does not report its tokens here, and the batch has a limit of them"
            )
        return agent, Secrets.from_environment(self.pool.environment, {*table.secret_variables, *self.sent})


class JobOutput(Struct, frozen=True):
    """The bytes of the output, or why there are none."""

    size: int | None = None
    data: bytes = b""
    problem: str = ""


def read_agent_table(encoded: bytes) -> AgentTable:
    """Returns the settings of an agent as the orchestrator has sent them.

    Raises:
        GitbatchError: this worker does not know them.
    """
    try:
        named = msgspec.json.decode(encoded, type=dict[str, msgspec.Raw]).get("kind", msgspec.Raw(b'""'))
        kind = find_kind(msgspec.json.decode(named, type=str))
        if kind:
            return msgspec.json.decode(encoded, type=kind.table)
    except msgspec.DecodeError as error:
        raise GitbatchError(f"this worker cannot read the settings of the agent: {error}") from error
    raise GitbatchError(
        "this worker does not have the kind of the agent", "install the package that brings it"
    )


async def run_job(
    tools: JobTools, job: ItemJob, send: Send, is_stopping: Callable[[], bool] = lambda: False
) -> tuple[bytes, ...]:
    """Runs an agent, and puts what came of it into the spool. Cancelling the call ends every process of the agent.

    Args:
        tools: what the jobs share.
        job: the agent, and what it is to do.
        send: takes each line that the agent prints.
        is_stopping: whether the worker is asked to stop.

    Raises:
        JobRefusedError: this machine lacks what the agent needs; nothing has begun.

    Returns:
        The frames of the result, if it is not kept: the disk is full, or the machine cannot work. Else none.
    """
    workplace, answer, collected = None, None, None
    agent, secrets = tools.open_agent(job)
    copy = tools.copy
    try:
        try:
            require_room(copy.folder)
            workplaces = await copy.open_base(job.setup)
            workplace = workplaces.open_workplace(job.batch, job.slug, job.agent)
            await workplace.prepare(job.setup)
            report = _reporting(job.token, send) if job.counts_usage else None
            tools.pool.budget.begin_job(job.assignment.item, job.cost_left, job.tokens_left, report)
            show = secrets.mask_progress(_sending(job, send))
            answer = secrets.mask_answer(await workplace.work(agent, job.assignment, show))
            answer = _blame_stop(answer) if is_stopping() else answer
            require_room(copy.folder)  # if not, the output proves nothing
            collected = await shielded(workplace.collect())
        except (GitbatchError, OSError) as error:
            answer = fail_job(error, answer)
        return await shielded(copy.git(_spool_result, tools.spool, job, answer, collected, secrets))
    finally:
        if (
            workplace
        ):  # the branch stays: another attempt at the item replaces it, and the copy is removed as a whole
            await shielded(workplace.discard())


def _blame_stop(answer: Reply | Failure) -> Reply | Failure:
    """Returns a failure as that of the machine: SLURM, for example, signals the agents too when it asks a worker to stop."""
    if isinstance(answer, Reply) or answer.cause is not Cause.FAILED:
        return answer
    reason = clean_text(f"it was asked to stop while the agent worked ({answer.reason})")
    return replace(answer, reason=reason, cause=Cause.LOST)


def _sending(job: ItemJob, send: Send) -> Callable[[OutputStream, CleanText], None]:
    def show_line(stream: OutputStream, line: CleanText) -> None:
        send(JobEvent(job.token, stream, line[:_LONGEST_LINE]))

    return show_line


def _reporting(token: str, send: Send) -> Callable[[Usage], None]:
    def report_usage(
        usage: Usage,
    ) -> None:  # the model is named by the result, after the keys in it were hidden
        send(JobUsage(token, replace(send_usage(usage), model="")))

    return report_usage


def fail_job(error: GitbatchError | OSError, answer: Reply | Failure | None) -> Failure:
    """Returns the failure of a job that this machine could not do; what the agent has used before that counts.

    `answer`: the agent's; None: it has not started.
    """
    usage = answer.usage if answer else FREE
    is_of_machine = isinstance(error, OSError | GitError | DiskError)
    cause = Cause.DISK if is_of_machine else Cause.FATAL  # the first: another worker may be able to
    said = _describe_error(error) if isinstance(error, GitbatchError) else str(error)
    return Failure(clean_text(said), cause=cause, usage=usage)


def _describe_error(error: GitbatchError) -> str:
    """Returns an error as one line."""
    return f"{error.message} ({error.advice})" if error.advice else error.message


def _spool_result(
    spool: Spool, job: ItemJob, answer: Reply | Failure, collected: Collected | None, secrets: Secrets
) -> tuple[bytes, ...]:
    def make_frames() -> Iterator[bytes]:
        messages = list_messages(job, answer, collected, secrets)
        return (pack_frame(encode_message(message)) for message in messages)

    if isinstance(answer, Failure) and answer.cause in _OF_MACHINE:
        return tuple(make_frames())  # it says nothing about the job, and may be different the next time
    try:
        with spool.writing(job.token) as descriptor, open(descriptor, "wb", closefd=False) as file:
            file.writelines(make_frames())
    except OSError:  # it is paid for: what a full disk cannot keep is sent all the same
        return tuple(make_frames())
    return ()


def list_messages(
    job: ItemJob, answer: Reply | Failure, collected: Collected | None, secrets: Secrets
) -> Iterator[FromWorker]:
    """Yields the messages of a result: the changed paths, the bytes of the output, and the end."""
    if collected is None:
        yield JobResult(job.token, send_answer(answer), is_gone=isinstance(answer, Reply))
        return
    yield from _list_changes(job, collected.changes, secrets)
    output = _read_output(collected.output, job.most_bytes)
    if names := secrets.found_by(lambda forms: _holds_any(output.data, forms)):
        reason = clean_text(f"the output holds the value of {', '.join(names)}")
        answer, output = Failure(reason, cause=Cause.LEAK, usage=answer.usage), JobOutput()
    for start in range(0, len(output.data), CHUNK_BYTES):
        yield JobChunk(job.token, output.data[start : start + CHUNK_BYTES])
    yield JobResult(job.token, send_answer(answer), output.size, output.problem)


def _read_output(source: OutputSource, most: int) -> JobOutput:
    """Returns the output; of one that is larger than allowed, only its size."""
    try:
        with source() as (descriptor, size):
            if size > most:
                return JobOutput(size)
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(most + 1)
            return JobOutput(len(data), data if len(data) <= most else b"")
    except FileNotFoundError:
        return JobOutput()
    except OSError as error:
        return JobOutput(problem=describe_open_error(error))


def _holds_any(data: bytes, forms: tuple[str, ...]) -> bool:
    return any(form.encode(errors="surrogateescape") in data for form in forms)


def _list_changes(job: ItemJob, changes: WorkplaceChanges, secrets: Secrets) -> Iterator[FromWorker]:
    """Yields the changed paths, as many as may be sent: first those that decide about the item."""
    left, characters = MOST_PATHS, PATH_CHARACTERS
    for name in ("removed", "written", "replaced", "deleted"):
        paths = []
        for path in sorted(getattr(changes, name), key=lambda path: path not in job.setup.guarded):
            shown = _make_sendable(path if path == job.setup.output else secrets.mask_text(path))
            left, characters = left - 1, characters - len(shown)
            if left < 0 or characters < 0:
                break
            paths.append(shown)
        for start in range(0, len(paths), PATHS_AT_ONCE):
            yield JobChanges(job.token, **{name: tuple(paths[start : start + PATHS_AT_ONCE])})


def _make_sendable(path: str) -> str:
    """Returns a path as UTF-8 can have it: it is text for people, and compared with paths that are UTF-8."""
    return os.fsencode(path).decode(errors="replace")[:_LONGEST_PATH]
