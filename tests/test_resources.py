"""What comes with gitbatch is found in a checkout and in a wheel."""

from pathlib import Path

import pytest

from gitbatch import resources
from gitbatch.resources import resource

TOP = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("repos/three-groups", "fixtures/repos/three-groups"),
        ("repos/demo/gitbatch.toml", "fixtures/repos/demo/gitbatch.toml"),
        ("repos", "fixtures/repos"),
        ("hooks/pre-commit", "hooks/pre-commit"),
    ],
)
def test_in_a_checkout_it_is_where_people_look_for_it(name: str, place: str) -> None:
    assert resource(name) == TOP / place


@pytest.mark.parametrize("name", ["repos/demo", "repos/demo/task.md", "hooks/pre-commit"])
def test_in_a_wheel_it_is_inside_the_package(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "data" / name
    there.parent.mkdir(parents=True)
    there.write_text("", encoding="utf-8")
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path)
    assert resource(name) == there


@pytest.mark.parametrize("sample", ["demo", "demo-claude", "three-groups"])
def test_the_samples_are_there(sample: str) -> None:
    assert (resource(f"repos/{sample}") / "gitbatch.toml").is_file()
