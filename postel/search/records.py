"""What a search and the processes that run its test say to each other, and what came out of a run."""

import json
from dataclasses import asdict, dataclass
from typing import Final, Self

PASSED: Final = "passed"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"
CRASHED: Final = "crashed"  # the process ended in the middle of the run
SEPARATOR: Final = "; "  # between the faults of a run


@dataclass(frozen=True, slots=True)
class Order:
    """One run: with the faults that the seed draws, or with ``faults`` instead. With ``draws`` a failure is
    drawn as text, and its packets are written to the file ``pcapng``, where that is named."""

    seed: int
    faults: str | None = None
    draws: bool = False
    pcapng: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, line: str) -> Self:
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one seed. Nothing in it depends on the machine or on the engine: the same seed has an
    equal Outcome everywhere.

    ``error`` is the exception's class and the place where it was raised, for telling one failure from
    another; ``message`` is its text. ``faults`` are those of the run as text, joined by "; "; ``virtual`` is
    the time that passed in the world, in microseconds; ``segments`` is how many packets left a host.
    """

    seed: int
    result: str
    error: str = ""
    message: str = ""
    faults: str = ""
    virtual: int = 0
    segments: int = 0

    @property
    def is_failure(self) -> bool:
        return self.result in {FAILED, CRASHED}

    def fails_as(self, other: "Outcome") -> bool:
        """Whether both runs failed with the same exception at the same place."""
        return self.is_failure and (self.result, self.error) == (other.result, other.error)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the process says: ``error`` why there is no run at all, or ``test``, the name that pytest has for
    the test; then an ``outcome`` for each `Order`, with a ``drawing`` where one was asked for."""

    test: str = ""
    error: str = ""
    outcome: Outcome | None = None
    drawing: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, line: str) -> Self:
        fields = json.loads(line)
        if fields["outcome"] is not None:
            fields["outcome"] = Outcome(**fields["outcome"])
        return cls(**fields)
