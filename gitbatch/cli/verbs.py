"""The verbs of gitbatch. A new verb is one new file and one line here.

The summary is the first line of the verb's docstring, so that the help needs no import; a test compares them.
"""

from gitbatch.cli.lazy import LazyGroup

VERBS = (
    (
        "run",
        "gitbatch.cli.run:run",
        "Run the plan: one subagent for each item, one reviewed commit for each group.",
    ),
    (
        "status",
        "gitbatch.cli.status:status",
        "Show the unfinished batch, or the last one, or any other. Changes nothing.",
    ),
    (
        "batches",
        "gitbatch.cli.batches:batches",
        "List all batches of the repository that git knows, with their results and costs. Changes nothing.",
    ),
    (
        "report",
        "gitbatch.cli.report:report",
        "Write what happened in a batch as one HTML page, from git alone: times, results, failures, decisions, costs.",
    ),
    (
        "show",
        "gitbatch.cli.show:show",
        "Show an item in full: result, summary, files read, attempts, costs, checks. Changes nothing.",
    ),
    (
        "logs",
        "gitbatch.cli.logs:logs",
        "Show what the agent of an item wrote, also while it runs. Changes nothing.",
    ),
    (
        "watch",
        "gitbatch.cli.watch:watch",
        "Show the run that works here, as its own terminal does, until it ends. Changes nothing.",
    ),
    (
        "plan",
        "gitbatch.cli.plan:plan",
        "Show what would run, as the commit has it: groups, items, outputs, what each reads, and the control files found.",
    ),
    (
        "lint",
        "gitbatch.cli.lint:lint",
        "Check plans as the disk has them, with their configuration. Exits with 2 if there are errors.",
    ),
    (
        "check",
        "gitbatch.cli.check:check",
        "Run checks and gates by hand, on the working tree or on a commit. Changes nothing. Exits with 1 if one is red.",
    ),
    (
        "init",
        "gitbatch.cli.init:init",
        "Write a plan and a configuration, or a phase with its files. Never overwrites a file.",
    ),
    (
        "agents",
        "gitbatch.cli.agents:app",
        "Show the agents of this machine and of gitbatch.toml, and whether they can work; try one of them.",
    ),
    (
        "review",
        "gitbatch.cli.review:review",
        "Decide about items that have a checkpoint: approve, send back, reject; or list what is to be decided.",
    ),
    (
        "retry",
        "gitbatch.cli.retry:retry",
        "Run items again that did not succeed, were rejected or are stale, before the next group starts.",
    ),
    (
        "undo",
        "gitbatch.cli.undo:undo",
        "Take items back whose outputs are in history: their files are as they were before, their boxes open.",
    ),
    (
        "abort",
        "gitbatch.cli.abort:abort",
        "End the unfinished batch; finished items that were not merged are kept under refs/gitbatch/.",
    ),
    (
        "rescue",
        "gitbatch.cli.rescue:app",
        "List what is kept of failed and unmerged items, and write it to the checkout.",
    ),
    (
        "gc",
        "gitbatch.cli.gc:gc",
        "Remove what finished batches have left: worktrees, branches, refs, logs. What is unmerged is kept.",
    ),
    (
        "cache",
        "gitbatch.cli.cache:cache",
        "Show what the cache folder keeps for worktrees, of all repositories, or remove it.",
    ),
    (
        "demo",
        "gitbatch.cli.demo:demo",
        "Make a sample repository and run its plan: three groups of a package's documentation.",
    ),
    (
        "verify",
        "gitbatch.cli.verify:verify",
        "Audit the commits of gitbatch in a history. Changes nothing. Exits with 1 if there are findings.",
    ),
    (
        "worker",
        "gitbatch.cli.worker:worker",
        "Work on items for runs on other machines; or check that this machine can.",
    ),
    (
        "schema",
        "gitbatch.cli.schema:schema",
        "Show a JSON Schema: of gitbatch.toml (config), or of what a verb prints with --json.",
    ),
    (
        "completion",
        "gitbatch.cli.completion:completion",
        "Show the script that lets a shell complete commands, options and item ids.",
    ),
    (
        "help",
        "gitbatch.cli.help:show_help",
        "Show a page of the documentation or the help of a command, or list the pages.",
    ),
    (
        "hooks",
        "gitbatch.cli.hooks:app",
        "The pre-commit hook: in a subagent's worktree only its file may be committed.",
    ),
)


class Verbs(LazyGroup):
    """The verbs as a command group."""

    table = VERBS
