"""Experiments on a server's queues between SYN and accept, and on what happens when they are full."""

from dataclasses import replace

from postel.lab.bench import Bench
from postel.lab.front import DropsWhenFull, Front, cache_beyond, cached
from postel.lab.packet_kinds import is_reset
from postel.lab.scene import Scene
from postel.lab.verdict import Verdict, decide
from postel.sim import DROP
from postel.tcp.config import DEFAULT
from postel.tcp.status import SACK, WINDOW_SCALE
from postel.times import MILLISECOND, SECOND

_PORTS = (6000, 6001)
_OPTIONS = SACK | WINDOW_SCALE


def server_allocates_at_syn(bench: Bench, backlog: int = 2) -> Verdict:
    """Check what the server keeps after a SYN, in quiet times and under a SYN flood."""
    plain = bench.scene()
    plain.server.listen()
    plain.client.connect(plain.server)
    plain.run(plain.way * 3 // 2)
    allocates = plain.server.host.statistics()["half_open"] == 1
    plain.run(SECOND)
    flood = bench.scene("flood")
    _flood(flood, backlog)
    before = flood.server.host.statistics()["half_open"]
    honest = flood.client.connect(flood.server)
    flood.run(flood.way * 3 // 2)
    keeps_nothing = flood.server.host.statistics()["half_open"] == before == len(_PORTS)
    flood.wait(lambda: flood.peer(honest).is_open)
    return decide(shown=allocates, exception=keeps_nothing and flood.peer(honest).is_open)


def _flood(scene: Scene, backlog: int) -> None:
    """Send two SYNs from a host that no answer reaches, which fills the half-open queue."""
    scene.server.listen(backlog=backlog)
    flooder = scene.machine("flooder", "10.0.0.9")
    for port in _PORTS:
        flooder.connect(scene.server, local_port=port)
    scene.treat(lambda segment: segment.destination in _PORTS, *[DROP] * 1000)
    scene.run(scene.way * 3 // 2)


def backlog_full(bench: Bench, backlog: int = 2) -> Verdict:
    """Fill the accept queue, then the half-open queue, and check how the next SYN is answered."""
    accepting = bench.scene("accept queue")
    accepting.server.accepts = False
    listener = accepting.server.listen(backlog=backlog)
    ends = [accepting.client.connect(accepting.server) for _ in range(2)]
    accepting.wait(lambda: all(end.is_open for end in ends))
    accepting.run(SECOND)
    late = accepting.client.connect(accepting.server)
    accepting.run(500 * MILLISECOND)
    waits = not late.is_open and accepting.server.host.statistics().get("dropped_accept_queue_full", 0) > 0
    if listener is not None:
        accepting.server.accept(listener)
    accepting.wait(lambda: late.is_open)
    half = bench.scene("half-open queue")
    _flood(half, backlog)
    honest = half.client.connect(half.server)
    half.wait(lambda: half.peer(honest).is_open)
    cookies = half.server.host.statistics().get("dropped_half_open_full", 0) > 0
    no_reset = not any(is_reset(packet) for scene in (accepting, half) for packet in scene.segments())
    return decide(shown=waits and late.is_open and cookies and honest.is_open and no_reset)


def syn_flood(bench: Bench, server: type[Front] = DropsWhenFull) -> Verdict:
    """Fill the half-open queue, and connect from another host: to a server with SYN cookies, and without."""
    opened = []
    for title, front in (("queue alone", server), ("cookies", Front)):
        scene = bench.scene(title, fronts=(Front, front))
        _flood(scene, DropsWhenFull.MOST)
        honest = scene.client.connect(scene.server)
        scene.run(20 * SECOND)
        opened.append((honest.is_open, scene.peer(honest).is_open))
    shut_out = opened[0] == (False, False)
    served = opened[1] == (True, True)
    return decide(shown=shut_out and not served, refuted=served, formerly=shut_out)


def cookies_cost(bench: Bench, *, timestamps: bool = False) -> Verdict:
    """Connect while SYNs flood the server, and check which options are agreed on.

    The first server has room for a record in its SYN cache, the others answer with a cookie; only the last
    one and its client have timestamps.
    """
    told, plain = [], replace(DEFAULT, timestamps=timestamps)
    records = 0
    for title, backlog, config in (
        ("SYN cache", 128, plain),
        ("cookies", len(_PORTS), plain),
        ("with timestamps", len(_PORTS), DEFAULT),
    ):
        scene = bench.scene(title, config=config)
        cache_beyond(scene.server.host, len(_PORTS))
        _flood(scene, backlog)
        honest = scene.client.connect(scene.server)
        scene.run(scene.way * 3 // 2)
        records += cached(scene.server.host)
        scene.run(SECOND)
        status = honest.status()
        told.append(status.options & _OPTIONS if status and honest.is_open else -1)
    return decide(shown=told[:2] == [_OPTIONS, 0] and records == 1, exception=told[2] == _OPTIONS)
