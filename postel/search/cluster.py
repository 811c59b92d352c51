"""The engine for many machines: seeds spread over the workers of a Dask cluster. Needs ``pip install postel[cluster]``.

Each task of Dask is a chunk of seeds, run by a `Runner` beside the worker, in a process of its own: a test that sets its clock and its
random numbers does that to nothing else. The test's file has to be at the same path on each machine; its digest is compared.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final

from postel.errors import ArgumentError
from postel.search.records import Order, Outcome
from postel.search.runner import Runner

_CHUNKS: Final = 8  # for each thread of the cluster, so that none is idle for long at the end
_MOST: Final = 100  # seeds in a chunk
_PATIENCE: Final = 10  # seconds until a scheduler that doesn't answer is given up


def search(target: str, seeds: list[int], scheduler: str, jobs: int) -> Iterator[Outcome]:
    """The outcome of each seed, in the order in which they come, by the cluster whose scheduler has the address ``scheduler``; where that
    is empty, by a cluster of ``jobs`` processes on this machine. Raises ArgumentError."""
    distributed = _distributed()
    with _client(distributed, scheduler, jobs) as client:
        threads = sum(client.nthreads().values()) or 1
        size = max(1, min(_MOST, len(seeds) // (_CHUNKS * threads)))
        chunks = [seeds[start : start + size] for start in range(0, len(seeds), size)]
        futures = client.map(run_chunk, [str(Path(target).absolute())] * len(chunks), [digest(target)] * len(chunks), chunks, pure=False)
        for done in distributed.as_completed(futures):
            yield from (Outcome(*row) for row in done.result())


def digest(target: str) -> str:
    """SHA-256 of the file of ``target``. Raises ArgumentError where there is none."""
    path = Path(target.partition("::")[0])
    if not path.is_file():
        raise ArgumentError("FILE.py::test", target, "a file that exists, and a test in it")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_chunk(target: str, source: str, seeds: list[int]) -> list[tuple[Any, ...]]:
    """Called by Dask, in a worker: the fields of the outcomes."""
    if digest(target) != source:
        raise ArgumentError("FILE.py::test", target, "the same file on each machine of the cluster")
    with Runner(target) as runner:
        outcomes = [runner.run(Order(seed)).outcome for seed in seeds]
    return [astuple(outcome) for outcome in outcomes if outcome is not None]


def _distributed() -> Any:  # noqa: ANN401 - a module
    try:
        import distributed  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ArgumentError("--engine", "dask", "processes, or dask after `pip install postel[cluster]`") from error
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
    try:
        client = distributed.Client(scheduler, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise ArgumentError("--scheduler", scheduler, "a Dask scheduler that answers, such as tcp://10.0.0.1:8786") from error
    with client:
        yield client
