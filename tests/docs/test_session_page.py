"""The code of the page about sessions is run as it stands there."""

import re
from pathlib import Path
from typing import Any

import pytest
from conftest import Workspace
from history import assert_tidy, ticked

from gitbatch.batch.ending import Ending

PAGE = Path(__file__).parent.parent.parent / "docs" / "development" / "session.md"


def test_code_runs(
    three: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for name, value in three.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(three.root)
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - our own page
    assert names["result"].ending is Ending.COMPLETE
    assert (names["result"].succeeded, names["result"].failed) == (12, 0)
    assert len(ticked(three)) == 12
    assert "CheckpointReached(" in capsys.readouterr().out
    assert_tidy(three)
