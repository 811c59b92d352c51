"""``python tools/fuzz.py 10000000``: so many packets of `tests.fuzz.barrage`, on every processor.

``make fuzz`` does it on the compiled core. Prints how often connections were seen in each state, and how the
memory of the processes grew. Exit status 1, with the seed that shows it, when an exception left a host, an
invariant fell or memory grew.
"""

import os
import resource
import sys
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
import postel.tcp.connection as core
from tests.fuzz.barrage import barrage

_PART = 100_000  # packets of one task
# KiB of a process's memory after its first task: one round's memory, and fragmentation
_MOST_GROWTH = 64 << 10
_SEEDS = 1_000_000  # between two tasks, more than one of them plays


def task(number: int) -> tuple[Counter[str], int, int]:
    """What was seen, and this process with the most memory that it has had, in KiB."""
    try:
        seen = barrage(_PART, number * _SEEDS)
    except Exception as error:  # noqa: BLE001 - whatever left a host is what this looks for
        raise RuntimeError("".join(traceback.format_exception(error))) from None  # pickled as text
    return seen, os.getpid(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(packets: int) -> int:
    kind = "interpreted" if core.__file__.endswith(".py") else "compiled"
    seen: Counter[str] = Counter()
    first: dict[int, int] = {}
    growth = 0
    with ProcessPoolExecutor() as pool:
        for part, process, most in pool.map(task, range(-(-packets // _PART))):
            seen += part
            growth = max(growth, most - first.setdefault(process, most))
            print(f"\r{seen['packets']:,} packets", end="", file=sys.stderr, flush=True)
    print(
        f"\n{seen.pop('packets'):,} packets on the {kind} core: no exception left a host, every invariant "
        "stood"
    )
    for state, count in seen.most_common():
        print(f"{state:>14}  {count:,}")
    print(f"memory grew by {growth >> 10} MiB at most after a process's first {_PART:,} packets")
    return int(growth > _MOST_GROWTH)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
