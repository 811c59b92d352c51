"""Search on one machine: the seeds are spread over processes, each of which imports the test once."""

from collections.abc import Generator
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread

from postel.search.records import Order, Outcome
from postel.search.runner import Runner


def search(runner: Runner, seeds: list[int], jobs: int) -> Generator[Outcome, None, None]:
    """Yield the outcome of each seed, as soon as it is known.

    The test runs in the process of ``runner`` and in ``jobs`` - 1 further ones. If the caller stops early,
    all these processes end.
    """
    team = _Team(runner, seeds)
    team.start(min(jobs, len(seeds)))
    try:
        for _ in seeds:
            told = team.outcomes.get()
            if isinstance(told, BaseException):
                raise told
            yield told
    finally:
        team.stop()


class _Team:
    """Threads of a search, each of which passes seeds to one process and waits for outcomes."""

    def __init__(self, runner: Runner, seeds: list[int]) -> None:
        """Put the seeds into a queue, from which every thread takes its next seed."""
        self.outcomes: SimpleQueue[Outcome | BaseException] = SimpleQueue()
        self._runner = runner
        self._seeds: SimpleQueue[int] = SimpleQueue()
        for seed in seeds:
            self._seeds.put(seed)
        self._busy: set[Runner] = set()
        self._threads: list[Thread] = []
        self._is_stopped = False

    def start(self, count: int) -> None:
        """Start ``count`` threads. The first uses the existing process; each other one starts a process."""
        self._threads = [Thread(target=self._first), *(Thread(target=self._other) for _ in range(count - 1))]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the processes that are in the middle of a run, and wait for the threads."""
        self._is_stopped = True
        for runner in tuple(self._busy):
            runner.kill()
        for thread in self._threads:
            thread.join()

    def _first(self) -> None:
        self._guarded(self._runner)

    def _other(self) -> None:
        try:
            runner = Runner(self._runner.target)
        except Exception as error:  # noqa: BLE001 - raised in the thread that waits
            self.outcomes.put(error)
            return
        with runner:
            self._guarded(runner)

    def _guarded(self, runner: Runner) -> None:
        """Run seeds in one process. An exception is passed to the thread that waits for outcomes."""
        try:
            self._work(runner)
        except Exception as error:  # noqa: BLE001 - raised in the thread that waits
            self.outcomes.put(error)

    def _work(self, runner: Runner) -> None:
        """Run one seed after another, until no more are left."""
        with suppress(Empty):
            while not self._is_stopped:
                seed = self._seeds.get_nowait()
                self._busy.add(runner)
                outcome = runner.run(Order(seed)).outcome
                self._busy.discard(runner)
                if outcome is not None:
                    self.outcomes.put(outcome)
