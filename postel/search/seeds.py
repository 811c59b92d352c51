"""Seeds as text: "1..1000", "7", "1..10,20..30"."""

from collections.abc import Iterable
from typing import Final

from postel.errors import ArgumentError

_MOST: Final = 10_000_000
_ALLOWED: Final = f'such as "1..1000", "7" or "1..10,20..30"; 0 or more each, rising, at most {_MOST:,} seeds'


def parse(text: str) -> list[int]:
    """Seeds that ``text`` names, each once, in rising order. Raises ArgumentError."""
    ranges = [_range(part, text) for part in text.split(",")]
    if sum(map(len, ranges)) > _MOST:
        raise ArgumentError("--seeds", text, _ALLOWED)
    return sorted({seed for found in ranges for seed in found})


def _range(part: str, text: str) -> range:
    first, dots, last = (word.strip() for word in part.partition(".."))
    numbers = [first, last] if dots else [first, first]
    if not all(number.isascii() and number.isdigit() for number in numbers):
        raise ArgumentError("--seeds", text, _ALLOWED)
    found = range(int(numbers[0]), int(numbers[1]) + 1)
    if not found:
        raise ArgumentError("--seeds", text, _ALLOWED)
    return found


def written(seeds: Iterable[int]) -> str:
    """Text that `parse` reads as the same seeds. Three or more in sequence are shortened: "1..10, 17, 18"."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(f"{run[0]}..{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)
