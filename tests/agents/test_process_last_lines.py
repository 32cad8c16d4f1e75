"""What is made of what a program printed: a reason in one line, whether a server was busy, JSON shown short."""

import pytest

from gitbatch.agents.command.table import BUSY_WORDS
from gitbatch.agents.json_text import after_json, is_json, shorten_json
from gitbatch.agents.process.last_lines import find_reason, is_busy
from gitbatch.text import CleanText

PYTHON = """Traceback (most recent call last):
File "/x/agent.py", line 429, in <module>
main()
~~~~^^
KeyError: 'm03'"""
NODE = """/x/agent.js:12
throw new Error("no such model")
^
Error: no such model
at main (/x/agent.js:12:9)
at Object.<anonymous> (/x/agent.js:429:1)
at node:internal/main/run_main_module:28:49
Node.js v20.11.0"""
RUST = """thread 'main' panicked at src/main.rs:4:5:
index out of bounds
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace"""
JAVA = """Exception in thread "main" java.lang.IllegalStateException: no model
at com.example.Main.main(Main.java:42)
... 3 more"""


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("", ""),
        ("----\n3\n}", ""),
        ("it broke\n}", "it broke"),
        (PYTHON, "KeyError: 'm03'"),
        (NODE, "Error: no such model"),
        (RUST, "index out of bounds"),
        (JAVA, 'Exception in thread "main" java.lang.IllegalStateException: no model'),
        ("exit status 2", "exit status 2"),
        ("at the end of the day", "at the end of the day"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_the_reason_is_the_last_line_that_says_something(lines: str, reason: str) -> None:
    assert find_reason([CleanText(line) for line in lines.splitlines()]) == reason


@pytest.mark.parametrize(
    "line",
    [
        "Error: Rate limit reached",
        "rate_limit_error: slow down",
        "openai.RateLimitError: slow down",
        "429 Too Many Requests",
        "HTTP/1.1 429",
        "status code: 429, retry",
        "(429)",
        '{"statusCode":429,"x":1}',
        "last status: 429.",
        "Overloaded",
        "overloaded_error",
        "The server is busy. Please TRY AGAIN later!",
    ],
)
def test_what_looks_like_a_busy_server(line: str) -> None:
    assert is_busy(["x", line], BUSY_WORDS)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "agent.py:429: error",
        "at main (/x/agent.js:429:1)",
        'File "x.py", line 429, in f',
        "see lines 429 and 430",
        "1 failed, 429 passed",
        "took 429 ms",
        "1429 files, 4290 bytes",
        "1.429 and 429.5",
        "#429",
        "a separate limit",
        "limit the rate",
        "try later",
    ],
)
def test_what_does_not(line: str) -> None:
    assert not is_busy([line], BUSY_WORDS)


def test_patterns_are_texts_and_none_means_never() -> None:
    assert not is_busy(["anything"], ())
    assert is_busy(["a (b. c)* d"], ("(b.-c)*",))
    assert not is_busy(["a bxc d"], ("b.c",))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("no {json}", "no {json}"),
        ("[no json", "[no json"),
        ("[1, 2]", "[1, 2]"),
        ('{"a": 1}', '{"a": 1}'),
        ('{"type": "system", "subtype": "init", "tools": ["Bash"]}', "system init"),
        ('{"type": "result", "subtype": "success", "is_error": true, "result": "API Error: 401"}', "result: API Error: 401"),
        ('{"type": "assistant", "message": {"role": "assistant", "content": [{"type": "tool_use", "name": "Write"}]}}', "assistant: Write"),
        ('{"type": "item.completed", "item": {"type": "agent_message", "text": "one\\ntwo"}}', "item.completed: one two"),
        ('{"type": "error", "error": {"name": "APIError", "data": {"message": "slow down"}}}', "error: slow down"),
        ('[{"text": " "}, {"text": "x"}]', "x"),
        ('{"a": "' + "b" * 300 + '"}', '{"a": "' + "b" * 152 + "…"),
        ('{"error": ' * 9 + '"deep"' + "}" * 9, '{"error": ' * 9 + '"deep"' + "}" * 9),
        ("[" * 100_000, "[" * 100_000),
    ],
)  # fmt: skip
def test_json_is_shown_as_its_type_and_what_it_says(line: str, shown: str) -> None:
    assert shorten_json(line) == shown


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", False),
        ("Done.", False),
        ("[WIP] Wrote it.", False),
        ('{"a": 1}', True),
        (' [\n{"a": 1}\n]\n', True),
        ('{"a": 1}\n\n{"b": 2}', True),
        ('{"a": 1}\nDone.', False),
        ("3", False),
    ],
)
def test_what_is_json(text: str, *, found: bool) -> None:
    assert is_json(text) is found


@pytest.mark.parametrize(
    ("paragraph", "rest"),
    [
        ("", ""),
        ("One.\nTwo.", "One.\nTwo."),
        ('{"a": 1}\nOne.\nTwo.', "One.\nTwo."),
        ('One.\n{"a": 1}', ""),
        ('{\n "a": 1\n}', ""),
        ('{\n "a": 1\n}\nOne.', "One."),
        ('cut at its beginning", "usage": {"in": 3}}', ""),
        ("Wrote the set {a, b}", "Wrote the set {a, b}"),
    ],
)
def test_what_stands_after_the_last_json(paragraph: str, rest: str) -> None:
    assert after_json(paragraph) == rest
