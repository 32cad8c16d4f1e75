"""How the programs of one agent reach their model through the proxy: by which rules, with the key or a placeholder."""

import json
import ssl
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from msgspec import Struct

from gitbatch.agents.json_text import parse_json
from gitbatch.agents.process.api_programs import ApiProgram
from gitbatch.agents.process.environment import passed_variables
from gitbatch.agents.process.table import ProcessTable
from gitbatch.agents.secrets import SHORTEST
from gitbatch.api_proxy.judgement import encode_host
from gitbatch.api_proxy.rules import ProxyKey, ProxyRules
from gitbatch.api_proxy.user_proxy import read_user_proxies
from gitbatch.errors import GitbatchError
from gitbatch.text import CleanText, clean_text

_CERTIFICATES = ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
"""The variables of files with certificates of the user's network."""


class FoundKey(Struct, frozen=True):
    """The key that an agent uses, and the variable that has it."""

    variable: str
    value: str

    def __repr__(self) -> str:
        """Returns the variable: a value in a traceback would be in a file."""
        return f"FoundKey({self.variable})"


class ApiAccess(Struct, frozen=True):
    """The rules for every start of an agent's program; the placeholder is new for each."""

    base: ProxyRules
    """Without a key."""
    program: ApiProgram | None = None
    key: FoundKey | None = None
    is_hidden: bool = False
    """Whether the proxy puts the key on."""
    notes: tuple[CleanText, ...] = ()
    """Lines for the header of a run."""

    def make_rules(self) -> ProxyRules:
        """Returns the rules for one start."""
        if not self.base.origin or self.program is None:
            return self.base
        key = ProxyKey("", "")
        if self.key and self.is_hidden:
            key = ProxyKey.hide_value(self.key.value, self.program.key_variables.get(self.key.variable, ""))
        elif self.key:
            key = ProxyKey(self.key.value, self.key.value)
        return ProxyRules(
            self.base.hosts,
            self.base.named_hosts,
            self.base.origin,
            self.base.routes,
            key,
            self.base.proxies,
            self.base.certificates,
        )

    def hide_key(self, variables: Mapping[str, str], rules: ProxyRules, address: str) -> dict[str, str]:
        """Returns the variables of a program with the address of the proxy, and without the key.

        Args:
            variables: all that the program would get.
            rules: those of this start.
            address: of the proxy as the program sees it, such as `http://127.0.0.1:3128`.
        """
        if not rules.origin or self.program is None:
            return dict(variables)
        changed = dict(variables)
        if self.program.address_variable:
            changed[self.program.address_variable] = address
        if self.program.address_setting:
            name = self.program.own_settings
            changed[name] = _add_setting(changed.get(name, ""), self.program.address_setting, address)
        if self.key and rules.key and self.is_hidden:
            if len(self.key.value) >= SHORTEST:  # a shorter one is a word, which other values have too
                hidden = rules.key.placeholder
                changed = {name: value.replace(self.key.value, hidden) for name, value in changed.items()}
            others = self.program.key_variables.keys() - {
                self.key.variable
            }  # it could send one of these instead
            changed = {name: value for name, value in changed.items() if name not in others}
            changed[self.key.variable] = rules.key.placeholder
        return changed

    def set_address(self, arguments: Sequence[str], rules: ProxyRules, address: str) -> list[str]:
        """Returns the command line of a program, with the address of the proxy if that is set by arguments."""
        program, *rest = arguments
        added = self.program.address_arguments if rules.origin and self.program else ()
        return [program, *(each.replace("{address}", address) for each in added), *rest]


def _add_setting(settings: str, name: str, value: str) -> str:
    """Returns settings in JSON with one more; what is not an object of JSON is dropped."""
    known = parse_json(settings)
    return json.dumps({**(known if isinstance(known, dict) else {}), name: value})


def find_passed_key(
    program: ApiProgram, table: ProcessTable, environment: Mapping[str, str]
) -> FoundKey | None:
    """Returns the key that a program is given by its table: of the first variable that may have it and is set."""
    passed = passed_variables(table, environment)
    found = ((name, passed.get(name, "").strip()) for name in program.key_variables)
    return next((FoundKey(name, value) for name, value in found if value), None)


def find_passed_address(program: ApiProgram, table: ProcessTable, environment: Mapping[str, str]) -> str:
    """Returns the address of the server that a program is given by its table; empty: its own."""
    return passed_variables(table, environment).get(program.address_variable, "").strip()


def find_api_access(
    agent: str,
    table: ProcessTable,
    environment: Mapping[str, str],
    program: ApiProgram | None,
    key: FoundKey | None = None,
    address: str = "",
) -> ApiAccess:
    """Returns how the programs of an agent with the network `api` reach their model.

    Args:
        agent: its name, for errors and notes.
        table: its settings.
        environment: the user's.
        program: what is known of its program; None: nothing, so only the hosts of `allow-hosts` can be reached.
        key: its key, if it has one.
        address: the address of the server that the user has set for it; empty: its own.

    Raises:
        GitbatchError: the key cannot be kept out, and has to be; or a proxy or an address cannot be used.
    """
    proxies = read_user_proxies(environment)
    certificates = tuple(path for name in _CERTIFICATES if (path := environment.get(name)))
    named = tuple(map(encode_host, table.allow_hosts))
    problem = _find_problem(program, key)
    if table.key == "proxy" and problem:
        raise GitbatchError(
            f"agent {agent}: its key cannot be kept out: {problem}", 'write key = "environment", or remove it'
        )
    if program is None:
        return ApiAccess(ProxyRules((), named, proxies=proxies, certificates=certificates))
    is_hidden = table.key != "environment" and not problem
    server = address or program.address
    scheme, host = _split_address(agent, server) if server else ("", "")
    if is_hidden and scheme == "https":
        _require_certificates(agent, environment)
    if is_hidden or scheme == "http":
        rules = ProxyRules((), named, server, program.routes, None, proxies, certificates)
    else:
        of_address = (host,) if address else ()
        rules = ProxyRules(program.hosts, (*named, *of_address), "", (), None, proxies, certificates)
    notes = () if is_hidden or key is None else (describe_given_key(agent, problem),)
    return ApiAccess(rules, program, key, is_hidden, notes)


def _require_certificates(agent: str, environment: Mapping[str, str]) -> None:
    """Raises an error if a file of certificates cannot be read: each request would fail, as if there were no connection."""
    for name in _CERTIFICATES:
        path = environment.get(name)
        try:
            if path:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except OSError as error:
            raise GitbatchError(
                f"agent {agent}: {name} names no certificates: {path}",
                f"unset {name}, or let it name a file of certificates (PEM)",
            ) from error


def describe_given_key(agent: str, problem: str = "") -> CleanText:
    """Returns a line about a key that is given to the program."""
    return clean_text(f"agent {agent}: key: in its environment" + (f" ({problem})" if problem else ""))


def _find_problem(program: ApiProgram | None, key: FoundKey | None) -> str:
    """Returns why a key cannot be kept out; empty if it can."""
    if program is None or not program.can_hide_key:
        return "the address of its server cannot be set from outside"
    return "" if key else "it has none"


def _split_address(agent: str, address: str) -> tuple[str, str]:
    """Returns the scheme of the address of a server, and its host with its port."""
    try:
        parts = urlsplit(address)
        host = encode_host(parts.netloc) if parts.scheme == "https" else parts.hostname or ""
        is_valid = (
            parts.scheme in {"http", "https"} and parts.port != 0 and not (parts.query or "@" in parts.netloc)
        )
        if host and is_valid:
            return parts.scheme, host
    except ValueError:
        pass
    raise GitbatchError(
        f"agent {agent}: invalid base URL", "write it as https://host/path, without a password"
    )
