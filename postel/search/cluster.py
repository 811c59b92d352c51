"""The engine for many machines: seeds spread over the workers of a Dask cluster. Needs ``pip install
postel[cluster]``.

Each task of Dask is a chunk of seeds, run by a `Runner` beside the worker, in a process of its own: a test
that sets its clock and its random numbers does that to nothing else. The test's file has to be at the same
path on each machine; its digest is compared.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final

from postel.errors import ArgumentError
from postel.search.records import Order, Outcome
from postel.search.runner import Runner

_idle: defaultdict[tuple[str, str], list[Runner]] = defaultdict(
    list
)  # in a worker of Dask: by target and digest, for the next chunk
_CHUNKS: Final = 8  # for each thread of the cluster, so that none is idle for long at the end
_MOST: Final = 100  # seeds in a chunk
_PATIENCE: Final = 10  # seconds until a scheduler that doesn't answer is given up


def search(target: str, seeds: list[int], scheduler: str, jobs: int) -> Iterator[Outcome]:
    """The outcome of each seed, in the order in which they come, by the cluster whose scheduler has the
    address ``scheduler``; where that is empty, by a cluster of ``jobs`` processes on this machine. Raises
    ArgumentError.
    """
    distributed = _distributed()
    path, source = str(Path(target).absolute()), digest(target)
    with _client(distributed, scheduler, jobs) as client:
        chunks = _chunks(seeds, sum(client.nthreads().values()))
        futures = client.map(run_chunk, [path] * len(chunks), [source] * len(chunks), chunks, pure=False)
        try:
            for done in distributed.as_completed(futures):
                yield from (Outcome(*row) for row in done.result())
        finally:
            client.cancel(futures)
            client.run(close_idle, path, source)


def _chunks(seeds: list[int], threads: int) -> list[list[int]]:
    size = max(1, min(_MOST, len(seeds) // (_CHUNKS * threads)))
    return [seeds[start : start + size] for start in range(0, len(seeds), size)]


def digest(target: str) -> str:
    """SHA-256 of the file of ``target``. Raises ArgumentError where there is none."""
    path = Path(target.partition("::")[0])
    if not path.is_file():
        raise ArgumentError("FILE.py::test", target, "a file that exists, and a test in it")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_chunk(target: str, source: str, seeds: list[int]) -> list[tuple[Any, ...]]:
    """Called by Dask, in a worker: the fields of the outcomes. The process that ran them waits for the next
    chunk.
    """
    if digest(target) != source:
        raise ArgumentError("FILE.py::test", target, "the same file on each machine of the cluster")
    idle = _idle[target, source]
    runner = idle.pop() if idle else Runner(target)
    try:
        outcomes = [runner.run(Order(seed)).outcome for seed in seeds]
    except BaseException:
        runner.close()
        raise
    idle.append(runner)
    return [astuple(outcome) for outcome in outcomes if outcome is not None]


def close_idle(target: str, source: str) -> None:
    """Called by Dask, in each worker, after the last chunk."""
    for runner in _idle.pop((target, source), ()):
        runner.close()


def _distributed() -> Any:  # noqa: ANN401 - a module
    try:
        import distributed  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ArgumentError(
            "--engine", "dask", "processes, or dask after `pip install postel[cluster]`"
        ) from error
    return distributed


@contextmanager
def _client(distributed: Any, scheduler: str, jobs: int) -> Iterator[Any]:  # noqa: ANN401
    if not scheduler:
        with (
            distributed.LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=None) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client
        return
    allowed = "a Dask scheduler that answers and has workers, such as tcp://10.0.0.1:8786"
    try:
        client = distributed.Client(scheduler, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise ArgumentError("--scheduler", scheduler, allowed) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError as error:
            raise ArgumentError("--scheduler", scheduler, allowed) from error
        yield client
