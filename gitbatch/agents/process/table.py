"""The settings of every kind of agent that is a process."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from gitbatch.agents.process.environment import secret_names
from gitbatch.project.agent_table import AgentTable, Positive, host_path_problem

if TYPE_CHECKING:  # many agents have no program whose way to its model is known
    from gitbatch.agents.process.api_programs import ApiProgram

_WITHOUT_PROXY = 'it has a meaning with network = "api" only'


class Reports(NamedTuple):
    """What is known of the use of an attempt, by what the program says or by the proxy that counts it."""

    usage: bool = False
    """Its tokens."""
    cost: bool = False


class ProcessTable(AgentTable, frozen=True, kw_only=True):
    """An agent that is a program: it is started once for each item, in the item's worktree."""

    pass_env: tuple[str, ...] = ()
    """Names of environment variables that the program gets in addition to the usual ones; their values are secret."""
    public_env: tuple[str, ...] = ()
    """As `pass_env`, for values that are not secret: a model's name, a server's address."""
    sandbox: Literal["auto", "bubblewrap", "landlock", "seatbelt", "none"] = "auto"
    """`auto`: the best that works here, and an error where none does; `none` must be asked for by name."""
    network: Literal["api"] | bool | None = None
    """`api`: the hosts of its kind only, by a proxy; `true`: everything; `false`: nothing; None: `default_network`."""
    allow_hosts: tuple[str, ...] = ()
    """Hosts that a program with the network `api` may reach besides those of its kind: `name` or `name:port`."""
    key: Literal["proxy", "environment"] | None = None
    """`proxy`: the program gets a placeholder, and the proxy of the network `api` puts the key on its requests; None:
    so where that is possible."""
    needs: tuple[str, ...] = ()
    """Paths that it may read besides the system's, the repository's and its tools'; `~` is the home folder."""
    max_file_bytes: Positive = 1024 * 1024 * 1024
    max_scratch_bytes: Positive = 4 * 1024 * 1024 * 1024

    @property
    def is_program(self) -> bool:
        """It is one."""
        return True

    @property
    def api_program(self) -> "ApiProgram | None":
        """What is known of how the program reaches its model; None: nothing."""
        return None

    @property
    def own_reports(self) -> Reports:
        """What the program itself reports. A kind may know it."""
        return Reports()

    @property
    def reports(self) -> Reports:
        """What is known of its use where its key is set, and the proxy works."""
        own, program = self.own_reports, self.api_program
        is_counted = program is not None and self.wanted_network == "api" and self.key != "environment"
        if program is None or not is_counted or not program.can_hide_key:
            return own
        return Reports(usage=True, cost=own.cost or program.has_prices)

    @property
    def cost_limit(self) -> float | None:
        """The most US dollars for an item; None: no limit. A kind may have a setting for it."""
        return None

    @property
    def command_line(self) -> tuple[str, ...]:
        """The program and its arguments, as they are configured. A kind has settings for it."""
        return ()

    @property
    def denies_other_files(self) -> bool:
        """Whether the program has a rule of its own by which it writes its output only."""
        return False

    @property
    def default_network(self) -> Literal["api"] | bool:
        """The network if the table does not say it. A kind whose programs need a model has another."""
        return False

    @property
    def wanted_network(self) -> Literal["api"] | bool:
        """The network that is asked for."""
        return self.default_network if self.network is None else self.network

    @property
    def strict(self) -> bool:
        """Whether its output is the only file of the worktree that it may write. A kind may make it a setting."""
        return False

    @property
    def writable(self) -> tuple[str, ...]:
        """Paths that it may write besides its worktree. A kind may make it a setting."""
        return ()

    @property
    def fixed_variables(self) -> Mapping[str, str]:
        """Variables with their values, which replace those of the user. A kind may make it a setting."""
        return {}

    @property
    def secret_variables(self) -> tuple[str, ...]:
        """The variables of `pass_env` that are not passed to every program, nor said to be public."""
        return secret_names(self.pass_env, self.public_env)

    def find_problems(self) -> Iterator[tuple[str, str | None]]:
        """Yields the settings to check: the paths too."""
        yield from super().find_problems()
        for name, paths in (("needs", self.needs), ("writable", self.writable)):
            yield from ((name, host_path_problem(path)) for path in paths)
        yield from (("allow-hosts", _host_problem(host)) for host in self.allow_hosts)
        if self.wanted_network != "api":
            yield "allow-hosts", _WITHOUT_PROXY if self.allow_hosts else None
            yield "key", _WITHOUT_PROXY if self.key == "proxy" else None


def _host_problem(host: str) -> str | None:
    from gitbatch.api_proxy.judgement import encode_host  # noqa: PLC0415 - most tables list no host

    try:
        encode_host(host)
    except ValueError:
        return f"{host!r} is not a host (write name, or name:port)"
    return None
