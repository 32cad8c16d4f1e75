"""How the tests of a round are given to its workers."""

from types import SimpleNamespace

from scheduling import ModuleScheduling


class Worker:
    """A worker that has done what it was given when it is asked to."""

    def __init__(self) -> None:
        self.gateway = SimpleNamespace(id="")
        self.waiting: list[int] = []
        self.shutting_down = False

    def send_runtest_some(self, tests: list[int]) -> None:
        self.waiting += tests

    def shutdown(self) -> None:
        self.shutting_down = True

    def run_next(self) -> int | None:
        """Run a test as a worker of xdist does: it must know the next one, or that there is none."""
        return self.waiting.pop(0) if len(self.waiting) > 1 - self.shutting_down else None


def run_round(sizes: tuple[int, ...], speeds: tuple[int, ...]) -> list[list[str]]:
    """The modules of the tests that each worker has run, of modules of these sizes: worker n runs so many at a time."""
    tests = [f"test_{module}.py::test_{test}" for module, size in enumerate(sizes) for test in range(size)]
    config = SimpleNamespace(getvalue=lambda _: ["popen"] * len(speeds), getoption=lambda _: None)
    scheduler = ModuleScheduling(config)
    workers = [Worker() for _ in speeds]
    for worker in workers:
        scheduler.add_node(worker)
        scheduler.add_node_collection(worker, tests)
    scheduler.schedule()
    ran: list[list[str]] = [[] for _ in workers]
    for _ in tests:
        for worker, speed, done in zip(workers, speeds, ran, strict=True):
            for _ in range(speed):
                if (test := worker.run_next()) is not None:
                    done.append(tests[test].partition("::")[0])
                    scheduler.mark_test_complete(worker, test)
    assert sorted(name for done in ran for name in done) == sorted(test.partition("::")[0] for test in tests)
    return ran


def test_a_module_is_of_one_worker() -> None:
    ran = run_round((3, 1, 4, 2, 4, 4, 1, 3, 4, 2, 2, 1, 3, 3), (1, 3))
    assert not set(ran[0]) & set(ran[1])
    assert len(ran[1]) > len(ran[0])


def test_few_tests_are_shared_too() -> None:
    assert min(map(len, run_round((16,), (1, 1)))) >= 4
    assert list(map(len, run_round((1,), (1, 1)))) == [1, 0]
