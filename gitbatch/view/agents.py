"""The agents of a machine and of a project, for people: installed programs first, then the configured agents."""

from collections.abc import Iterator

from gitbatch.agents.survey.known_programs import KeyState
from gitbatch.agents.survey.survey import AgentSurvey, ConfiguredAgent, InstalledProgram
from gitbatch.text import clean_text
from gitbatch.view.block import Block, Cell, StyledLine, TextTable, make_line

_SUBSCRIPTION = "run claude setup-token, and set CLAUDE_CODE_OAUTH_TOKEN"


def render_survey(survey: AgentSurvey) -> Block:
    """Returns the lines and tables of a survey."""
    return tuple(_render_parts(survey))


def _render_parts(survey: AgentSurvey) -> Iterator[StyledLine | TextTable]:
    installed = tuple(program for program in survey.programs if program.path)
    missing = ", ".join(program.name for program in survey.programs if not program.path)
    yield make_line(("installed", "bold"))
    if installed:
        yield TextTable(tuple(map(_program_row, installed)))
    if missing:
        yield make_line((f"not found on PATH: {missing}", "dim"), indent=2)
    for each in survey.skipped:
        yield make_line(
            (f"not looked into: {clean_text(each.folder)} on PATH ({each.reason})", "yellow"), indent=2
        )
    for program in installed:
        yield from _problem_lines(program.name, program.problem, program.advice)
    yield from _sandbox_lines(survey)
    yield make_line("\n", ("agents of gitbatch.toml", "bold"))
    if survey.agents:
        yield TextTable(tuple(map(_agent_row, survey.agents)))
    else:
        words = ", ".join(dict.fromkeys(program.kind for program in installed)) or "claude-code"
        yield make_line(f"none: gitbatch init --agent KIND adds one ({words})", indent=2)
    for agent in survey.agents:
        yield from (make_line((note, "dim"), indent=2) for note in agent.notes)
        yield from _problem_lines(f"agent {agent.name}", agent.problem, agent.advice)
    if survey.agents:
        yield make_line(("try one on a tiny item: gitbatch agents try NAME", "dim"), indent=2)


def _sandbox_lines(survey: AgentSurvey) -> Iterator[StyledLine]:
    """Yields the sandbox, and the kind of worktrees in it."""
    sandbox = survey.sandbox or f"none works here: {survey.sandbox_problem}"
    yield make_line("\n", ("sandbox", "bold"), "  ", sandbox if survey.sandbox else (sandbox, "yellow"))
    if survey.sandbox:
        worktrees = f"copies (overlay: {survey.overlay_problem})" if survey.overlay_problem else "overlay"
        yield make_line(("worktrees", "bold"), "  ", worktrees)


def _program_row(program: InstalledProgram) -> tuple[Cell, ...]:
    style = "yellow" if program.problem else "green"
    version = program.version or "version unknown"
    return (
        ((program.title, style),),
        (version,),
        (describe_key(program),),
        (describe_confinement(program.sandbox, program.network),),
        ((str(program.path), "dim"),),
    )


def describe_key(program: InstalledProgram) -> str:
    """Returns whether a program has a key, or which variable it needs."""
    if program.key is KeyState.KEY:
        unused = f" ({', '.join(program.unused)} set too, and not passed)" if program.unused else ""
        return f"key: {program.variable}{unused}"
    needs = (
        _SUBSCRIPTION if program.kind in {"claude-code", "acp:claude"} else f"set {program.usual_variable}"
    )
    if program.key is KeyState.LOGIN:
        return f"logged in ({program.login}), which agents do not get: {needs}"
    return f"no key: set {program.usual_variable}"


def describe_confinement(sandbox: str, network: str) -> str:
    """Returns the sandbox and the network of a program."""
    parts = (f"sandbox {sandbox}" if sandbox else "", f"network {network}" if network else "")
    return ", ".join(filter(None, parts))


def _agent_row(agent: ConfiguredAgent) -> tuple[Cell, ...]:
    state = ("ready", "green")
    if agent.problem:
        state = ("cannot work here", "red")
    elif agent.unset:
        state = (f"not set: {', '.join(agent.unset)}", "yellow")
    elif agent.is_sent:
        state = ("at workers (gitbatch worker --check)", "green")
    mark = " (default)" if agent.is_default else ""
    return (
        (agent.name, mark),
        (agent.kind,),
        (describe_confinement(agent.sandbox, agent.network),),
        (state,),
    )


def _problem_lines(name: str, problem: str, advice: str) -> Iterator[StyledLine]:
    if not problem:
        return
    said = problem if problem.startswith(name) else f"{name}: {problem}"
    yield make_line((said, "yellow"), indent=2)
    yield from (make_line(line, indent=4) for line in advice.splitlines())
