"""Hosts in virtual time, everything from a seed: `World`, the paths between its hosts, and rules that interfere by packet.

>>> from postel.sim import World
>>> world = World(seed=7)
>>> a, b = world.host("a", "10.0.0.1/24"), world.host("b", "10.0.0.2/24")
>>> _ = world.path(a, b, delay=10_000)

Whole asyncio programs run over such hosts by `postel.sim.loop`.
"""

from postel.sim.attachment import Application, Attachment, Subject
from postel.sim.loop import Loop, run
from postel.sim.path import Path
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
from postel.sim.stand_in import Stack, StandIn
from postel.sim.witness import Witness
from postel.sim.world import World

__all__ = [
    "DROP",
    "PASS",
    "Application",
    "Attachment",
    "Loop",
    "Path",
    "Rule",
    "Stack",
    "StandIn",
    "Subject",
    "Verdict",
    "Witness",
    "World",
    "corrupt",
    "deciding",
    "deliver_after",
    "dropping",
    "duplicate",
    "echo",
    "run",
]
