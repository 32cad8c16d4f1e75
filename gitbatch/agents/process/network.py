"""The network of an agent's program: what its table asks for, what its sandbox can give, and what the header says of it."""

# ruff: noqa: PLC0415 - many programs have neither a key that is known nor our proxy, whose rules take a while to import

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from gitbatch.agents.process.environment import passed_variables
from gitbatch.agents.process.table import ProcessTable
from gitbatch.errors import GitbatchError
from gitbatch.sandbox.model import Network, Sandbox, SandboxKind
from gitbatch.text import CleanText, clean_text

if TYPE_CHECKING:
    from gitbatch.agents.process.api_access import ApiAccess, FoundKey

_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
_NO_HOST = "no host: list those that it needs in allow-hosts"


class AgentNetwork(Struct, frozen=True):
    """The network of the programs of one agent."""

    kind: Network = Network.NONE
    access: "ApiAccess | None" = None
    """What a program with the network `api` may reach."""
    notes: tuple[CleanText, ...] = ()
    """Lines for the header of a run."""

    @property
    def counts_usage(self) -> bool:
        """Whether the proxy reads the answers of the model, and counts what they used."""
        return self.access is not None and bool(self.access.base.origin)

    @property
    def counts_cost(self) -> bool:
        """Whether the cost of what is counted is known too."""
        program = self.access.program if self.access else None
        return self.counts_usage and program is not None and program.has_prices


def open_network(
    agent: str,
    table: ProcessTable,
    environment: Mapping[str, str],
    sandbox: Sandbox,
    key: "FoundKey | None" = None,
    address: str = "",
) -> AgentNetwork:
    """Returns the network of an agent's programs.

    Args:
        agent: its name.
        table: its settings.
        environment: the user's.
        sandbox: the sandbox of its programs.
        key: its key; None: the one that its table passes, if it is known which that is.
        address: of its server; empty: as its table passes it.

    Raises:
        GitbatchError: the table asks for `api` or a hidden key by name, which is impossible here; or the proxy cannot
            be used with these settings.
    """
    kind, why = _choose_network(agent, table, sandbox)
    program = table.api_program
    if program:
        from gitbatch.agents.process.api_access import find_passed_key
        from gitbatch.agents.process.api_programs import narrow_program

        program = narrow_program(program, passed_variables(table, environment))
        key = key or find_passed_key(program, table, environment)
    if kind is not Network.API:
        if table.key == "proxy":
            raise GitbatchError(
                f"agent {agent}: its key cannot be kept out: network = {kind}" + (f" ({why})" if why else ""),
                'write key = "environment", or remove it',
            )
        notes = _describe_open_network(agent, table, environment, kind, why)
        if key is not None and kind is Network.ALL:
            from gitbatch.agents.process.api_access import describe_given_key

            notes.append(describe_given_key(agent))
        return AgentNetwork(kind, None, tuple(notes))
    from gitbatch.agents.process.api_access import find_api_access, find_passed_address

    if program:
        address = address or find_passed_address(program, table, environment)
    access = find_api_access(agent, table, environment, program, key, address)
    hosts = ", ".join(_list_hosts(access)) or _NO_HOST
    note = clean_text(f"agent {agent}: network: api ({hosts})")
    return AgentNetwork(kind, access, (note, *access.notes))


def _choose_network(agent: str, table: ProcessTable, sandbox: Sandbox) -> tuple[Network, str]:
    """Returns the network, and why it is not the one that the table asks for."""
    wanted = Network.of_setting(table.wanted_network)
    if wanted is Network.ALL:
        return wanted, ""
    problem = ""
    if wanted is Network.API:
        from gitbatch.sandbox.network import find_network_problem

        problem = find_network_problem(sandbox)
    if problem and table.network == "api":
        raise GitbatchError(
            f'agent {agent}: network = "api" is impossible: {problem}',
            f"set network = true in [agents.{agent}] to let it reach everything, or false",
        )
    if problem or sandbox.kind is SandboxKind.NONE:
        return Network.ALL, problem or "no sandbox"
    return wanted, ""


def _describe_open_network(
    agent: str, table: ProcessTable, environment: Mapping[str, str], kind: Network, why: str
) -> list[CleanText]:
    """Returns the lines about a network without a proxy of ours; none for a program that asks for no network."""
    if not (table.wanted_network or table.default_network):
        return []
    notes = [f"agent {agent}: network: {kind}" + (f" ({why})" if why else "")]
    passed = passed_variables(table, environment)
    proxy = next((name for name in _PROXIES if environment.get(name)), "")
    if kind is Network.ALL and proxy and passed.keys().isdisjoint(_PROXIES):
        notes.append(f"agent {agent}: {proxy} is set and not passed: add it to public-env if it is needed")
    return list(map(clean_text, notes))


def _list_hosts(access: "ApiAccess") -> tuple[str, ...]:
    """Returns the hosts that can be reached, without the path of an address."""
    rules = access.base
    origin = (urlsplit(rules.origin).netloc,) if rules.origin else ()
    return tuple(dict.fromkeys((*origin, *rules.hosts, *rules.named_hosts)))
