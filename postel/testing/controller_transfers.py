"""Transfers over bad paths in virtual time, with a congestion controller that is checked after each call."""

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final

from postel.congestion import Congestion, Sample
from postel.host.host import Host
from postel.sim import Path, Subject, World
from postel.tcp.config import DEFAULT, Config
from postel.tcp.connection import Connection
from postel.tcp.events import Acceptable, Event, Opened, Readable, Writable
from postel.testing.controller_scripts import CheckFailed, check_figures, require
from postel.times import MILLISECOND, SECOND

BANDWIDTH: Final = 10_000_000  # bits a second
PATIENCE: Final = 120 * SECOND
MOST_AGAIN: Final = 0.2  # share of retransmissions in all octets that is allowed with too short a queue
BLOCK: Final = bytes(64 * 1024)


@dataclass(frozen=True)
class Conditions:
    """Path with a round-trip time of 20 ms, and the transfer over it.

    With ``stalls`` the path's delay is 2 s for a while, so that timeouts are spurious.
    """

    name: str
    path: dict[str, Any] = field(default_factory=dict)
    stalls: bool = False
    sack: bool = True
    octets: int = 400_000


PATHS: Final = (
    Conditions("a clean path"),
    Conditions("a path that loses 3 %", {"loss": 0.03}),
    Conditions("a path that loses 3 %, without SACK", {"loss": 0.03}, sack=False),
    Conditions("a path on which 3 % are overtaken", {"reorder": 0.03, "hold": 10 * MILLISECOND}),
    Conditions("a path that marks 3 %", {"congestion": 0.03}),
    Conditions("a path that stands still for a while", stalls=True),
    Conditions("a path that stands still for a while, without SACK", stalls=True, sack=False),
    Conditions("a path with a queue of 16 KiB", {"queue": "16KiB"}, octets=2_000_000),
)


class Checked(Congestion):
    """Base class that comes before a controller's class. Its methods check the controller after each call.

    ``trace`` has window, threshold and pacing rate after each call.
    """

    made: ClassVar[list["Checked"]]

    def __init__(self, smss: int, initial_window: int, seed: int = 0) -> None:
        """Make the controller, and note it in ``made``."""
        super().__init__(smss, initial_window, seed)
        self.smallest: int = smss
        self.depth: int = 0
        self.trace: list[tuple[str, int, int, int]] = []
        self.made.append(self)

    def _begin_call(self) -> None:
        self.depth += 1

    def _end_call(self, call: str) -> None:
        """Check the controller, unless the call came from another of the controller's own methods."""
        self.depth -= 1
        if not self.depth:
            check_figures(self, self.smallest, call)
            self.trace.append((call, self.window, self.threshold, self.pacing_rate))

    def observed(self, sample: Sample, now: int) -> None:
        """Call the controller's method, then check."""
        self._begin_call()
        super().observed(sample, now)
        self._end_call("observed")

    def acknowledged(self, octets: int, now: int) -> None:
        """Call the controller's method, then check."""
        self._begin_call()
        super().acknowledged(octets, now)  # type: ignore[safe-super]  # a controller is among the bases
        self._end_call(f"acknowledged(octets={octets})")

    def lost(self, flight: int, now: int) -> None:
        """Call the controller's method, then check."""
        self._begin_call()
        super().lost(flight, now)  # type: ignore[safe-super]  # a controller is among the bases
        self._end_call(f"lost(flight={flight})")

    def recovered(self, flight: int, now: int) -> None:
        """Call the controller's method, then check."""
        self._begin_call()
        super().recovered(flight, now)  # type: ignore[safe-super]  # a controller is among the bases
        self._end_call(f"recovered(flight={flight})")

    def timed_out(self, flight: int, now: int, *, again: bool) -> None:
        """Call the controller's method, then check."""
        self._begin_call()
        super().timed_out(flight, now, again=again)  # type: ignore[safe-super]  # a controller is among the bases
        self._end_call(f"timed_out(flight={flight}, again={again})")

    def idled(self, now: int) -> None:
        """Call the controller's method, then check."""
        self._begin_call()
        super().idled(now)  # type: ignore[safe-super]  # a controller is among the bases
        self._end_call("idled()")

    def marked(self, flight: int, now: int) -> None:
        """Call the controller's method, then check."""
        self._begin_call()
        super().marked(flight, now)
        self._end_call(f"marked(flight={flight})")

    def started(self, now: int) -> None:
        """Call the controller's method, then check."""
        self._begin_call()
        super().started(now)
        self._end_call("started()")

    def sent(self, octets: int, flight: int, now: int) -> None:
        """Call the controller's method, then check."""
        self._begin_call()
        super().sent(octets, flight, now)
        self._end_call(f"sent(octets={octets}, flight={flight})")

    def undo(self, limit: int, now: int) -> None:
        """Call the controller's method, then check."""
        self._begin_call()
        super().undo(limit, now)
        self._end_call(f"undo(limit={limit})")

    def resized(self, smss: int) -> None:
        """Call the controller's method, then check."""
        self._begin_call()
        super().resized(smss)
        self.smallest = min(self.smallest, smss)
        self._end_call(f"resized(smss={smss})")


class Transfer:
    """Transfer over one path by one connection, from the first octet sent to the last that arrives."""

    def __init__(self, controller: type[Congestion], conditions: Conditions, seed: int) -> None:
        """Make both hosts and the path."""
        self.made: list[Checked] = []
        kind = type(
            f"Checked{controller.__name__}",
            (Checked, controller),
            {"made": self.made, "wants_sends": controller.wants_sends},
        )
        self.world: World = World(seed)
        config = replace(DEFAULT, congestion=kind, sack=conditions.sack, ecn="ask")
        self.near: Host = self.world.host("near", "10.0.0.1/24", config=config, application=self._sends)
        self.far: Host = self.world.host(
            "far", "10.0.0.2/24", config=Config(sack=conditions.sack), application=self._receives
        )
        paths = self.world.path(self.near, self.far, **{"bandwidth": BANDWIDTH, **conditions.path})
        self.there: Path = paths[0]
        self.conditions = conditions
        self.left: int = conditions.octets
        self.arrived: int = 0
        self.connection: Connection | None = None

    def run(self) -> None:
        """Run until all octets have arrived, for two minutes of virtual time at the most."""
        self.far.listen(9, 0)
        self.connection = self.near.connect("10.0.0.2", 9, 0)
        if self.conditions.stalls:
            self.world.at(150 * MILLISECOND, lambda: self._delay(2 * SECOND))
            self.world.at(2 * SECOND, lambda: self._delay(10 * MILLISECOND))
        self.world.run(PATIENCE, stop=lambda: self.arrived == self.conditions.octets)

    def _delay(self, delay: int) -> None:
        self.there.delay = delay

    def _sends(self, subject: Subject, event: Event, now: int) -> None:
        if isinstance(event, Opened | Writable) and isinstance(subject, Connection):
            while self.left and (taken := subject.send(BLOCK[: self.left], now)):
                self.left -= taken

    def _receives(self, subject: Subject, event: Event, now: int) -> None:
        if isinstance(event, Acceptable):
            subject.accept()  # type: ignore[union-attr]  # a listener
        elif isinstance(event, Readable) and isinstance(subject, Connection):
            self.arrived += len(subject.receive(1 << 20, now))

    @property
    def trace(self) -> list[tuple[str, int, int, int]]:
        """Trace of all controllers that were made."""
        return [entry for control in self.made for entry in control.trace]


def check_transfers(controller: type[Congestion], seed: int) -> None:
    """Check a transfer over each path: it must end, and the sender must not flood the path."""
    for conditions in PATHS:
        transfer = _run(controller, conditions, seed)
        where = f"over {conditions.name}, seed {seed},"
        require(
            transfer.arrived == conditions.octets,
            "a transfer is completed",
            "RFC 5033, 3",
            f"{where} {transfer.arrived} of {conditions.octets} octets arrived in {PATIENCE // SECOND} s",
        )
        assert transfer.connection is not None
        again = transfer.connection.status(transfer.world.now).bytes_retrans
        require(
            again <= MOST_AGAIN * (conditions.octets + again),
            "losses that last slow a sender down",
            "RFC 5033, 3; RFC 2914, 5",
            f"{where} {again} octets were sent again for {conditions.octets} that arrived",
        )


def check_repetition(controller: type[Congestion], seed: int) -> None:
    """Check that the same seed gives the same transfer."""
    conditions = Conditions(
        "a path that loses, overtakes and marks 1 %", {"loss": 0.01, "reorder": 0.01, "congestion": 0.01}
    )
    require(
        _run(controller, conditions, seed).trace == _run(controller, conditions, seed).trace,
        "a controller is a function of its calls and its seed",
        "the contract of Congestion.seed",
        f"over {conditions.name}, seed {seed}, two equal transfers differed",
    )


def _run(controller: type[Congestion], conditions: Conditions, seed: int) -> Transfer:
    transfer = Transfer(controller, conditions, seed)
    try:
        transfer.run()
    except CheckFailed as failed:
        raise CheckFailed(
            failed.rule, failed.section, f"over {conditions.name}, seed {seed}, {failed.happened}"
        ) from failed
    except Exception as error:
        rule = "a controller raises no exception"
        happened = f"over {conditions.name}, seed {seed}, it raised {error!r}"
        raise CheckFailed(rule, "the contract of Congestion", happened) from error
    return transfer
