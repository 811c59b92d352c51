"""Flights with SACK: RACK-TLP watches them, and Reno says how much may fly."""

from dataclasses import replace

from postel.tcp.congestion.reno import Reno
from postel.tcp.recovery.rack import Rack
from postel.testing.states import MSS, PLAIN, Peer, Scene, syn_received
from postel.times import MILLISECOND
from postel.wire.segment import ACK

ROUND_TRIP = 100 * MILLISECOND
WINDOW = 65535
SELECTIVE = replace(PLAIN, sack=True, congestion=Reno)
Block = tuple[int, int]


def opened(
    *, timestamps: bool = False, probe: bool = True, scale: bool = False, congestion: type[Reno] = Reno
) -> Scene:
    """The handshake took a round trip."""
    config = replace(
        SELECTIVE, tail_probe=probe, timestamps=timestamps, window_scaling=scale, congestion=congestion
    )
    peer = Peer(sack=True, window=WINDOW, tsval=5 if timestamps else -1, window_scale=7 if scale else -1)
    scene = syn_received(config, peer)
    scene.now += ROUND_TRIP
    scene.hears(ACK, tsecr=clock(scene) - ROUND_TRIP // MILLISECOND if timestamps else -1)
    scene.events()
    return scene


def clock(scene: Scene) -> int:
    return 7 + scene.now // MILLISECOND


def flying(count: int = 10, more: int = 100, *, timestamps: bool = False, probe: bool = False) -> Scene:
    """Segments 0 to ``count`` - 1 in flight fill the congestion window; ``more`` wait; their ACKs are due
    now.
    """
    scene = opened(timestamps=timestamps, probe=probe, scale=timestamps)
    scene.sends(bytes((count + more) * size_of(scene)))
    scene.tcb.ensure_controller().window = count * size_of(scene)
    scene.drain()
    assert scene.tcb.snd.flight == count * size_of(scene)
    scene.now += ROUND_TRIP
    return scene


def size_of(scene: Scene) -> int:
    return scene.tcb.ensure_controller().smss


def of(*segments: int) -> Block:
    """The block that covers these segments, in numbers of octets."""
    return 1 + MSS * segments[0], 1 + MSS * (segments[-1] + 1)


def sacks(scene: Scene, *blocks: Block, ack: int | None = None, **fields: int) -> list[str]:
    return scene.hears(ACK, ack=scene.una if ack is None else ack, sack=blocks, **fields)


def sent_at(*segments: int) -> list[str]:
    return [f"ACK seq={1 + MSS * number} ack=1 len=1000" for number in segments]


def rack(scene: Scene) -> Rack:
    assert isinstance(scene.tcb.ensure_recovery(), Rack)
    return scene.tcb.ensure_recovery()
