"""Experiments on sequence numbers that pass 2**32 - 1 and begin again at 0."""

from dataclasses import replace

from postel.lab.bench import Bench
from postel.lab.data import of_data
from postel.lab.front import BeginsBeforeWrap, Front, skip_numbers
from postel.lab.packet_kinds import has_data
from postel.lab.scene import Scene
from postel.lab.translations import remark
from postel.lab.verdict import Verdict, decide
from postel.sim import echo
from postel.tcp.config import DEFAULT
from postel.times import SECOND

_SPACE = 1 << 32  # how many sequence numbers exist
_OLD, _BETWEEN, _NEW = b"o" * 1000, b"-" * 500, b"n" * 1000
_LATE = 5 * SECOND


def numbers_wrap(bench: Bench, client: type[Front] = BeginsBeforeWrap) -> Verdict:
    """Send from an initial sequence number just below 2**32, and check the numbers and the data."""
    scene = bench.scene(fronts=(client, Front))
    end, peer = scene.open()
    text = bytes(index & 0xFF for index in range(6000))
    end.send(text)
    scene.run(SECOND)
    sent = [packet.segment for packet in scene.segments("client") if packet.segment and has_data(packet)]
    numbers = [segment.seq for segment in sent]
    wraps = bool(numbers) and max(numbers) - min(numbers) > _SPACE // 2
    return decide(shown=wraps and peer.text == text)


def paws(bench: Bench, *, timestamps: bool = True) -> Verdict:
    """Deliver a copy of a segment after the numbers have come round, with timestamps and without them."""
    kept = _comes_round(bench.scene("timestamps", config=replace(DEFAULT, timestamps=timestamps)))
    mixed = _comes_round(bench.scene("no timestamps", config=replace(DEFAULT, timestamps=False)))
    return decide(shown=kept == _OLD + _BETWEEN + _NEW and mixed == _OLD + _BETWEEN + _OLD)


def _comes_round(scene: Scene) -> bytes:
    """Send, move both ends' numbers on by nearly 2**32, and send again; return what the server read.

    A copy of the first segment arrives when its number is the next one expected again. Nearly 4 GiB would
    have to pass for that; the experiment moves the numbers instead.
    """
    client, peer = scene.open()
    scene.run(SECOND)
    scene.treat(of_data, echo(_LATE))
    client.send(_OLD)
    scene.run(_LATE // 2)
    if client.connection is None or peer.connection is None:
        return b""
    scene.trace.remark(client.connection.local, client.connection.remote, remark("skipped"), scene.world.now)
    skip_numbers(client.connection, peer.connection, _SPACE - len(_OLD) - len(_BETWEEN))
    client.send(_BETWEEN)
    scene.run(_LATE)
    client.send(_NEW)
    scene.run(SECOND)
    return peer.text
