"""Agents that `gitbatch init --agent` adds: each template is valid, and an edit keeps everything else."""

import re
from pathlib import Path

import pytest

from gitbatch.agents.acp.presets import PRESETS as KNOWN_PRESETS
from gitbatch.agents.process.table import ProcessTable
from gitbatch.errors import UsageError
from gitbatch.plan.help_texts import Language
from gitbatch.project.agent_scaffold import (
    AGENT_WORDS,
    PRESETS,
    AgentChange,
    add_agent,
    add_agent_on_disk,
    render_agent_table,
    require_agent_word,
)
from gitbatch.project.config import parse_config, read_config
from gitbatch.project.scaffold import scaffold_plan

DOCS = Path(__file__).parents[2] / "docs" / "agents"
TEMPLATES = Path(__file__).parents[2] / "gitbatch" / "project" / "templates"


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("word", AGENT_WORDS)
def test_template_has_no_findings(word: str, language: Language) -> None:
    text = render_agent_table(word, "a-1", language)
    reading = read_config(text.encode())
    assert (reading.problems, tuple(reading.config.find_keys())) == ((), ())
    assert list(reading.config.agents) == ["a-1"]
    assert text.startswith("# ")
    assert "{name}" not in text
    assert "{preset}" not in text


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("word", AGENT_WORDS)
def test_settings_in_comments_are_valid(word: str, language: Language) -> None:
    text = re.sub(r"(?m)^# (?=[a-z-]+ = )", "", render_agent_table(word, "a", language))
    assert read_config(text.encode()).problems == ()


def test_agents_with_a_rule_about_their_output() -> None:
    tables = (
        (word, next(iter(parse_config(render_agent_table(word, "a", Language.EN).encode()).agents.values())))
        for word in AGENT_WORDS
    )
    found = {word for word, table in tables if isinstance(table, ProcessTable) and table.denies_other_files}
    assert found == {
        "claude-code",
        "opencode",
        "acp",
        *(f"acp:{each}" for each in PRESETS if each != "codex"),
    }


def test_presets_are_those_of_the_kind() -> None:
    assert set(PRESETS) == set(KNOWN_PRESETS)


def test_languages_differ_in_comments_alone() -> None:
    english, german = (
        {path.name for path in (TEMPLATES / each / "agents").iterdir()} for each in ("en", "de")
    )
    assert english == german == {f"{word}.toml" for word in AGENT_WORDS if ":" not in word}
    for word in set(AGENT_WORDS) - {"command"}:
        one, other = (parse_config(render_agent_table(word, "a", each).encode()) for each in Language)
        assert one == other


@pytest.mark.parametrize("word", ["claude-code", "codex", "opencode", "gemini", "qwen"])
def test_pages_have_the_same_table(word: str) -> None:
    name = word.partition("-")[0]
    wanted = parse_config(render_agent_table(word, name, Language.EN).encode()).agents[name]
    text = (DOCS / f"{word}.md").read_text(encoding="utf-8")
    blocks = (read_config(each.encode()).config for each in re.findall(r"(?ms)^```toml\n(.*?)^```", text))
    assert wanted in [config.agents[name] for config in blocks if name in config.agents]


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("word", AGENT_WORDS)
def test_new_project_with_an_agent(tmp_path: Path, word: str, language: Language) -> None:
    scaffold_plan(tmp_path, language)
    added = add_agent_on_disk(tmp_path, word, language, is_new=True)
    text = (tmp_path / "gitbatch.toml").read_text(encoding="utf-8")
    config = parse_config(text.encode())
    assert added.change is AgentChange.ADDED
    assert list(config.agents) == [added.name]
    assert config.batch.agent == added.name == added.default
    assert text.count("agents.") == added.table.count("agents."), "the example is gone"
    assert text.count("# shared =") == 1
    again = add_agent_on_disk(tmp_path, word, language, is_new=False)
    assert (again.name, again.change) == (added.name, AgentChange.KEPT)
    assert (tmp_path / "gitbatch.toml").read_text(encoding="utf-8") == text


OTHER = '[agents.writer]\nkind = "command"\ncommand = ["x"]\n'


@pytest.mark.parametrize(
    ("before", "start", "name", "default"),
    [
        ("", '[batch]\nagent = "codex"\n\n# Codex', "codex", "codex"),
        ("[batch]\njobs = 2", '[batch]\nagent = "codex"\njobs = 2\n\n# Codex', "codex", "codex"),
        (
            "# mine\r\n[ batch ] # x\r\n",
            '# mine\r\n[ batch ] # x\r\nagent = "codex"\r\n\r\n# Codex',
            "codex",
            "codex",
        ),
        (OTHER, f'{OTHER}\n[batch]\nagent = "codex"\n\n# Codex', "codex", "codex"),
        (
            f'[batch]\nagent = "writer"\n{OTHER}',
            f'[batch]\nagent = "writer"\n{OTHER}\n# Codex',
            "codex",
            "writer",
        ),
        (OTHER.replace("writer", "codex"), OTHER.replace("writer", "codex"), "codex-2", "codex-2"),
        ("\ufeff[titles]\n", '\ufeff[titles]\n\n[batch]\nagent = "codex"\n\n# Codex', "codex", "codex"),
    ],
)
def test_everything_else_is_kept(before: str, start: str, name: str, default: str) -> None:
    added = add_agent(before.encode(), "codex", Language.EN, is_new=False)
    text = added.source.decode()
    assert text.startswith(start)
    assert (added.name, added.default, added.change) == (name, default, AgentChange.ADDED)
    config = parse_config(added.source)
    assert (config.agent_name(None), name in config.agents) == (default, True)
    assert ("\n" in text.replace("\r\n", "")) == ("\r" not in text)


@pytest.mark.parametrize(
    "before",
    [
        "agents = {a = {kind = 'command', command = ['x']}}\n",
        "batch.jobs = 2\n",
        "batch = {jobs = 2}\n",
        "[titles]\nwork = ['''\n[batch]\n''']\n",
    ],
)
def test_text_that_an_edit_would_break_is_left_to_the_user(before: str) -> None:
    added = add_agent(before.encode(), "codex", Language.EN, is_new=False)
    assert (added.change, added.source) == (AgentChange.BY_HAND, b"")
    assert added.table.startswith("# Codex")


def test_link_is_left_to_the_user(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("[batch]\n")
    (tmp_path / "gitbatch.toml").symlink_to("other.toml")
    added = add_agent_on_disk(tmp_path, "claude-code", Language.EN, is_new=False)
    assert added.change is AgentChange.BY_HAND
    assert (tmp_path / "other.toml").read_text() == "[batch]\n"


def test_unknown_word_lists_the_others() -> None:
    with pytest.raises(UsageError, match="unknown agent 'clade'") as raised:
        require_agent_word("clade")
    assert (
        "claude-code, codex, opencode, gemini, qwen, anthropic, command, acp, acp:claude"
        in raised.value.advice
    )
