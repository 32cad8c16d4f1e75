"""How a program reaches its model: by which door, with the key or a placeholder, and what the header says."""

import json
from pathlib import Path

import pytest

from gitbatch.agents.claude_code.table import ClaudeCodeAgent
from gitbatch.agents.command.table import CommandAgent, FormatName
from gitbatch.agents.process.api_access import (
    ApiAccess,
    FoundKey,
    find_api_access,
    find_passed_address,
    find_passed_key,
)
from gitbatch.agents.process.api_programs import (
    CLAUDE,
    FORMATS,
    PROGRAMS,
    ApiProgram,
    narrow_program,
)
from gitbatch.agents.process.table import ProcessTable
from gitbatch.api_proxy.user_proxy import UserProxies
from gitbatch.errors import GitbatchError

KEY = FoundKey("ANTHROPIC_API_KEY", "sk-ant-api03-the-real-one")
PROXY = "http://127.0.0.1:3128"


DIRECT = ClaudeCodeAgent(key="environment", allow_hosts=("Docs.Example", "gw:8443"))


def find_claude(address: str = "", table: ClaudeCodeAgent | None = None) -> ApiAccess:
    return find_api_access("c", table or ClaudeCodeAgent(), {}, CLAUDE, KEY, address)


def test_a_program_gets_a_placeholder_and_the_address_of_the_proxy() -> None:
    access = find_claude()
    rules = access.make_rules()
    assert (rules.origin, rules.hosts, rules.routes) == ("https://api.anthropic.com", (), CLAUDE.routes)
    assert rules.key is not None
    given = {
        "PATH": "/bin",
        "ANTHROPIC_API_KEY": KEY.value,
        "ANTHROPIC_CUSTOM_HEADERS": f"x-api-key: {KEY.value}",
        "ANTHROPIC_BASE_URL": "https://elsewhere",
    }
    changed = access.hide_key(given, rules, PROXY)
    assert KEY.value not in "".join(changed.values())
    assert changed == {
        "PATH": "/bin",
        "ANTHROPIC_API_KEY": rules.key.placeholder,
        "ANTHROPIC_CUSTOM_HEADERS": f"x-api-key: {rules.key.placeholder}",
        "ANTHROPIC_BASE_URL": PROXY,
    }
    assert access.notes == ()
    again = access.make_rules().key
    assert again is not None
    assert again.placeholder != rules.key.placeholder
    assert KEY.value not in repr(access) + repr(rules)


@pytest.mark.parametrize(
    ("variable", "value", "prefix"),
    [
        ("ANTHROPIC_API_KEY", "sk-ant-api03-x", "sk-ant-api03-"),
        ("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-x", "sk-ant-oat01-"),
        ("ANTHROPIC_AUTH_TOKEN", "x", "token-"),
        ("MY_KEY", "sk-ant-api03-x", ""),
    ],
)
def test_a_placeholder_begins_as_the_program_expects(variable: str, value: str, prefix: str) -> None:
    access = find_api_access("c", ClaudeCodeAgent(), {}, CLAUDE, FoundKey(variable, value))
    key = access.make_rules().key
    assert key is not None
    assert key.placeholder.startswith(prefix)
    assert len(key.placeholder) == len(prefix) + 64


def test_with_its_key_a_program_goes_to_the_hosts_of_its_kind() -> None:
    access = find_claude(table=DIRECT)
    rules = access.make_rules()
    assert (rules.origin, rules.key, rules.routes) == ("", None, ())
    assert rules.hosts == ("api.anthropic.com",)
    assert rules.named_hosts == ("docs.example", "gw:8443")
    assert access.hide_key({"ANTHROPIC_API_KEY": KEY.value}, rules, PROXY) == {"ANTHROPIC_API_KEY": KEY.value}
    assert access.notes == ("agent c: key: in its environment",)


def test_a_server_of_the_user_s_own() -> None:
    assert find_claude("https://gw.example:8443/a").make_rules().origin == "https://gw.example:8443/a"
    direct = find_claude("https://gw.example:8443/a", DIRECT).make_rules()
    assert direct.named_hosts == ("docs.example", "gw:8443", "gw.example:8443")
    # A server on this machine is outside of the program's network: it is reached through the proxy, with the real key.
    local = find_claude("http://127.0.0.1:4000", DIRECT)
    rules = local.make_rules()
    assert (rules.origin, rules.key and rules.key.placeholder) == ("http://127.0.0.1:4000", KEY.value)
    changed = local.hide_key({"ANTHROPIC_API_KEY": KEY.value}, rules, PROXY)
    assert changed == {"ANTHROPIC_API_KEY": KEY.value, "ANTHROPIC_BASE_URL": PROXY}


@pytest.mark.parametrize("address", ["ftp://x", "https://", "x", "https://user:pw@x/", "http://:pw@x", "http://x:0", "https://x?y", "https://x:y"])  # fmt: skip
def test_an_address_that_cannot_be_used_is_said_at_the_start(address: str) -> None:
    with pytest.raises(GitbatchError, match="agent c: invalid base URL") as caught:
        find_claude(address)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "passed", "is_hidden"),
    [
        ("claude", "ANTHROPIC_API_KEY", True),
        ("gemini", "GEMINI_API_KEY", False),
        ("qwen", "OPENAI_API_KEY", True),
        ("codex", "CODEX_API_KEY", True),
        ("opencode", "ANTHROPIC_API_KEY", False),
    ],
)
def test_programs_by_their_format(name: FormatName, passed: str, is_hidden: bool) -> None:  # noqa: FBT001 - a row
    table = CommandAgent(command=(name,), format=name, pass_env=(passed,))
    environment = {passed: "the-key-of-the-user", "UNRELATED_API_KEY": "x"}
    program = table.api_program
    assert program is FORMATS[name]
    key = find_passed_key(program, table, environment)
    access = find_api_access("a", table, environment, program, key)
    changed = access.hide_key({passed: "the-key-of-the-user"}, access.make_rules(), PROXY)
    assert ("the-key-of-the-user" not in changed.values()) is is_hidden
    arguments = access.set_address(["/bin/x", "exec", "-"], access.make_rules(), PROXY)
    assert (PROXY in "".join((*changed.values(), *arguments))) is is_hidden
    assert (arguments[0], arguments[-2:]) == ("/bin/x", ["exec", "-"])
    said = f"agent a: key: in its environment ({'the address of its server cannot be set from outside'})"
    assert access.notes == (() if is_hidden else (said,))
    assert set(program.hosts) & set(access.make_rules().hosts) == (set() if is_hidden else set(program.hosts))


@pytest.mark.parametrize(
    ("command", "is_added"),
    [
        (("codex", "exec", "-"), True),
        (("/opt/bin/codex", "exec", "-m", "gpt-5.5", "-"), True),
        (("npx", "codex", "exec"), False),
        (("sh", "-c", "codex exec -"), False),
        (("codex", "exec", "-c", "model_provider=mine", "-"), False),
        (("codex", "exec", "-c", 'openai_base_url="https://gw"', "-"), False),
        (("codex", "exec", "--oss"), False),
    ],
)
def test_arguments_are_added_to_known_command_lines(
    command: tuple[str, ...],
    is_added: bool,  # noqa: FBT001 - a row
) -> None:
    table = CommandAgent(command=command, format="codex")
    access = find_api_access("a", table, {}, table.api_program, FoundKey("CODEX_API_KEY", "the-key"))
    added = ["-c", f'openai_base_url="{PROXY}"'] if is_added else []
    assert access.set_address(command, access.make_rules(), PROXY) == [command[0], *added, *command[1:]]
    assert access.is_hidden is is_added


def test_a_key_that_has_to_stay_out_and_cannot_is_an_error() -> None:
    table = CommandAgent(command=("npx", "codex"), format="codex", key="proxy")
    with pytest.raises(GitbatchError, match="cannot be kept out: the address of its server"):
        find_api_access("a", table, {}, table.api_program, FoundKey("OPENAI_API_KEY", "x"))
    table = CommandAgent(command=("claude",), format="claude", key="proxy")
    with pytest.raises(GitbatchError, match="cannot be kept out: it has none"):
        find_api_access("a", table, {}, table.api_program)


def test_a_program_of_which_nothing_is_known_reaches_the_hosts_that_are_listed() -> None:
    table = CommandAgent(command=("x",), allow_hosts=("a.example",))
    assert table.api_program is None
    access = find_api_access("a", table, {"HTTPS_PROXY": "http://p:1", "SSL_CERT_FILE": "/ca.pem"}, None)
    rules = access.make_rules()
    assert (rules.hosts, rules.named_hosts, rules.origin) == ((), ("a.example",), "")
    assert rules.proxies == UserProxies(https="http://p:1")
    assert rules.certificates == ("/ca.pem",)
    assert access.hide_key({"A": "b"}, rules, PROXY) == {"A": "b"}


def test_a_local_server_that_needs_no_key() -> None:
    table = CommandAgent(
        command=("qwen",),
        format="qwen",
        env={"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": "http://127.0.0.1:1"},
    )
    program = PROGRAMS["qwen"]
    assert find_passed_key(program, table, {}) == FoundKey("OPENAI_API_KEY", "none")
    assert find_passed_address(program, table, {}) == "http://127.0.0.1:1"
    without = find_api_access("a", table, {}, program, None, "http://127.0.0.1:1")
    assert (without.make_rules().origin, without.notes) == ("http://127.0.0.1:1", ())


def test_other_keys_of_the_same_program_are_left_out() -> None:
    access = find_claude()
    given = {"ANTHROPIC_API_KEY": KEY.value, "CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-other", "OTHER": "x"}
    changed = access.hide_key(given, access.make_rules(), PROXY)
    assert changed.keys() == {"ANTHROPIC_API_KEY", "OTHER", "ANTHROPIC_BASE_URL"}


@pytest.mark.parametrize(
    ("settings", "is_hidden"),
    [
        ("", True),
        ('{"model": "m"}', True),
        ("[1]", True),
        ("no JSON", True),
        ('{"model_provider": "mine"}', False),
    ],
)
def test_an_address_in_a_variable_of_settings(settings: str, is_hidden: bool) -> None:  # noqa: FBT001 - a row
    given = {"CODEX_API_KEY": "the-key-of-the-user", "CODEX_CONFIG": settings}
    program = narrow_program(PROGRAMS["codex"], given)
    access = find_api_access("a", CommandAgent(command=("x",)), {}, program, find_key(program, given))
    changed = access.hide_key(given, access.make_rules(), PROXY)
    assert access.is_hidden is is_hidden
    assert ("the-key-of-the-user" in changed.values()) is not is_hidden
    if is_hidden:
        kept = {"model": "m"} if "model" in settings else {}
        assert json.loads(changed["CODEX_CONFIG"]) == {**kept, "openai_base_url": PROXY}
    else:
        assert changed == given


def find_key(program: ApiProgram, given: dict[str, str]) -> FoundKey | None:
    table = CommandAgent(command=("x",), pass_env=tuple(given))
    return find_passed_key(program, table, given)


def test_a_key_that_is_a_word_is_replaced_in_its_variable_only() -> None:
    access = find_api_access("a", ClaudeCodeAgent(), {}, CLAUDE, FoundKey("ANTHROPIC_AUTH_TOKEN", "none"))
    rules = access.make_rules()
    changed = access.hide_key({"A": "/nonesuch", "ANTHROPIC_AUTH_TOKEN": "none"}, rules, PROXY)
    assert changed["A"] == "/nonesuch"
    assert rules.key is not None
    assert changed["ANTHROPIC_AUTH_TOKEN"] == rules.key.placeholder


@pytest.mark.parametrize(("host", "is_valid"), [("a.example:8443", True), ("https://a.example", False)])
def test_hosts_are_checked_with_the_configuration(host: str, is_valid: bool) -> None:  # noqa: FBT001 - a row
    table = CommandAgent(command=("x",), network="api", allow_hosts=(host,))
    problems = dict(table.find_problems())
    assert (problems["allow-hosts"] is None) is is_valid


@pytest.mark.parametrize(
    ("table", "problems"),
    [
        (CommandAgent(command=("x",), allow_hosts=("a.example",)), {"allow-hosts"}),
        (CommandAgent(command=("x",), format="qwen", network=True, key="proxy"), {"key"}),
        (CommandAgent(command=("x",), format="qwen", key="proxy", allow_hosts=("a.example",)), set()),
        (ClaudeCodeAgent(network=False, key="environment"), set()),
    ],
)
def test_settings_of_the_proxy_need_it(table: ProcessTable, problems: set[str]) -> None:
    assert {name for name, problem in table.find_problems() if problem} == problems


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"])
def test_files_of_certificates_are_read_at_the_start(tmp_path: Path, variable: str) -> None:
    """Without them no request succeeds, and a busy server would be waited for."""
    empty = tmp_path / "empty.pem"
    empty.touch()
    for path in (empty, tmp_path, tmp_path / "missing.pem"):
        environment = {variable: str(path)}
        with pytest.raises(GitbatchError, match=f"agent c: {variable} names no certificates"):
            find_api_access("c", ClaudeCodeAgent(), environment, CLAUDE, KEY)
        find_api_access("c", DIRECT, environment, CLAUDE, KEY)  # the program's own matter
        find_api_access("c", ClaudeCodeAgent(), environment, CLAUDE, KEY, "http://gw")
