"""When a round of tests collects garbage: between modules, and never what stays to the end."""

import gc
from collections.abc import Generator

import pytest

# The collection of tests makes what stays to the end; gitbatch itself has this threshold too.
gc.disable()
gc.set_threshold(200_000)


def pytest_collection_finish() -> None:
    """Take the tests themselves out of every garbage collection: there are thousands of them."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """Collect what the tests of a module have left, and take what stays out of later collections.

    Tests that collect garbage would each go through all modules that earlier tests have imported: 60 ms. And a task
    whose error was never asked for would be reported in the midst of another test.
    """
    done = yield
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()
    return done
