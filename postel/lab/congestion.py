"""Experiments on the congestion window: how it grows, and what a loss does to it."""

from dataclasses import replace
from itertools import groupby, pairwise

from postel.lab.bench import Bench
from postel.lab.data import of_data
from postel.lab.packet_kinds import has_data
from postel.lab.scene import End, Scene
from postel.lab.translations import remark
from postel.lab.verdict import Verdict, decide
from postel.sim import DROP, PASS
from postel.tcp.config import DEFAULT, MEBIBYTE
from postel.times import SECOND

_MSS = 1448  # octets of payload in a full segment: 1460 less 12 for timestamps
_RENO = replace(DEFAULT, congestion="reno", send_buffer=MEBIBYTE)
_CUBIC = replace(_RENO, congestion="cubic")


def slow_start(bench: Bench, first: int = 10) -> Verdict:
    """Send from a fresh connection, and count the segments of each round trip.

    The congestion window begins with one segment, as in RFC 2001, and then with ``first``. Each segment is
    acknowledged, as RFC 5681 assumes.
    """
    rounds = []
    for title, window, count in (("one segment", 1, 5), ("today", first, 3)):
        scene = bench.scene(title, config=replace(_RENO, initial_window=window, acknowledge_every=1))
        client, _ = scene.open()
        scene.run(SECOND)
        client.send(bytes(40 * _MSS))
        _pass_rounds(scene, client, count)
        scene.run(SECOND)
        rounds.append(_rounds(scene)[:-1])  # the last round may lack data
    doubles = all(more == 2 * few for each in rounds for few, more in pairwise(each))
    formerly = rounds[0][:4] == [1, 2, 4, 8]
    return decide(shown=doubles and formerly, refuted=doubles and rounds[1][:1] != [1], formerly=formerly)


def _rounds(scene: Scene) -> list[int]:
    """Return how many data segments left the client at each moment, in their order."""
    times = [packet.sent_at for packet in scene.segments("client") if has_data(packet)]
    return [len(list(group)) for _, group in groupby(times)]


def congestion_avoidance(bench: Bench, losses: int = 1) -> Verdict:
    """Lose one segment of a long transfer, and note the congestion window after each round trip."""
    grows = []
    for title, config in (("plain", _RENO), ("CUBIC", _CUBIC)):
        scene = bench.scene(title, config=config)
        client, _ = scene.open()
        scene.run(SECOND)
        scene.treat(of_data, *[PASS] * 12, *[DROP] * losses)
        client.send(bytes(220 * _MSS))
        scene.run(6 * scene.way)  # three round trips: before the loss, with the loss, with the retransmission
        windows = _pass_rounds(scene, client, 6)
        scene.run(SECOND)
        grows.append({after - before for before, after in pairwise(windows)})
    return decide(shown=grows[0] == {1}, exception=grows[1] != {1})


def _pass_rounds(scene: Scene, end: End, count: int) -> list[int]:
    """Let ``count`` round trips pass. Return the congestion window in each, and write it to the ladder."""
    windows = []
    for _ in range(count):
        scene.run(scene.way)
        windows.append(_tell_window(scene, end))
        scene.run(scene.way)
    return windows


def _tell_window(scene: Scene, end: End) -> int:
    """Return the congestion window of an end in segments, and write it to the ladder."""
    window = _window(end)
    if end.ends is not None:
        scene.trace.remark(*end.ends, remark("window", count=window), scene.world.now)
    return window


def _window(end: End) -> int:
    """Return the congestion window of an end in segments; 0 where it has no connection."""
    status = end.status()
    return status.snd_cwnd if status else 0


def fast_retransmit(bench: Bench, behind: int = 9) -> Verdict:
    """Lose a segment with many others behind it, then with two: the second loss waits for the timeout."""
    waits = []
    for title, others in (("three duplicates", behind), ("too few", 2)):
        scene = bench.scene(title, config=replace(_RENO, sack=False))
        client, peer = scene.open()
        scene.run(SECOND)
        scene.treat(of_data, DROP)
        client.send(bytes((1 + others) * _MSS))
        scene.run(5 * SECOND)
        times = [
            packet.sent_at for packet in scene.segments("client") if has_data(packet) and packet.seq == 1
        ]
        whole = len(peer.text) == (1 + others) * _MSS
        waits.append(times[1] - times[0] if whole and len(times) == 2 else 0)
    at_once, late = waits
    return decide(shown=at_once == 2 * scene.way, exception=late >= SECOND)


def fast_recovery(bench: Bench, share: int = 7) -> Verdict:
    """Compare the congestion window before and after a loss, by fast recovery and by a timeout.

    Ten segments are in flight. CUBIC must keep ``share`` of them.
    """
    halved = _after_loss(bench.scene("fast recovery", config=_RENO), 1)
    collapsed = _after_loss(bench.scene("timeout", config=replace(_RENO, tail_probe=False)), 10)
    kept = _after_loss(bench.scene("CUBIC", config=_CUBIC), 1)
    return decide(shown=(halved, collapsed) == (5, 1), exception=kept == share)


def _after_loss(scene: Scene, losses: int) -> int:
    """Send ten segments, lose the first ``losses``, and return the window at the first retransmission."""
    client, peer = scene.open()
    scene.run(SECOND)
    scene.treat(of_data, *[DROP] * losses)
    client.send(bytes(10 * _MSS))
    scene.run(0)
    before = _tell_window(scene, client)
    scene.wait(lambda: _window(client) != before, 5 * SECOND)
    after = _tell_window(scene, client)
    scene.run(5 * SECOND)
    return after if before == 10 and len(peer.text) == 10 * _MSS else 0
