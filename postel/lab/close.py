"""Experiments on how a connection ends: with four segments or three, one direction or both, or at once."""

from dataclasses import replace

from postel.errors import ConnectionReset
from postel.lab.bench import Bench
from postel.lab.packet_kinds import arrived, flags_of, has_data, is_fin, is_reset
from postel.lab.scene import Scene
from postel.lab.verdict import Verdict, decide
from postel.sim import DROP
from postel.tcp import seq
from postel.tcp.config import DEFAULT
from postel.tcp.state import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    FIN_WAIT_1,
    FIN_WAIT_2,
    LAST_ACK,
    SYN_SENT,
    TIME_WAIT,
    State,
)
from postel.times import HOUR, MILLISECOND, MINUTE, SECOND
from postel.view.packet import Packet
from postel.wire.segment import ACK, FIN, RST, SYN, Segment

ACTIVE = [FIN_WAIT_1, FIN_WAIT_2, TIME_WAIT, CLOSED]
PASSIVE = [CLOSE_WAIT, LAST_ACK, CLOSED]
_BUSY = 50 * MILLISECOND  # time from the arrival of the first FIN to the second user's close


def close_in_turn(scene: Scene, *, first: str = "client", pause: int = _BUSY) -> None:
    """Open a connection, and close it one side after the other.

    The ``first`` side closes; the other one closes ``pause`` microseconds after that FIN has arrived.
    """
    client, peer = scene.open()
    one, other = (client, peer) if first == "client" else (peer, client)
    one.close()
    scene.wait(lambda: other.has_ended)
    scene.run(pause)
    other.close()
    scene.run()


def closing(scene: Scene) -> list[Packet]:
    """Return every segment that arrived, from the first FIN on."""
    packets = [packet for packet in scene.segments() if arrived(packet)]
    first = next((number for number, packet in enumerate(packets) if is_fin(packet)), len(packets))
    return packets[first:]


def four_way(bench: Bench, *, prompt: bool = False) -> Verdict:
    """Close from both sides, and check numbers and states of the four segments."""
    scene = bench.scene()
    scene.server.is_prompt = prompt
    close_in_turn(scene)
    four = closing(scene)
    raw = [packet.segment for packet in four if packet.segment]
    if len(raw) != 4:
        return decide(shown=False)
    flags = [flags_of(packet) & FIN != 0 for packet in four]
    u, w = raw[0].seq, raw[2].seq
    numbers = (raw[1].ack, raw[3].ack) == (seq.add(u, 1), seq.add(w, 1))
    states = [
        scene.path_of(machine.ends[0])[-length:] for machine, length in ((scene.client, 4), (scene.server, 3))
    ]
    return decide(shown=flags == [True, False, True, False] and numbers and states == [ACTIVE, PASSIVE])


def half_close(bench: Bench, *, released: bool = False) -> Verdict:
    """Close the client's direction, and check that the server can still send."""
    scene = bench.scene()
    client, peer = scene.open()
    if released:
        client.release()
    else:
        client.close()
    scene.wait(lambda: peer.has_ended)
    peer.send(bytes(3000))
    scene.wait(lambda: len(client.text) == 3000, SECOND)
    waiting = client.state is FIN_WAIT_2 and peer.state is CLOSE_WAIT
    peer.close()
    scene.run()
    return decide(shown=waiting and len(client.text) == 3000 and client.error is None)


def always_four(bench: Bench, *, prompt: bool = True) -> Verdict:
    """Close with a server that closes at once, which takes three segments, and with a busy one: four."""
    three = bench.scene("nothing left")
    three.server.is_prompt = prompt
    close_in_turn(three, pause=0)
    four = bench.scene("not yet")
    close_in_turn(four)
    counts = [len(closing(scene)) for scene in (three, four)]
    return decide(shown=counts[0] == 4, refuted=counts == [3, 4])


def why_not_three(bench: Bench, length: int = 8000) -> Verdict:
    """Close while the server has data left to send, and while it has none: then its ACK carries the FIN."""
    left = bench.scene("plain", config=DEFAULT, server=replace(DEFAULT, initial_window=2))
    left.server.is_prompt = True
    client, peer = left.open()
    peer.send(bytes(length))
    left.run(left.way // 2)
    client.close()
    left.run()
    nothing = bench.scene("nothing left")
    nothing.server.is_prompt = True
    close_in_turn(nothing, pause=0)
    return decide(shown=not _goes_together(left) and _goes_together(nothing) and len(client.text) == length)


def _goes_together(scene: Scene) -> bool:
    """Say whether the server's first ACK of the client's FIN carries its own FIN."""
    fin = scene.first("client", is_fin)
    answer = scene.first("server", lambda packet: fin is not None and packet.ack == fin.seq + 1)
    return answer is not None and is_fin(answer)


def of_bare_ack(segment: Segment) -> bool:
    """Say whether a segment is an ACK and nothing else."""
    return segment.flags & (SYN | ACK | FIN | RST) == ACK and not segment.data


def ack_stops_fin(bench: Bench, losses: int = 1) -> Verdict:
    """Close with and without the loss of the FIN's ACK, and count how often the FIN is sent."""
    counts = []
    for title, lost in (("plain", 0), ("ACK lost", losses)):
        scene = bench.scene(title)
        client, peer = scene.open()
        scene.treat(of_bare_ack, *[DROP] * lost, sender="server")
        client.close()
        # The default is the end of this run of the loop; mypy can't infer its type.
        scene.wait(lambda end=peer: end.has_ended)  # type: ignore[misc]
        scene.run(10 * SECOND)
        peer.close()
        scene.run()
        counts.append(sum(is_fin(packet) for packet in scene.segments("client")))
    return decide(shown=counts[0] == 1 and counts[1] > 1)


def either_may_close(bench: Bench) -> Verdict:
    """Close from the client first, then from the server first, and check which side is in TIME-WAIT."""
    seen = []
    for first in ("client", "server"):
        scene = bench.scene(f"{first} first")
        close_in_turn(scene, first=first)
        waits = [
            machine.name
            for machine in (scene.client, scene.server)
            if any(TIME_WAIT in scene.path_of(end) for end in machine.ends)
        ]
        seen.append(waits == [first])
    return decide(shown=all(seen))


def simultaneous_close(bench: Bench, later: int = 0) -> Verdict:
    """Close both sides at once, and check that both pass CLOSING."""
    scene = bench.scene()
    client, peer = scene.open()
    client.close()
    scene.run(later)
    peer.close()
    scene.run()
    both = [scene.path_of(end)[-4:] for end in (client, peer)]
    return decide(shown=both == [[FIN_WAIT_1, CLOSING, TIME_WAIT, CLOSED]] * 2)


def rst_aborts(bench: Bench, *, orderly: bool = False) -> Verdict:
    """Abort the server's side while data is in flight, and check that both ends are CLOSED at once."""
    scene = bench.scene()
    client, peer = scene.open()
    client.send(bytes(10_000))
    scene.run(scene.way // 2)
    if orderly:
        peer.close()
    else:
        peer.abort()
    scene.run(SECOND)
    reset = scene.first("server", is_reset)
    at_once = bool(
        reset
        and scene.entered(peer, CLOSED) == reset.sent_at
        and scene.entered(client, CLOSED) == reset.arrived_at
    )
    lost = len(peer.text) < 10_000 and any(has_data(packet) for packet in scene.segments("client"))
    waits = any(TIME_WAIT in scene.path_of(end) for end in (client, peer))
    return decide(shown=at_once and lost and not waits and isinstance(client.error, ConnectionReset))


def fin_wait_2_waits(bench: Bench, orphan_timeout: int = MINUTE) -> Verdict:
    """Never close the server's side: the client stays in FIN-WAIT-2, unless its socket was released."""
    states: list[State] = []
    for title in ("plain", "not held"):
        scene = bench.scene(title, config=replace(DEFAULT, orphan_timeout=orphan_timeout))
        client, _ = scene.open()
        if title == "plain":
            client.close()
        else:
            client.release()
        scene.run(HOUR)
        states.append(scene.path_of(client)[-1] if scene.path_of(client) else SYN_SENT)
    return decide(shown=states[0] is FIN_WAIT_2, exception=states[1] is CLOSED)
