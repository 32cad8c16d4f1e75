"""gitbatch.toml: each setting arrives, and whatever can't be meant is an error that names it."""

import pytest

from gitbatch.agents.command.table import CommandAgent
from gitbatch.errors import ExitCode, PlanError
from gitbatch.plan.model import (
    OUTPUT_TEMPLATE,
    TITLES_DOD,
    TITLES_SCOPE,
    TITLES_WORK,
    PlanOptions,
)
from gitbatch.project.agent_table import AgentTable
from gitbatch.project.check_tables import CheckTable
from gitbatch.project.config import (
    EXAMPLE_AGENT,
    BatchTable,
    Config,
    ProjectTable,
    TitlesTable,
    parse_config,
)

EVERYTHING = b"""\
[batch]
jobs = 8
agent = "writer"
retries = 3
max-cost = 2.5
max-tokens = 1000
checkout = "context"
output = "out/{id-or-slug}.md"
tick-dod = false
max-output-bytes = 1000
worktrees = "/var/tmp/w"

[project]
phase-folder = "phases/{phase}"
shared = ["inventory.md", "docs/glossary.md"]
context-documents = ["waves.md"]
condensed = ["short/{name}.md"]

[titles]
work = ["Aufgaben"]
dod = ["Fertig"]
scope = ["Jetzt"]

[agents.writer]
kind = "command"
command = ["sh", "-c", "true"]
timeout = "90s"
pass-env = ["API_KEY"]
sandbox = "landlock"
network = true
strict = true
needs = ["~", "~/.config/x", "/opt/x"]
writable = ["/var/cache/x"]
max-file-bytes = 1
max-scratch-bytes = 2

[agents.other]
kind = "command"
command = ["other"]
"""


def problem(source: str | bytes) -> str:
    """What is wrong with a configuration."""
    with pytest.raises(PlanError) as raised:
        parse_config(source if isinstance(source, bytes) else source.encode())
    assert raised.value.code is ExitCode.USAGE
    assert raised.value.advice
    return raised.value.message


def agent(lines: str) -> str:
    """The text of a configuration with a good agent and one that has these lines."""
    given = {line.partition(" ")[0] for line in lines.splitlines()}
    usual = {"kind": 'kind = "command"', "command": 'command = ["x"]'}
    others = [line for name, line in usual.items() if name not in given]
    return "\n".join(["[agents.good]", *usual.values(), "[agents.bad]", *others, lines])


@pytest.mark.parametrize("source", [None, b"", b"# nothing\n", b"\xef\xbb\xbf"])
def test_without_settings_everything_has_its_default(source: bytes | None) -> None:
    assert parse_config(source) == Config()
    assert Config().batch == BatchTable(
        jobs=4,
        agent=None,
        retries=2,
        max_cost=None,
        max_tokens=None,
        checkout="full",
        output=OUTPUT_TEMPLATE,
        tick_dod=True,
        max_output_bytes=10_485_760,
        worktrees=None,
    )
    assert Config().project == ProjectTable(
        phase_folder="docs/phases/{phase}",
        shared=(),
        context_documents=("discovery-waves.md",),
        condensed=("{name}.condensed.md", "condensed/{name}.md"),
    )


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_every_setting_arrives(mark: bytes, newline: bytes) -> None:
    assert parse_config(mark + EVERYTHING.replace(b"\n", newline)) == Config(
        batch=BatchTable(
            jobs=8,
            agent="writer",
            retries=3,
            max_cost=2.5,
            max_tokens=1000,
            checkout="context",
            output="out/{id-or-slug}.md",
            tick_dod=False,
            max_output_bytes=1000,
            worktrees="/var/tmp/w",  # noqa: S108  # a value like any other
        ),
        project=ProjectTable(
            phase_folder="phases/{phase}",
            shared=("inventory.md", "docs/glossary.md"),
            context_documents=("waves.md",),
            condensed=("short/{name}.md",),
        ),
        titles=TitlesTable(work=("Aufgaben",), dod=("Fertig",), scope=("Jetzt",)),
        agents={
            "writer": CommandAgent(
                command=("sh", "-c", "true"),
                timeout="90s",
                pass_env=("API_KEY",),
                sandbox="landlock",
                network=True,
                strict=True,
                needs=("~", "~/.config/x", "/opt/x"),
                writable=("/var/cache/x",),
                max_file_bytes=1,
                max_scratch_bytes=2,
            ),
            "other": CommandAgent(
                command=("other",),
                timeout="30m",
                pass_env=(),
                sandbox="auto",
                network=None,
                strict=False,
                needs=(),
                writable=(),
                max_file_bytes=2**30,
                max_scratch_bytes=2**32,
            ),
        },
    )


def test_titles_are_added_to_the_known_ones() -> None:
    config = parse_config(EVERYTHING)
    assert config.scope_titles == (*TITLES_SCOPE, "Jetzt")
    assert config.plan_options("one", "docs/phases/one", frozenset({"task.md"})) == PlanOptions(
        work_titles=(*TITLES_WORK, "Aufgaben"),
        dod_titles=(*TITLES_DOD, "Fertig"),
        output_template="out/{id-or-slug}.md",
        phase="one",
        folder="docs/phases/one",
        protected=frozenset({"task.md"}),
    )
    assert Config().plan_options() == PlanOptions()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("job = 1", "unknown field `job`"),
        ("[batches]", "unknown field `batches`"),
        ("[batch]\njob = 1", "unknown field `job` - at `$.batch`"),
        ("[batch]\nmax_output_bytes = 1", "unknown field `max_output_bytes` - at `$.batch`"),
        ("[project]\nphase = 1", "unknown field `phase` - at `$.project`"),
        ("[titles]\ntask = []", "unknown field `task` - at `$.titles`"),
        (agent('model = "big"'), "unknown field `model` - at `$.agents.bad`"),
        ("batch = 1", "Expected `object`, got `int` - at `$.batch`"),
        ("agents = []", "Expected `object`, got `array` - at `$.agents`"),
        ("[agents]\nbad = 1", "Expected `object`, got `int` - at `$.agents.bad`"),
        ('[batch]\njobs = "4"', "Expected `int`, got `str` - at `$.batch.jobs`"),
        ("[batch]\njobs = 4.0", "Expected `int`, got `float` - at `$.batch.jobs`"),
        ("[batch]\njobs = true", "Expected `int`, got `bool` - at `$.batch.jobs`"),
        ("[batch]\njobs = 0", "Expected `int` >= 1 - at `$.batch.jobs`"),
        ("[batch]\nretries = -1", "Expected `int` >= 0 - at `$.batch.retries`"),
        ("[batch]\nmax-output-bytes = 0", "Expected `int` >= 1 - at `$.batch.max-output-bytes`"),
        ("[batch]\ntick-dod = 1", "Expected `bool`, got `int` - at `$.batch.tick-dod`"),
        ('[batch]\ncheckout = "sparse"', "Invalid enum value 'sparse' - at `$.batch.checkout`"),
        ('[batch]\ncheckout = "full\\n"', "Invalid enum value 'full\\n' - at `$.batch.checkout`"),
        ("[batch]\noutput = 2024-01-01", "Expected `str`, got `date` - at `$.batch.output`"),
        ('[project]\nshared = "a.md"', "Expected `array`, got `str` - at `$.project.shared`"),
        ("[project]\nshared = [1]", "Expected `str`, got `int` - at `$.project.shared[0]`"),
        (agent('kind = "comand"'), "invalid kind 'comand' - at `$.agents.bad.kind`"),
        (agent("command = []"), "Expected `array` of length >= 1 - at `$.agents.bad.command`"),
        (agent('command = "sh -c x"'), "Expected `array`, got `str` - at `$.agents.bad.command`"),
        (agent('pass-env = "KEY"'), "Expected `array`, got `str` - at `$.agents.bad.pass-env`"),
        ('[agents.bad]\nkind = "command"', "missing required field `command` - at `$.agents.bad`"),
        (agent("timeout = 30"), "Expected `str`, got `int` - at `$.agents.bad.timeout`"),
        (agent('sandbox = "docker"'), "Invalid enum value 'docker' - at `$.agents.bad.sandbox`"),
        (agent('sandbox = "none\\n"'), "Invalid enum value 'none\\n' - at `$.agents.bad.sandbox`"),
        (
            agent('needs = ["/a", "b"]'),
            "'b' is neither an absolute path nor one below ~ - at `$.agents.bad.needs`",
        ),
        (
            agent('needs = ["~b/c"]'),
            "'~b/c' is neither an absolute path nor one below ~ - at `$.agents.bad.needs`",
        ),
        (
            agent('writable = [""]'),
            "'' is neither an absolute path nor one below ~ - at `$.agents.bad.writable`",
        ),
        (
            agent('timeout = "soon"'),
            "invalid duration 'soon' (write it like 90, 90s, 5m or 1h30m) - at `$.agents.bad.timeout`",
        ),
        (
            agent('timeout = "0s"'),
            "invalid duration '0s' (write it like 90, 90s, 5m or 1h30m) - at `$.agents.bad.timeout`",
        ),
        (agent('command = ["a\\u0000b"]'), "an argument holds a NUL character - at `$.agents.bad.command`"),
    ],
)
def test_a_wrong_setting_is_named_with_its_path(source: str, message: str) -> None:
    assert problem(source).startswith("gitbatch.toml: ")
    assert problem(source).endswith(message)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('phase-folder = "docs/{fase}"', "'docs/{fase}' has braces that are not {phase}"),
        ('phase-folder = "docs/{phase.name}"', "'docs/{phase.name}' has braces that are not {phase}"),
        ('phase-folder = "docs/}"', "'docs/}' has braces that are not {phase}"),
        ('condensed = ["{name}.md", "{}.md"]', "'{}.md' has braces that are not {name} or {folder}"),
        ('condensed = ["{phase}.md"]', "'{phase}.md' has braces that are not {name} or {folder}"),
    ],
)
def test_a_pattern_has_its_own_placeholder_and_no_other(setting: str, message: str) -> None:
    name = setting.partition(" ")[0]
    assert problem(f"[project]\n{setting}") == f"gitbatch.toml: {message} - at `$.project.{name}`"


@pytest.mark.rule("O3")
@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("task.md", "is a control file - at"),
        ("docs/status.md", "is a control file - at"),
        ("Decisions-Log.md", "is a control file - at"),
        ("gitbatch.toml", "is a control file - at"),
        ("CLAUDE.md", "is CLAUDE.md"),
        ("docs/claude.md", "is CLAUDE.md"),
        ("", "is empty"),
        ("/etc/passwd", "is not relative"),
        ("../a.md", "has the part"),
        ("a//b.md", "has an empty part"),
        (".gitattributes", "has a part that only git may write"),
        (".git/config", "has a part that only git may write"),
        ("a\\b.md", "holds a backslash"),
    ],
)
def test_a_shared_artifact_is_a_plain_file_and_no_control_file(path: str, why: str) -> None:
    message = problem(f"[project]\nshared = ['good.md', '{path}']")
    assert message.startswith(f"gitbatch.toml: {path!r} {why}")
    assert message.endswith(" - at `$.project.shared`")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"[batch", "gitbatch.toml is not valid TOML: Expected"),
        (b"a = 1\na = 2", "gitbatch.toml is not valid TOML: Cannot overwrite a value"),
        (b"a = " + b"9" * 5000, "gitbatch.toml is not valid TOML: Exceeds the limit"),
        (b"a = " + b"[" * 5000, "gitbatch.toml is not valid TOML: maximum recursion depth"),
        (b"a = 2024-13-01", "gitbatch.toml is not valid TOML: "),
        (b"# caf\xe9", "gitbatch.toml is not UTF-8 (byte 5)"),
        (b"\xff\xfea\0", "gitbatch.toml is not UTF-8 (byte 0)"),
    ],
)
def test_what_is_no_toml_is_an_error(source: bytes, message: str) -> None:
    assert problem(source).startswith(message)


ONE: dict[str, AgentTable] = {"a": CommandAgent(command=("a",))}
TWO: dict[str, AgentTable] = {name: CommandAgent(command=(name,)) for name in "ba"}


@pytest.mark.parametrize(
    ("config", "wanted", "expected"),
    [
        (Config(agents=ONE), None, "a"),
        (Config(agents=TWO), "b", "b"),
        (Config(agents=TWO, batch=BatchTable(agent="b")), None, "b"),
        (Config(agents=TWO, batch=BatchTable(agent="b")), "a", "a"),
        (Config(agents=TWO, checks={"style": CheckTable(agent="a", prompt="Good?")}), None, "b"),
        (Config(agents=ONE, checks={"style": CheckTable(agent="a", prompt="Good?")}), None, "a"),
    ],
)
def test_the_agent_is_the_wanted_the_configured_or_the_only_one(
    config: Config, wanted: str | None, expected: str
) -> None:
    assert config.agent_name(wanted) == expected


@pytest.mark.parametrize(
    ("config", "wanted", "message", "advice"),
    [
        (Config(), None, "no agent is configured", EXAMPLE_AGENT),
        (Config(), "a", "no agent is configured", EXAMPLE_AGENT),
        (Config(agents=TWO), None, "it is not clear which agent to use", "a, b"),
        (Config(agents=ONE), "c", "agent 'c' is not configured", "use one of gitbatch.toml: a"),
        (
            Config(agents=ONE, batch=BatchTable(agent="c")),
            None,
            "agent 'c' is not configured",
            "use one of gitbatch.toml: a",
        ),
    ],
)
def test_where_no_agent_can_be_chosen(config: Config, wanted: str | None, message: str, advice: str) -> None:
    with pytest.raises(PlanError) as raised:
        config.agent_name(wanted)
    assert raised.value.message == message
    assert advice in raised.value.advice


def test_the_shortest_time_out() -> None:
    assert parse_config(agent('timeout = "1s"').encode()).agents["bad"].timeout == "1s"


def test_the_example_is_a_configuration() -> None:
    (name,) = parse_config(EXAMPLE_AGENT.encode()).agents
    assert name == "writer"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("out/{nothing}.md", "{nothing} is unknown; there are "),
        ("out/page.md", "it names the same file for every item"),
        ("../{id}.md", "has the part “.” or “..”"),
    ],
)
def test_an_output_template_that_names_no_files_is_refused(template: str, why: str) -> None:
    said = problem(f'[batch]\noutput = "{template}"')
    assert said.startswith(f"gitbatch.toml: invalid output template '{template}': {why}")
    assert said.endswith(" - at `$.batch.output`")
