"""The page of `gitbatch agents`."""

from io import StringIO

from gitbatch.agents.survey.known_programs import KeyState
from gitbatch.agents.survey.program_search import SkippedFolder
from gitbatch.agents.survey.survey import AgentSurvey, ConfiguredAgent, InstalledProgram
from gitbatch.text import CleanText
from gitbatch.view.agents import render_survey
from gitbatch.view.page import PlainPage


def installed(name: str, key: KeyState, path: str | None = "/bin/x", problem: str = "") -> InstalledProgram:
    kind = "claude-code" if name == "claude" else name
    login = f"~/.{name}/login" if key is KeyState.LOGIN else ""
    variable = "A_KEY" if key is KeyState.KEY else ""
    more = (
        ("OTHER_KEY",) if problem else (),
        login,
        "USUAL_KEY",
        "landlock",
        "api",
        problem,
        "do this" if problem else "",
    )
    return InstalledProgram(name, name.title(), kind, path, "1.0" if path else "", key, variable, *more)


def show(survey: AgentSurvey) -> str:
    stream = StringIO()
    PlainPage(stream).show_block(render_survey(survey))
    return stream.getvalue()


def test_everything() -> None:
    programs = (
        installed("claude", KeyState.LOGIN),
        installed("codex", KeyState.LOGIN),
        installed("gemini", KeyState.KEY, problem="it is broken"),
        installed("qwen", KeyState.MISSING),
        installed("opencode", KeyState.MISSING, None),
    )
    agents = (
        ConfiguredAgent("a", "claude-code", True, "landlock", "api", notes=(CleanText("agent a: a note"),)),
        ConfiguredAgent("b", "command", False, "none", "none", ("X_KEY", "Y_KEY")),
        ConfiguredAgent("c", "anthropic", False, "", "", problem="agent c: no key", advice="one\ntwo"),
        ConfiguredAgent("d", "acp", False, "", "api", is_sent=True),
    )
    assert (
        show(
            AgentSurvey(
                programs, agents, "landlock", "", (SkippedFolder("x", "it is relative"),), "no mounts"
            )
        )
        == """\
installed
  Claude  1.0  logged in (~/.claude/login), which agents do not get: run claude setup-token, and set CLAUDE_CODE_OAUTH_TOKEN  sandbox landlock, network api  /bin/x
  Codex   1.0  logged in (~/.codex/login), which agents do not get: set USUAL_KEY                                             sandbox landlock, network api  /bin/x
  Gemini  1.0  key: A_KEY (OTHER_KEY set too, and not passed)                                                                 sandbox landlock, network api  /bin/x
  Qwen    1.0  no key: set USUAL_KEY                                                                                          sandbox landlock, network api  /bin/x
  not found on PATH: opencode
  not looked into: x on PATH (it is relative)
  gemini: it is broken
    do this

sandbox  landlock
worktrees  copies (overlay: no mounts)

agents of gitbatch.toml
  a (default)  claude-code  sandbox landlock, network api  ready
  b            command      sandbox none, network none     not set: X_KEY, Y_KEY
  c            anthropic                                   cannot work here
  d            acp          network api                    at workers (gitbatch worker --check)
  agent a: a note
  agent c: no key
    one
    two
  try one on a tiny item: gitbatch agents try NAME
"""
    )


def test_nothing() -> None:
    programs = (installed("claude", KeyState.MISSING, None),)
    assert (
        show(AgentSurvey(programs, (), "", "no sandbox for agents works here", ()))
        == """\
installed
  not found on PATH: claude

sandbox  none works here: no sandbox for agents works here

agents of gitbatch.toml
  none: gitbatch init --agent KIND adds one (claude-code)
"""
    )
