"""Experiments on TIME-WAIT: what it is for, how long it lasts, and what it keeps busy."""

from dataclasses import replace

from postel.errors import AddressInUse
from postel.host.listener import Listener
from postel.lab.bench import Bench
from postel.lab.close import close_in_turn, of_bare_ack
from postel.lab.data import of_data
from postel.lab.packet_kinds import arrived, is_fin, is_reset
from postel.lab.scene import Machine, Scene
from postel.lab.verdict import Verdict, decide
from postel.sim import DROP, PASS, deliver_after, echo
from postel.tcp.config import DEFAULT, Config
from postel.tcp.state import CLOSED, TIME_WAIT
from postel.times import MILLISECOND, MINUTE, NEVER, SECOND
from postel.wire.segment import FIN, Segment

_SIDES = ("client", "server")
_AT_ONCE = replace(DEFAULT, msl=0)
_OLD, _NEW = b"o" * 33_000, b"n" * 33_000
_JUMBO = 9000  # MTU: a few large segments bring the sequence numbers far ahead of the clock of initial ones


def server_first_to_closed(bench: Bench) -> Verdict:
    """Close from either side first, and check that the other side is CLOSED before it, by 2MSL."""
    late = [first for first in _SIDES if not _passive_is_earlier(bench.scene(f"{first} first"), first)]
    return decide(shown=not late)


def _passive_is_earlier(scene: Scene, first: str) -> bool:
    """Close from one side first; return whether the other one is CLOSED before it, by 2MSL."""
    close_in_turn(scene, first=first)
    one, other = (scene.client, scene.server)[:: 1 if first == "client" else -1]
    if not one.ends or not other.ends:
        return False
    active, passive = scene.entered(one.ends[0], CLOSED), scene.entered(other.ends[0], CLOSED)
    last = [packet for packet in scene.segments(first) if arrived(packet)][-1:]
    ways = [packet.arrived_at - packet.sent_at for packet in last]
    return passive < active < NEVER and [2 * one.config.msl - (active - passive)] == ways


def last_ack_lost(bench: Bench) -> Verdict:
    """Lose the last ACK of a close, with TIME-WAIT and without it."""
    waits, _ = _without_last_ack(bench.scene())
    _, met = _without_last_ack(bench.scene("no TIME-WAIT", config=_AT_ONCE))
    return decide(shown=waits and met)


def _without_last_ack(scene: Scene) -> tuple[bool, bool]:
    """Close, and lose the client's last ACK.

    Returns whether the client acknowledged again and 2MSL began anew, and whether the repeated FIN was
    answered with RST.
    """
    client, peer = scene.open()
    scene.run(SECOND)
    client.close()
    scene.wait(lambda: peer.has_ended)
    scene.run(SECOND)
    scene.treat(of_bare_ack, DROP, sender="client")
    peer.close()
    scene.run()
    fins = [packet for packet in scene.segments("server") if is_fin(packet)]
    answers = [packet for packet in scene.segments("client") if fins and packet.sent_at >= fins[0].arrived_at]
    kept = [packet for packet in answers if not is_reset(packet)]
    resets = [packet for packet in answers if is_reset(packet)]
    again = (
        len(fins) > 1
        and len(kept) > 1
        and scene.entered(client, CLOSED) == kept[-1].sent_at + 2 * scene.client.config.msl
    )
    return again and not resets and scene.entered(peer, CLOSED) == kept[-1].arrived_at, len(
        fins
    ) > 1 and bool(resets)


def old_duplicates(bench: Bench) -> Verdict:
    """Deliver an old segment to a new connection, guarded by TIME-WAIT, by nothing, or by timestamps."""
    plain = replace(DEFAULT, timestamps=False)
    waits = _mixed(bench.scene("TIME-WAIT alone", config=plain, mtu=_JUMBO))
    nothing = _mixed(bench.scene("neither", config=replace(plain, msl=0), mtu=_JUMBO))
    stamped = _mixed(bench.scene("timestamps alone", config=_AT_ONCE, mtu=_JUMBO))
    return decide(
        shown=nothing == 1 and stamped == 1, refuted=stamped == 0, formerly=nothing == 1 and waits == 0
    )


def _mixed(scene: Scene) -> int:
    """Deliver a copy of a segment late, when the next connection of the same pair is open.

    Returns 1 where its data turns up in that connection, 0 where it doesn't, and -1 where the run came to
    nothing.
    """
    scene.treat(of_data, PASS, PASS, echo(90 * MILLISECOND))
    first, peer = scene.open(local_port=5000)
    first.send(_OLD)
    first.close()
    scene.wait(lambda: peer.has_ended)
    peer.close()
    scene.wait(lambda: peer.closed_at < NEVER)
    scene.run(MILLISECOND)
    second = scene.client.connect(scene.server, local_port=5000)
    if isinstance(second.error, AddressInUse):
        scene.run(2 * scene.client.config.msl)
        second = scene.client.connect(scene.server, local_port=5000)
    scene.wait(lambda: scene.peer(second).is_open, SECOND)
    scene.run(60 * MILLISECOND)
    second.send(_NEW)
    second.close()
    scene.wait(lambda: scene.peer(second).has_ended, SECOND)
    scene.peer(second).close()
    scene.run()
    text = scene.peer(second).text
    return -1 if len(text) != len(_NEW) else int(b"o" in text)


def two_msl_is_four_minutes(bench: Bench, kernel: int = 30 * SECOND) -> Verdict:
    """Measure TIME-WAIT with the standard's MSL, and with the one that Linux has."""
    lengths = []
    for title, config in (("plain", DEFAULT), ("as Linux has it", replace(DEFAULT, msl=kernel))):
        scene = bench.scene(title, config=config)
        close_in_turn(scene)
        lengths.append(_time_in_time_wait(scene))
    return decide(shown=lengths[0] == 4 * MINUTE, exception=lengths[1] == MINUTE)


def _time_in_time_wait(scene: Scene) -> int:
    """Return the longest time in TIME-WAIT of all ends."""
    ends = [end for machine in (scene.client, scene.server) for end in machine.ends]
    times = [
        scene.entered(end, CLOSED) - scene.entered(end, TIME_WAIT)
        for end in ends
        if scene.entered(end, TIME_WAIT) < NEVER
    ]
    return max(times, default=0)


def port_busy(bench: Bench, *, reuse: bool = True) -> Verdict:
    """Connect the same pair of endpoints again while one end is in TIME-WAIT.

    It is the client's end in the first run and the server's in the others, the third by RFC 793's rules.
    """
    as_in_793 = replace(DEFAULT, time_wait_reuse=False, time_wait_challenge=False)
    busy = bench.scene("client first")
    # Half a second: after a whole one, a larger timestamp would allow the connection (RFC 6191).
    _wait_begins(busy, "client", pause=SECOND // 2)
    again = busy.client.connect(busy.server, local_port=5000)
    opened = []
    for title, config in (("server first", DEFAULT if reuse else as_in_793), ("as in RFC 793", as_in_793)):
        scene = bench.scene(title, config=config)
        listener = _wait_begins(scene, "server")
        if listener is not None:
            listener.close(scene.world.now)
        bound = scene.server.listen() is not None
        client = scene.client.connect(scene.server, local_port=5000)
        scene.run(2 * SECOND)
        opened.append(bound and client.is_open)
    return decide(
        shown=not opened[0],
        refuted=opened[0],
        formerly=isinstance(again.error, AddressInUse) and not opened[1],
    )


def _wait_begins(scene: Scene, first: str, *, pause: int = SECOND) -> Listener | None:
    """Open and close a connection from port 5000, and let ``pause`` pass in TIME-WAIT.

    The end that closed first is the one in TIME-WAIT. Returns the server's listener.
    """
    listener = scene.server.listen()
    client = scene.client.connect(scene.server, local_port=5000)
    scene.wait(lambda: scene.peer(client).is_open)
    one, other = (client, scene.peer(client))[:: 1 if first == "client" else -1]
    one.close()
    scene.wait(lambda: other.has_ended)
    other.close()
    scene.wait(lambda: one.state is TIME_WAIT)
    scene.run(pause)
    return listener


def why_two_msl(bench: Bench, msl: int = SECOND) -> Verdict:
    """Let the last ACK be lost and the repeated FIN take nearly an MSL, with TIME-WAIT of one MSL and of two.

    In the third run the repeated FIN is lost, too, and the next one comes after 2MSL.
    """
    one = _meets_late_fin(bench.scene("one MSL", config=_waiting(msl // 2)), msl)
    two = _meets_late_fin(bench.scene("two MSL", config=_waiting(msl)), msl)
    lost = _meets_late_fin(bench.scene("lost again", config=_waiting(msl)), msl, losses=1)
    return decide(shown=not one and two, exception=not lost)


def _waiting(half: int) -> Config:
    """Return a configuration: TIME-WAIT lasts 2 × ``half``, and only the RTO timer repeats a FIN."""
    return replace(DEFAULT, msl=half, tail_probe=False)


def _meets_late_fin(scene: Scene, msl: int, *, losses: int = 0) -> bool:
    """Lose the last ACK and then ``losses`` repeated FINs, and delay the next FIN by nearly ``msl``.

    Returns whether the end in TIME-WAIT still acknowledged that FIN, and sent no RST.
    """
    client, peer = scene.open()
    scene.run(SECOND)
    client.close()
    scene.wait(lambda: peer.has_ended)
    scene.run(SECOND)
    scene.treat(of_bare_ack, DROP, sender="client")
    scene.treat(of_fin, PASS, *[DROP] * losses, deliver_after(msl - 2 * scene.way), sender="server")
    peer.close()
    scene.run()
    resets = [packet for packet in scene.segments("client") if is_reset(packet)]
    fins = [packet for packet in scene.segments("server") if is_fin(packet)]
    return len(fins) == 2 + losses and not resets and peer.state is CLOSED


def of_fin(segment: Segment) -> bool:
    """Say whether a segment has FIN."""
    return segment.flags & FIN != 0


def many_time_waits(bench: Bench, count: int = 5) -> Verdict:
    """Open and close many connections, from the client first, then from the server first.

    A connection in TIME-WAIT keeps the client's port busy. On the server all of them share port 80.
    """
    busy = bench.scene("client first")
    ports = _wait_many(busy, "client", count)
    waiting = _in_time_wait(busy.client) == count == len(set(ports))
    again = [busy.client.connect(busy.server, local_port=port) for port in ports[:1]]
    refused = all(isinstance(end.error, AddressInUse) for end in again) and bool(again)
    free = bench.scene("server first")
    _wait_many(free, "server", count)
    others = [free.client.connect(free.server) for _ in range(count)]
    free.run(SECOND)
    served = _in_time_wait(free.server) == count and all(end.is_open for end in others)
    busy.run()
    return decide(shown=waiting and refused and _in_time_wait(busy.client) == 0, exception=served)


def _wait_many(scene: Scene, first: str, count: int) -> list[int]:
    """Open ``count`` connections, and close them from one side first; return the client's ports."""
    scene.server.listen()
    clients = [scene.client.connect(scene.server) for _ in range(count)]
    scene.run(SECOND)
    peers = [scene.peer(client) for client in clients]
    ones, others = (clients, peers)[:: 1 if first == "client" else -1]
    for end in ones:
        end.close()
    scene.run(SECOND // 10)
    for end in others:
        end.close()
    scene.run(SECOND // 10)
    return [end.ends[0].port for end in clients if end.ends]


def _in_time_wait(machine: Machine) -> int:
    """Count the connections of a host in TIME-WAIT."""
    return sum(state is TIME_WAIT for _, _, state in machine.host.connections())
