"""Helpers of Postel's own tests, for your tests of programs, observers, links and congestion controllers.

- `established`, `fin_wait_1` and so on return a `Scene`: a connection in that state, with a peer that the
  test plays by hand.
- `pair` and `host_pair` join two connections or two hosts by a path that loses, duplicates, reorders and
  damages packets.
- `postel.testing.machine` has a Hypothesis state machine to subclass, `postel.testing.faults` a strategy for
  schedules of faults in a simulation.
- `check_observer` checks that an observer changes nothing, `check_congestion` that a congestion controller
  keeps to its contract, and `check_link` that a link does.
- `Certificates` makes certificates for TLS in tests.
"""

from postel.testing.certificates import Certificates
from postel.testing.congestion import CheckFailed, check_congestion
from postel.testing.links import check_link
from postel.testing.observers import check_observer
from postel.testing.pairs import End, HostilePath, HostPair, Pair, decoded, encoded, host_pair, pair
from postel.testing.states import (
    EVERY,
    IRS,
    ISS,
    LOCAL,
    PLAIN,
    REMOTE,
    SYNCHRONIZED,
    Maker,
    Peer,
    Scene,
    SceneOptions,
    Watch,
    close_wait,
    closed,
    closing,
    established,
    established_active,
    fin_wait_1,
    fin_wait_2,
    last_ack,
    listen,
    syn_received,
    syn_received_active,
    syn_sent,
    time_wait,
)
from postel.wire.segment import ABSENT, ACK, FIN, PSH, RST, SYN, URG, Segment

__all__ = [
    "ABSENT",
    "ACK",
    "EVERY",
    "FIN",
    "IRS",
    "ISS",
    "LOCAL",
    "PLAIN",
    "PSH",
    "REMOTE",
    "RST",
    "SYN",
    "SYNCHRONIZED",
    "URG",
    "Certificates",
    "CheckFailed",
    "End",
    "HostPair",
    "HostilePath",
    "Maker",
    "Pair",
    "Peer",
    "Scene",
    "SceneOptions",
    "Segment",
    "Watch",
    "check_congestion",
    "check_link",
    "check_observer",
    "close_wait",
    "closed",
    "closing",
    "decoded",
    "encoded",
    "established",
    "established_active",
    "fin_wait_1",
    "fin_wait_2",
    "host_pair",
    "last_ack",
    "listen",
    "pair",
    "syn_received",
    "syn_received_active",
    "syn_sent",
    "time_wait",
]
