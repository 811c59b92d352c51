"""Search on many machines: the seeds are spread over the workers of a Dask cluster.

Dask comes with ``pip install postel[cluster]``. Each task of Dask is a chunk of seeds. The worker of Dask
passes the chunk to a `Runner`, which runs the seeds in a process of its own, so that a test which sets its
clock and its random numbers doesn't change them in the worker. The file of the test has to be at the same
path on each machine; its digest is compared to that of the searching process.
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

# Runners in a worker of Dask that wait for the next chunk, by target and digest of its file
_idle: defaultdict[tuple[str, str], list[Runner]] = defaultdict(list)
_CHUNKS: Final = 8  # number of chunks for each thread of the cluster
_MOST: Final = 100  # limit of the seeds in a chunk
_PATIENCE: Final = 10  # seconds until the search gives up a scheduler that doesn't answer


def search(target: str, seeds: list[int], scheduler: str, jobs: int) -> Iterator[Outcome]:
    """Yield the outcome of each seed, as soon as it is known.

    ``scheduler`` is the address of a cluster's scheduler. If it is empty, a cluster of ``jobs`` processes is
    made on this machine. Raises ArgumentError.
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
    """Cut the seeds into chunks, enough of them that no worker is idle for long at the end."""
    size = max(1, min(_MOST, len(seeds) // (_CHUNKS * threads)))
    return [seeds[start : start + size] for start in range(0, len(seeds), size)]


def digest(target: str) -> str:
    """SHA-256 of the file of ``target``. Raises ArgumentError where there is no file."""
    path = Path(target.partition("::")[0])
    if not path.is_file():
        raise ArgumentError("FILE.py::test", target, "a file that exists, and a test in it")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_chunk(target: str, source: str, seeds: list[int]) -> list[tuple[Any, ...]]:
    """Run some seeds, and return the fields of their outcomes. Dask calls this function in a worker.

    The process that runs the seeds is kept for the next chunk. Raises ArgumentError if the digest of the
    worker's file isn't ``source``, that of the searching process.
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
    """End the processes kept for a test. Dask calls this function in each worker, after the last chunk."""
    for runner in _idle.pop((target, source), ()):
        runner.close()


def _distributed() -> Any:  # noqa: ANN401 - a module
    """Import Dask's module. Raises ArgumentError where it isn't installed."""
    try:
        import distributed  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ArgumentError(
            "--engine", "dask", "processes, or dask after `pip install postel[cluster]`"
        ) from error
    return distributed


@contextmanager
def _client(distributed: Any, scheduler: str, jobs: int) -> Iterator[Any]:  # noqa: ANN401 - a module
    """Connect to the scheduler, or make a cluster on this machine. The connection ends with the block."""
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
