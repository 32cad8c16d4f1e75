"""The tools of the Claude agent: they read one commit, write one file, and answer whatever is asked."""

import asyncio
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from agents.values import committed

from gitbatch.agents.anthropic import tools
from gitbatch.agents.anthropic.api_key import ApiKey
from gitbatch.agents.anthropic.output import OutputFile
from gitbatch.agents.anthropic.tools import ToolContext, ToolResult, use_tool
from gitbatch.agents.protocol import ReplyFlag
from gitbatch.repo.base import Base

KEY = "a-key-that-nobody-sees"
FILES = {
    "src/a.py": b"one\ntwo\nthree\n",
    "src/b.bin": b"a\0b",
    "empty": b"",
    "out/x.md": b"of the commit\n",
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Base]:
    root = tmp_path_factory.mktemp("repo")
    (root / "link").symlink_to("/etc/passwd")
    with committed(root, FILES) as made:
        yield made


@pytest.fixture
def bench(base: Base, tmp_path: Path) -> ToolContext:
    (tmp_path / "worktree").mkdir()
    return ToolContext(base, OutputFile((tmp_path / "worktree",), "out/x.md"), ApiKey(KEY))


def use(bench: ToolContext, name: str, **arguments: object) -> ToolResult:
    return asyncio.run(use_tool(bench, name, arguments))


def written(bench: ToolContext) -> str:
    return (bench.output.layers[0] / "out/x.md").read_text(encoding="utf-8")


def test_a_file_is_read_in_pages(bench: ToolContext) -> None:
    assert use(bench, "read_file", path="src/a.py").text == "src/a.py: lines 1 to 3 of 3\none\ntwo\nthree"
    page = use(bench, "read_file", path="/src/./a.py", from_line=2, lines=1)
    assert page.text == "src/a.py: lines 2 to 2 of 3; continue with from_line=3\ntwo"
    behind = use(bench, "read_file", path="src/a.py", from_line=4)
    assert (behind.text, behind.is_error) == ("src/a.py has 3 lines; from_line=4 is behind the last", False)


def test_a_page_is_no_larger_than_it_may_be(bench: ToolContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "_PAGE_CHARACTERS", 8)
    assert use(bench, "read_file", path="src/a.py").text.startswith("src/a.py: lines 1 to 2 of 3; continue")
    monkeypatch.setattr(tools, "_READABLE", 8)
    assert use(bench, "read_file", path="src/a.py").text.startswith("src/a.py has 14 bytes, more than")


@pytest.mark.parametrize(
    "path",
    ["link", "src", "src/b.bin", "../repo/src/a.py", "/etc/passwd", "nowhere", "", ".git/config", "a\0"],
)
def test_what_is_no_text_file_of_the_commit_is_not_read(bench: ToolContext, path: str) -> None:
    answer = use(bench, "read_file", path=path)
    assert answer.is_error == (path == "src/b.bin"), "that a file is not there is an answer"
    assert answer.is_error or answer.text.startswith("no such file: ")
    assert "root" not in answer.text


def test_files_are_listed(bench: ToolContext, monkeypatch: pytest.MonkeyPatch) -> None:
    assert use(bench, "list_files", folder="src/").text == "src/a.py\nsrc/b.bin"
    monkeypatch.setattr(tools, "LISTED", 2)
    assert use(bench, "list_files").text == "empty\nout/x.md\nthere are more: continue with skip=2"
    assert use(bench, "list_files", skip=2).text == "src/a.py\nsrc/b.bin"
    assert use(bench, "list_files", folder="..") == ToolResult("there are no files below ..")
    assert use(bench, "list_files", skip=9) == ToolResult("there are no more files below the top")


def test_text_is_searched_for(bench: ToolContext, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        use(bench, "search", text="t").text
        == "3 lines\nout/x.md:1: of the commit\nsrc/a.py:2: two\nsrc/a.py:3: three"
    )
    assert use(bench, "search", text="^T", regex=True, ignore_case=True).text.startswith(
        "2 lines\nsrc/a.py:2"
    )
    assert use(bench, "search", text="absent").text == "0 lines"
    monkeypatch.setattr(tools, "FOUND", 1)
    assert "there are more" in use(bench, "search", text="t").text


@pytest.mark.parametrize(
    "arguments", [{"text": ""}, {"text": "a\nb"}, {"text": "("}, {"text": "a", "folder": ".."}]
)
def test_what_can_not_be_searched_for_is_an_error(bench: ToolContext, arguments: dict[str, str]) -> None:
    assert use(bench, "search", **arguments, regex=True).is_error


def test_the_output_is_written_edited_and_read_back(bench: ToolContext) -> None:
    assert "of the commit" in use(bench, "read_file", path="out/x.md").text
    assert use(bench, "write_output", content="a ä a\n").text == "out/x.md has 7 bytes now"
    assert use(bench, "write_output", content="b\n", append=True).text == "out/x.md has 9 bytes now"
    assert use(bench, "edit_output", old="a", new="c").text.startswith("the old text is there 2 times")
    assert not use(bench, "edit_output", old="a", new="c", everywhere=True).is_error
    assert use(bench, "read_file", path="out/x.md").text.endswith("\nc ä c\nb")
    assert written(bench) == "c ä c\nb\n"
    assert [path.name for path in (bench.output.layers[0] / "out").iterdir()] == ["x.md"]


def test_what_was_there_before_is_not_added_to(bench: ToolContext) -> None:
    bench.output.write(b"before")  # as a checkout does
    use(bench, "write_output", content="new", append=True)
    assert written(bench) == "new"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("edit_output", {"old": "x", "new": "y"}),
        ("write_output", {"content": "x", "path": "task.md"}),
        ("write_output", {}),
        ("write_output", {"content": 3}),
        ("finish", {"summary": "One. Two."}),
        ("bash", {"command": "rm -rf /"}),
        ("write_output", "text"),
    ],
)
def test_a_wrong_call_is_an_error_and_writes_nothing(
    bench: ToolContext, name: str, arguments: object
) -> None:
    assert asyncio.run(use_tool(bench, name, arguments)).is_error
    assert list(bench.output.layers[0].iterdir()) == []


def test_an_edit_can_not_grow_without_end(bench: ToolContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "LARGEST", 100)
    use(bench, "write_output", content="aaaaaaaaaa")
    assert use(bench, "edit_output", old="a", new="a" * 11, everywhere=True).is_error
    assert use(bench, "write_output", content="a" * 101).is_error
    assert written(bench) == "aaaaaaaaaa"


@pytest.mark.rule("S1")
def test_no_link_on_the_way_to_the_output_is_followed(bench: ToolContext, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (bench.output.layers[0] / "out").symlink_to(tmp_path / "elsewhere")
    assert use(bench, "write_output", content="x").is_error
    assert list((tmp_path / "elsewhere").iterdir()) == []
    (bench.output.layers[0] / "out").unlink()
    (bench.output.layers[0] / "out").mkdir()
    (tmp_path / "victim").write_text("victim", encoding="utf-8")
    (bench.output.layers[0] / "out/x.md").symlink_to(tmp_path / "victim")
    assert use(bench, "edit_output", old="victim", new="x").is_error
    assert not use(bench, "write_output", content="x").is_error  # the link itself is replaced
    assert (tmp_path / "victim").read_text(encoding="utf-8") == "victim"


@pytest.mark.rule("S3")
@pytest.mark.parametrize(
    ("summary", "is_right"),
    [
        ("One sentence only.", False),
        ("", False),
        ("One. Two.", True),
        ("One. Two. Three.", True),
        ("One. Two. Three. Four.", False),
        ("z. B. this, it is one.", False),
        ("A long word. " + "x" * 5_000, False),
    ],
)
def test_a_summary_has_two_or_three_sentences(bench: ToolContext, summary: str, *, is_right: bool) -> None:
    use(bench, "write_output", content="x")
    answer = use(
        bench, "finish", summary=summary, decisions=["d"], contributions=[{"artifact": "a", "text": "t"}]
    )
    assert answer.is_error is not is_right
    assert (answer.reply is not None) is is_right


@pytest.mark.rule("S3")
def test_a_short_summary_is_taken_and_flagged_when_asking_again_does_not_help(bench: ToolContext) -> None:
    """The output is written and paid for: it is not thrown away for a sentence."""
    use(bench, "write_output", content="x")
    assert use(bench, "finish", summary="Done.").is_error
    assert use(bench, "finish", summary="Done.").is_error
    reply = use(bench, "finish", summary="Done.").reply
    assert reply
    assert reply.flags == (ReplyFlag.SUMMARY_SHORT,)


def test_what_is_said_at_the_end_is_without_the_key(bench: ToolContext) -> None:
    use(bench, "write_output", content="x")
    said = f"It is {KEY}. Or {chr(0x200B).join(KEY)}."
    line = {"artifact": KEY, "text": said}
    reply = use(bench, "finish", summary=said, decisions=[said], contributions=[line]).reply
    assert reply
    assert reply.summary == reply.decisions[0] == "It is [the key]. Or [the key]."
    assert KEY not in repr(reply)


def test_the_key_is_in_no_file(bench: ToolContext) -> None:
    assert use(bench, "write_output", content=f"a {KEY} b").is_error
    assert not bench.has_written
    use(bench, "write_output", content=KEY[:9])
    assert "key" in use(bench, "write_output", content=KEY[9:], append=True).text
    assert use(bench, "edit_output", old=KEY[:9], new=KEY).is_error
    assert written(bench) == KEY[:9]


def test_what_is_given_to_a_server_that_needs_no_key_is_no_secret(bench: ToolContext) -> None:
    bench.key = ApiKey("none")
    assert not use(bench, "write_output", content="There is none.").is_error
    assert bench.key.remove_from("There is none.") == "There is none."


@pytest.mark.parametrize(
    ("number", "is_told"), [(errno.ENOSPC, False), (errno.EIO, False), (errno.EACCES, True)]
)
def test_the_model_is_not_asked_to_help_with_a_disk_that_fails(
    bench: ToolContext, monkeypatch: pytest.MonkeyPatch, number: int, *, is_told: bool
) -> None:
    def rename(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "rename", rename)
    if is_told:
        assert use(bench, "write_output", content="x").text == "cannot write out/x.md: Permission denied"
        return
    with pytest.raises(OSError, match=os.strerror(number)):
        use(bench, "write_output", content="x")
    assert not list((bench.output.layers[0] / "out").iterdir())


@pytest.mark.parametrize("number", [99999999999999999999, -1, 10**400])
def test_no_number_is_too_large_for_an_answer(bench: ToolContext, number: int) -> None:
    for name, arguments in (
        ("list_files", {"skip": number}),
        ("read_file", {"path": "src/a.py", "from_line": number}),
        ("read_file", {"path": "src/a.py", "lines": number}),
    ):
        answer = use(bench, name, **arguments)
        assert answer.is_error
        assert "invalid arguments" in answer.text


@pytest.mark.parametrize("path", ["a\0b", "\ud800", "x" * 200_000])
def test_no_path_is_too_odd_for_an_answer(bench: ToolContext, path: str) -> None:
    for name, field in (("read_file", "path"), ("list_files", "folder"), ("search", "folder")):
        assert use(bench, name, **{field: path, **({"text": "x"} if name == "search" else {})}).text


def test_a_text_that_is_too_long_to_search_for_is_told(bench: ToolContext) -> None:
    assert "too long" in use(bench, "search", text="x" * 200_000).text
