"""The language and the size of the code, counted. `python tests/test_style.py` prints the counts and each finding."""

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
SOURCES = tuple(sorted((ROOT / "gitbatch").rglob("*.py")))
TEXTS = tuple(sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]))

PHRASES = {
    r"can't be": "write “cannot”",
    r"\bis no (?!longer|more)": "write “invalid”, “missing” or “not a”",
    r"(?-i:\bis none\b)": "say what is missing",  # not the code of an f-string
    r"\bso many\b": "say how many",
    r"\banew\b": "write “again” or “new”",
    r"\bbeside\b": "write “besides” or “next to”",
    r"\bupon\b": "write “on”",
    r"\bsomebody\b|\bnobody\b|\bwhoever\b": "name who it is",
    r"\bmend(?:s|ed|ing)?\b": "write “fix”",
    r"\bgits\b": "write “git processes”",
    r"\bgoes on\b|\bgo on\b|\bgone on\b": "write “resume” or “continue”",
    r"\bis over\b|\bare over\b": "write “has ended”",
    r"\btold\b": "write “reported” or “given”",
    r"\blets? go of\b": "write “release”",
    r"\ball the time\b": "say how often",
    r"\bin the place of\b|\bin (?:its|their) place\b": "write “instead of”",
    r"\bat the place of\b": "write “at the path of”",
}
"""What a metaphor or an aphorism is written for where the field has a word; with what to write instead."""
FORBIDDEN = re.compile("|".join(f"(?:{phrase})" for phrase in PHRASES), re.IGNORECASE)


class Word(NamedTuple):
    """A word that had several meanings once, and the names that have it in the one of the glossary."""

    meaning: str
    forms: str
    names: str
    types: str = ""
    """Those of values whose name is the word alone."""


WORDS = (
    Word(
        "a position in a text, a list or the history; on disk there are folders and paths",
        "places?|placed",
        "(Error|File|Item|Key)Place|(ITEM|MERGE|REVIEW)_PLACE|PLACE_HINT|find_places?|judge_place|match_place|name_place"
        "|place_in_config|placed|toml_places|unique_places",
        r"(Error|File|Item|Key)Place|_Nesting|\bint\b|\bfloat\b",
    ),
    Word(
        "a task of asyncio, or the file task.md",
        "tasks?",
        "(create|cancel|current|all)_tasks?|TaskGroup|tasks|task_md",
        r"asyncio\.Task",
    ),
    Word(
        "to sign a commit",
        "signs?|sign(?:ed|ing|ers?|atures?)",
        "signs|(sign|signed)_commit|sign_timeout|signing|Signer|(Unanswered)?SigningError|(find|require|wait_for)_signer|is_signed"
        "|signer|lacks_signature|stop_signing|write_signed_if_possible",
    ),
    Word("nothing: name what happens", "settle[sd]?|settling", ""),
    Word(
        "the section of CLAUDE.md; of a git setting its scope; the kernel's own word in landlock.py",
        "scoped?|scopes",
        "SCOPE_(FILE|UNCLEAR|ABSTRACT|SIGNAL)|(TITLES|CHANGE)_SCOPE|(REPOSITORY|USER)_SCOPES|(missing|wants|append|check)_scope"
        "|scope_titles|scoped",
        r"str",
    ),
    Word(
        "what a batch was started with; to write into git what became of something",
        "records?|record(?:ed|ing|er)",
        "RECORDED|RECORD_VERSION|Record|Recorded(Check|Gate|Item|Review|Run|Version)|(encode|read|write|rewrite)_record|record_ref"
        "|(choose|print|read|show|describe|is|note|take)_recorded|(find_recorded)_runs|read_recorded_items|recorded_agents"
        "|(run_and_)?record(_(alone|decisions|here|red_base|choices|gated|group|interrupted|review))?|records|recorded|recording",
        r"\bRecord\b|RecordedReview",
    ),
)
"""To give one of them to something new, read the glossary first; then add the name here."""
ANY_WORD = re.compile("plac|task|sign|settl|scope|record", re.IGNORECASE)

BROAD_CATCHES = ["batch/item/attempt.py", "cli/main.py"]
"""An item whose attempt raises anything fails alone; an error of the program has an exit code and a log file."""

QUESTION_DOCSTRINGS = 0.05
ONE_WORD_NAMES = 0.40
FUNCTION_LINES = 60
MODULE_LINES = 350


class Finding(NamedTuple):
    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.text}"


class Part(NamedTuple):
    """A module, a class, a function, or a value that has a type. It is kept, and not the syntax tree, which is large."""

    path: Path
    kind: str
    name: str
    first: int
    last: int
    docstring: str
    annotation: str = ""

    def report(self, text: str) -> Finding:
        return Finding(self.path, self.first, text)


@cache
def read_parts() -> tuple[Part, ...]:
    return tuple(part for path in SOURCES for part in _find_parts(path))


def _find_parts(path: Path) -> Iterator[Part]:
    """The parts of a module. In expressions there are none."""
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        said = ast.get_docstring(node) or "" if isinstance(node, ast.Module | _NAMED) else ""
        if isinstance(node, ast.Module):
            yield Part(path, "module", path.stem, 1, 1, said)
        elif isinstance(node, _NAMED):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            yield Part(path, kind, node.name, node.lineno, node.end_lineno or 0, said)
        elif isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
            name = node.arg if isinstance(node, ast.arg) else ast.unparse(node.target).removeprefix("self.")
            yield Part(path, "value", name, node.lineno, 0, "", ast.unparse(node.annotation))
        elif isinstance(node, ast.ExceptHandler) and _is_broad(node):
            yield Part(path, "broad catch", "", node.lineno, 0, "")
        waiting.extend(child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr))


def _is_broad(handler: ast.ExceptHandler) -> bool:
    """Whether a handler takes every error, and does not only clean up and raise it again."""
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    ends_raising = isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None
    broad = any(kind is None or ast.unparse(kind) in {"Exception", "BaseException"} for kind in caught)
    return broad and not ends_raising


_NAMED = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> list[Part]:
    return [part for part in read_parts() if part.kind == "function"]


def words_of(name: str) -> list[str]:
    return name.strip("_").split("_")


def is_magic(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def one_word_names() -> tuple[list[Finding], int]:
    named = [part for part in functions() if not is_magic(part.name)]
    return [part.report(part.name) for part in named if len(words_of(part.name)) == 1], len(named)


def question_docstrings() -> tuple[list[Finding], int]:
    """Docstrings that begin with What, Where, Who, or with Whether at what is no predicate."""
    said = [part for part in read_parts() if part.docstring]
    return [part.report(part.docstring.splitlines()[0]) for part in said if _asks(part)], len(said)


def _asks(part: Part) -> bool:
    first = part.docstring.split(maxsplit=1)[0]
    is_predicate = words_of(part.name)[0] in {"is", "has", "can", "may", "matches", "needs", "knows"}
    return first in {"What", "Where", "Who", "Whose", "Which"} or (first == "Whether" and not is_predicate)


def texts_in(path: Path) -> Iterator[tuple[int, str]]:
    """Comments and strings of a source, or the lines of a document outside of code; each with two words of the next."""
    if path.suffix == ".md":
        fenced = False
        for number, line in _read_on(path.read_text(encoding="utf-8")):
            fenced ^= line.lstrip().startswith("```")
            if not fenced:
                yield number, re.sub(r"`[^`]*`|\]\([^)]*\)", "", line)
        return
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type in {tokenize.COMMENT, tokenize.STRING}:
            yield from ((token.start[0] + number - 1, line) for number, line in _read_on(token.string))


def _read_on(text: str) -> Iterator[tuple[int, str]]:
    lines = text.splitlines()
    for number, (line, after) in enumerate(pairwise([*lines, ""]), 1):
        yield number, " ".join([line, *after.split()[:2]])


def forbidden_phrases() -> list[Finding]:
    return [
        Finding(path, number, f"“{found[0]}” in: {line.strip()[:90]}")
        for path in (*SOURCES, *TEXTS)
        if FORBIDDEN.search(
            " ".join(path.read_text(encoding="utf-8").split())
        )  # to read the words of a program takes longer
        for number, line in texts_in(path)
        for found in FORBIDDEN.finditer(line)
    ]


def long_functions() -> list[Finding]:
    lengths = ((part, part.last - part.first + 1) for part in functions())
    return [
        part.report(f"{part.name}: {length} lines") for part, length in lengths if length > FUNCTION_LINES
    ]


def long_modules() -> list[Finding]:
    counted = ((path, path.read_text(encoding="utf-8").count("\n")) for path in SOURCES)
    return [Finding(path, 1, f"{lines} lines") for path, lines in counted if lines > MODULE_LINES]


def doubled_classes() -> list[Finding]:
    classes = [part for part in read_parts() if part.kind == "class"]
    counts = Counter(part.name.strip("_") for part in classes)
    return [part.report(part.name) for part in classes if counts[part.name.strip("_")] > 1]


def words_with_other_meanings() -> list[Finding]:
    return [
        part.report(f"{part.name}: “{found[0]}” means {word.meaning}")
        for part in read_parts()
        if ANY_WORD.search(part.name)
        for word in WORDS
        for found in re.finditer(rf"(?<![a-z])(?:{word.forms})(?![a-z])", _split_name(part.name))
        if not _is_known(part, word)
    ]


def _split_name(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _is_known(part: Part, word: Word) -> bool:
    name = part.name.strip("_")
    if word.types and part.annotation and re.fullmatch(word.forms, name):
        return re.search(word.types, part.annotation) is not None or name in word.names.split("|")
    return re.fullmatch(word.names, name) is not None or (
        part.kind == "module" and name in {"record", "scope"}
    )


def listed(findings: list[Finding]) -> str:
    return "\n".join(map(str, findings))


def test_phrases() -> None:
    findings = forbidden_phrases()
    assert not findings, listed(findings)


def test_sources() -> None:
    """All counts of the syntax trees in one test, as they take longest to parse."""
    asking, docstrings = question_docstrings()
    short, named = one_word_names()
    findings = long_functions() + long_modules() + doubled_classes() + words_with_other_meanings()
    assert len(asking) <= QUESTION_DOCSTRINGS * docstrings, listed(asking)
    assert len(short) <= ONE_WORD_NAMES * named, f"{len(short)} of {named}"
    assert not findings, listed(findings)
    broad = [part.path for part in read_parts() if part.kind == "broad catch"]
    assert [str(path.relative_to(ROOT / "gitbatch")) for path in broad] == BROAD_CATCHES


def test_names_of_test_modules_differ() -> None:
    """Pytest imports two modules of one name as the same, and stops."""
    counts = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in counts.items() if count > 1] == []


def main() -> None:
    """Print every finding below the paths that are given (all without), then the counts."""
    wanted = [str(Path(argument).resolve()) for argument in sys.argv[1:]] or [str(ROOT)]

    def mine(findings: list[Finding]) -> list[Finding]:
        return [f for f in findings if any(str(f.path.resolve()).startswith(path) for path in wanted)]

    names, functions_counted = one_word_names()
    docstrings, docstrings_counted = question_docstrings()
    everything = {
        "forbidden phrases": forbidden_phrases(),
        "docstrings that ask": docstrings,
        "one-word functions": names,
        "long functions": long_functions(),
        "long modules": long_modules(),
        "doubled classes": doubled_classes(),
        "words with other meanings": words_with_other_meanings(),
    }
    for title, findings in everything.items():
        print(f"\n## {title}\n{listed(mine(findings))}")  # noqa: T201 - its command line
    counts = {title: len(mine(findings)) for title, findings in everything.items()}
    print(f"\n{counts} of {functions_counted} functions, {docstrings_counted} docstrings in all")  # noqa: T201 - as above


if __name__ == "__main__":
    main()
