"""The problems of checks and gates before a batch starts: unknown names, missing programs, patterns that match nothing."""

from collections.abc import Callable, Iterable, Iterator

from gitbatch.agents.services import AgentServices
from gitbatch.batch.planning.item_problems import ItemProblem, agents_by_item
from gitbatch.batch.planning.project_state import ProjectView
from gitbatch.checks.command import find_missing_program
from gitbatch.checks.self_read import is_self_read
from gitbatch.errors import GitbatchError
from gitbatch.patterns import compile_later
from gitbatch.plan.findings import Findings, quoted
from gitbatch.plan.help_texts import Advice
from gitbatch.plan.model import Diagnostic, Group, Plan, WorkItem
from gitbatch.plan.source import read
from gitbatch.project import help_texts
from gitbatch.project.check_choice import group_gates, item_checks, matches_any, matches_group
from gitbatch.project.check_tables import ProgramTable
from gitbatch.project.config import CONFIG_FILE, Config
from gitbatch.project.config_diagnostics import locate_setting
from gitbatch.project.config_tables import suggest_name
from gitbatch.text import list_names

CHECK_UNKNOWN = "GB420"
"""A check or gate that the plan names is not configured."""
PATTERN_UNMATCHED = "GB421"
"""A pattern of a check matches no output of the plan and no file, or one of a gate no group."""
_KNOWN_CHECKS = Advice("use one of gitbatch.toml: {names}", "nimm eine aus gitbatch.toml: {names}")
_MEANT_CHECK = Advice(
    "did you mean {near}? use one of gitbatch.toml: {names}",
    "ist {near} gemeint? Nimm eine aus gitbatch.toml: {names}",
)
_OTHER_PATTERN = Advice("correct the pattern, or remove it", "berichtige das Muster, oder entferne es")
_SELF_READ = Advice(
    "its checks run with the file as the base has it, and its gates with what the agent writes: review it yourself",
    "seine Prüfungen laufen mit der Datei der Basis, seine Gates mit der des Agenten: sieh sie selbst durch",
)
OUTPUT_SELF_READ = "GB422"
"""An output is a file that one of its checks, or a gate of its group, loads by itself."""
SELF_REVIEWED = "GB423"
"""A reviewer has the model of the agent whose outputs it judges."""
_OTHER_MODEL = Advice(
    "let an agent with another model review it: a model finds its own mistakes plausible",
    "lass einen Agenten mit einem anderen Modell urteilen: ein Modell hält seine eigenen Fehler für richtig",
)
_WILDCARD = compile_later(r"[*?[]")


def find_check_problems(plan: Plan, config: Config, items: Iterable[WorkItem]) -> Iterator[ItemProblem]:
    """Yields the names of checks and gates that items or their groups want and that are not configured.

    A name that a group or the whole plan has is reported once, for the first item that it concerns.
    """
    seen = set[tuple[str, ...]]()
    for item in items:
        group = plan.groups[item.group - 1]
        for kind, name, place in _find_unknown(plan, config, group, item):
            if (kind, name, place) not in seen:
                seen.add((kind, name, place))
                yield _unknown_problem(config, item, kind, name)


def find_self_read(plan: Plan, config: Config, items: Iterable[WorkItem]) -> Iterator[ItemProblem]:
    """Yields the outputs that a check or gate would load: as its program, or as a file that its tool reads by itself."""
    for item in items:
        group = plan.groups[item.group - 1]
        checks = (name for name in item_checks(config, plan, group, item) if name in config.checks)
        gates = (name for name in group_gates(config, plan, group) if name in config.gates)
        loading = (
            *(f"check {name}" for name in checks if is_self_read(config.checks[name], item.output)),
            *(f"gate {name}" for name in gates if is_self_read(config.gates[name], item.output)),
        )
        if loading:
            reason = f" is read by {list_names(loading)} itself"
            yield ItemProblem(OUTPUT_SELF_READ, item, item.output, "the output ", reason, _SELF_READ)


def find_self_reviews(
    plan: Plan, config: Config, items: Iterable[WorkItem], default: str
) -> Iterator[ItemProblem]:
    """Yields the checks whose reviewer is the author, or has its model: each once, for the first item of that author."""
    seen = set[tuple[str, str]]()
    for item, author in agents_by_item(plan, items, default):
        for name in item_checks(config, plan, plan.groups[item.group - 1], item):
            reviewer = config.checks[name].agent if name in config.checks else None
            if reviewer and (name, author) not in seen and _has_same_model(config, author, reviewer):
                seen.add((name, author))
                before = "{item} is judged by its own model in check "
                yield ItemProblem(SELF_REVIEWED, item, name, before, "", _OTHER_MODEL)


def _has_same_model(config: Config, author: str, reviewer: str) -> bool:
    """Whether two agents are one, or name the same model."""
    models = [getattr(config.agents.get(name), "model", None) for name in (author, reviewer)]
    return author == reviewer or (models[0] is not None and models[0] == models[1])


def _find_unknown(plan: Plan, config: Config, group: Group, item: WorkItem) -> Iterator[tuple[str, str, str]]:
    """Yields kind, name, and the place that names it: an item, a group, or the plan."""
    for name in item_checks(config, plan, group, item):
        if name not in config.checks:
            above = str(group.number) if group.hints.checks is not None else ""
            yield "check", name, item.output if item.hints.checks is not None else above
    for name in group_gates(config, plan, group):
        if name not in config.gates:
            yield "gate", name, str(group.number) if group.hints.gates is not None else ""


def _unknown_problem(config: Config, item: WorkItem, kind: str, name: str) -> ItemProblem:
    known = tuple(sorted(config.checks if kind == "check" else config.gates))
    near = suggest_name(name, known)
    advice = _MEANT_CHECK if near else _KNOWN_CHECKS
    advice = advice.fill(near=near or "", names=", ".join(known)) if known else help_texts.ADD_AGENT
    wants = "{item} wants check " if kind == "check" else "{item} is in a group that wants gate "
    return ItemProblem(CHECK_UNKNOWN, item, name, wants, ", which is not configured", advice)


def wanted_programs(
    view: ProjectView, items: Iterable[WorkItem]
) -> Iterator[tuple[tuple[str, str], ProgramTable]]:
    """Yields the path of the table, and the table, of each configured check and gate that items or their groups want."""
    config, plan, chosen = view.project.config, view.plan, tuple(items)
    groups = {item.group: plan.groups[item.group - 1] for item in chosen}
    checks = {name for item in chosen for name in item_checks(config, plan, groups[item.group], item)}
    gates = {name for group in groups.values() for name in group_gates(config, plan, group)}
    yield from ((("checks", name), table) for name, table in config.checks.items() if name in checks)
    yield from ((("gates", name), table) for name, table in config.gates.items() if name in gates)


def require_program(
    setting: tuple[str, str], table: ProgramTable, services: AgentServices, has_file: Callable[[str], bool]
) -> None:
    """Refuses a check or gate that cannot run here.

    Args:
        setting: the path of its table.
        table: its settings; one of an agent has no command.
        services: the environment and the sandbox.
        has_file: whether its folder will have a file at a repository path.

    Raises:
        GitbatchError: its program is not found, or its sandbox does not work.
    """
    if not table.command:
        return
    kind, name = setting
    services.open_sandbox(table.sandbox)
    if program := find_missing_program(table, dict(services.environment), has_file):
        raise GitbatchError(
            f"{kind.removesuffix('s')} {name}: the program {program} is not found, or cannot be executed",
            f"install it, or correct its name under [{kind}.{name}] in {CONFIG_FILE}",
        )


def find_unmatched_patterns(view: ProjectView) -> tuple[Diagnostic, ...]:
    """Returns warnings, in the configuration, about patterns that match nothing here."""
    source = view.snapshot.read(CONFIG_FILE) or b""
    findings = Findings(read(source)[0])
    for setting, message in _find_unmatched(view):
        findings.warning(PATTERN_UNMATCHED, locate_setting(source, setting), message, _OTHER_PATTERN)
    return findings.in_order()


def _find_unmatched(view: ProjectView) -> Iterator[tuple[tuple[str, ...], str]]:
    config, plan = view.project.config, view.plan
    outputs = tuple(item.output for item in plan.items)
    for name, check in config.checks.items():
        for pattern in check.on:
            if not any(matches_any(path, (pattern,)) for path in (*outputs, *_list_files(view, pattern))):
                yield (
                    ("checks", name, "on"),
                    f"{quoted(pattern)} matches no output of {plan.path}, and no file",
                )
    for name, gate in config.gates.items():
        for pattern in gate.groups:
            if not any(matches_group(group, (pattern,)) for group in plan.groups):
                yield ("gates", name, "groups"), f"{quoted(pattern)} matches no group of {plan.path}"


def _list_files(view: ProjectView, pattern: str) -> tuple[str, ...]:
    """Returns the files in the folder that a pattern begins with; none if it begins with a wildcard, for all would be many."""
    folder = pattern.lstrip("/").partition("/")[0]
    return () if "/" not in pattern or _WILDCARD.search(folder) else view.snapshot.files(folder)
