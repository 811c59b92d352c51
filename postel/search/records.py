"""Messages between a search and the process that runs its test, and the outcome of a run."""

import json
from dataclasses import asdict, dataclass
from typing import Final, Self

PASSED: Final = "passed"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"
CRASHED: Final = "crashed"  # outcome of a run in the middle of which the process ended
SEPARATOR: Final = "; "  # text between two faults of a run


@dataclass(frozen=True, slots=True)
class Order:
    """Order to run the test once with a seed; a search sends it to the process.

    The seed decides which faults are drawn, unless ``faults`` has others as text. With ``draws`` a failure is
    drawn as a ladder in text, and its packets are written to the file ``pcapng``, unless that name is empty.
    """

    seed: int
    faults: str | None = None
    draws: bool = False
    pcapng: str = ""

    def to_json(self) -> str:
        """Write the order as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read an order from a line that `to_json` wrote."""
        return cls(**json.loads(line))


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one seed. It is the same on every machine, and with the plain and the compiled core.

    ``error`` is the class of the exception and the place where it was raised, by which failures are
    distinguished; ``message`` is the exception's text. ``faults`` are the faults of the run as text, joined
    by "; ". ``virtual`` is the time that passed in the world, in microseconds, and ``segments`` is the number
    of packets that left a host.
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
        """Whether the test failed, or its process ended in the middle of the run."""
        return self.result in {FAILED, CRASHED}

    def fails_as(self, other: "Outcome") -> bool:
        """Whether both runs failed with the same exception at the same place."""
        return self.is_failure and (self.result, self.error) == (other.result, other.error)


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer that the process sends to the search.

    The first answer has either ``error``, the reason why the test can't be run, or ``test``, the test's name
    in pytest. Each `Order` is then answered with an ``outcome``, and with a ``drawing`` if the order asked
    for one.
    """

    test: str = ""
    error: str = ""
    outcome: Outcome | None = None
    drawing: str = ""

    def to_json(self) -> str:
        """Write the answer as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read an answer from a line that `to_json` wrote."""
        fields = json.loads(line)
        if fields["outcome"] is not None:
            fields["outcome"] = Outcome(**fields["outcome"])
        return cls(**fields)
