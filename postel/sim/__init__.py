"""Hosts in virtual time: everything that happens follows from a seed.

A `World` has hosts, paths between them, and rules that interfere with single packets.

>>> from postel.sim import World
>>> world = World(seed=7)
>>> a, b = world.host("a", "10.0.0.1/24"), world.host("b", "10.0.0.2/24")
>>> _ = world.path(a, b, delay=10_000)

Faults, such as a partition, are methods of a world, with ``with`` or without, or data (`Fault`):

>>> with world.partition("a", "b"):
...     _ = world.run(until="3s")

Whole asyncio programs run on the computers of a `Simulation`, or by `Loop` over the hosts of a world.
"""

from postel.sim.active_fault import ActiveFault
from postel.sim.attachment import Application, Attachment, Subject
from postel.sim.computer import Computer
from postel.sim.faults import Fault, FaultKind
from postel.sim.in_flight import InFlight
from postel.sim.loop import Loop, run
from postel.sim.path import Path, PathSettings
from postel.sim.program import Program
from postel.sim.rules import (
    DROP,
    PASS,
    Rule,
    Verdict,
    corrupt,
    deciding,
    deliver_after,
    dropping,
    duplicate,
    echo,
)
from postel.sim.scheduled import Machines
from postel.sim.simulation import Simulation
from postel.sim.skew import SkewedClock
from postel.sim.stand_in import Stack, StandIn
from postel.sim.where import PacketRule, Where, where
from postel.sim.witness import Witness
from postel.sim.world import World

__all__ = [
    "DROP",
    "PASS",
    "ActiveFault",
    "Application",
    "Attachment",
    "Computer",
    "Fault",
    "FaultKind",
    "InFlight",
    "Loop",
    "Machines",
    "PacketRule",
    "Path",
    "PathSettings",
    "Program",
    "Rule",
    "Simulation",
    "SkewedClock",
    "Stack",
    "StandIn",
    "Subject",
    "Verdict",
    "Where",
    "Witness",
    "World",
    "corrupt",
    "deciding",
    "deliver_after",
    "dropping",
    "duplicate",
    "echo",
    "run",
    "where",
]
