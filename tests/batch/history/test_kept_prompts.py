"""The prompts that are kept with the log of a batch: one for each attempt, also of a revision."""

from pathlib import Path

from gitbatch.batch.history.kept_prompts import AttemptName, KeptPrompt, keep_prompt, read_prompt
from gitbatch.plan.model import ItemKey

BATCH, KEY = "20260102-030405-0000", ItemKey("1-t1")
REVIEWS = ("", "1" * 40, "2" * 40)


def test_a_revision_keeps_the_prompts_before_it(tmp_path: Path) -> None:
    """Attempt 1 of a revision is another one than attempt 1 of the first run; an interrupted one is replaced."""
    names = [AttemptName(KEY, review, number) for review in REVIEWS for number in (1, 2)]
    for name in names:
        keep_prompt(tmp_path, BATCH, name, "interrupted")
        keep_prompt(tmp_path, BATCH, name, f"for {name.file}")
    assert len({name.file for name in names}) == len(names)
    for name in names:
        assert read_prompt(tmp_path, BATCH, name) == KeptPrompt(f"for {name.file}", name.number)
    assert read_prompt(tmp_path, BATCH, names[-1]._replace(number=9)) == KeptPrompt(
        f"for {names[-1].file}", 2
    )
    assert read_prompt(tmp_path, BATCH, AttemptName(ItemKey("1-t2"), "", 1)) is None
