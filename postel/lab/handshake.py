"""Experiments on how a connection begins: three segments, delayed or lost ones, and which end may begin."""

from dataclasses import replace
from itertools import pairwise

from postel.errors import ConnectionRefused, ConnectionReset, ConnectionTimedOut
from postel.lab.bench import Bench
from postel.lab.front import Front, OpensOnSyn, TakesAnyAck
from postel.lab.packet_kinds import arrived, has_data, is_bare_ack, is_reset, is_syn, is_syn_ack
from postel.lab.scene import Scene
from postel.lab.verdict import Verdict, decide
from postel.sim import DROP, deliver_after
from postel.tcp import seq
from postel.tcp.config import DEFAULT, Config
from postel.tcp.state import CLOSED, ESTABLISHED, SYN_RECEIVED, SYN_SENT
from postel.times import MILLISECOND, NEVER, SECOND
from postel.wire.segment import ACK, SYN, Segment


def of_syn(segment: Segment) -> bool:
    """Say whether a segment is a SYN without ACK."""
    return segment.flags & (SYN | ACK) == SYN


def of_syn_ack(segment: Segment) -> bool:
    """Say whether a segment is a SYN,ACK."""
    return segment.flags & (SYN | ACK) == SYN | ACK


def of_third(segment: Segment) -> bool:
    """Say whether a segment has ACK and no SYN, as the third of a handshake."""
    return segment.flags & (SYN | ACK) == ACK


def three_way(bench: Bench, server: type[Front] = Front) -> Verdict:
    """Open a connection, and check numbers and states of the three segments."""
    scene = bench.scene(fronts=(Front, server))
    client, peer = scene.open()
    scene.run(SECOND)
    syn, answer = scene.first("client", is_syn), scene.first("server", is_syn_ack)
    third = scene.first("client", lambda packet: is_bare_ack(packet) and arrived(packet))
    if not (syn and answer and third and syn.segment and answer.segment and third.segment):
        return decide(shown=False)
    x, y = syn.segment.seq, answer.segment.seq
    numbers = (answer.segment.ack, third.segment.seq, third.segment.ack) == (
        seq.add(x, 1),
        seq.add(x, 1),
        seq.add(y, 1),
    )
    states = scene.path_of(client) == [SYN_SENT, ESTABLISHED] and scene.path_of(peer) == [
        SYN_RECEIVED,
        ESTABLISHED,
    ]
    return decide(shown=numbers and states and scene.entered(peer, ESTABLISHED) == third.arrived_at)


def stale_syn(bench: Bench) -> Verdict:
    """Deliver a SYN after its connection has ended, to a server as it is and to one that opens on the SYN."""
    three = _late_syn(bench.scene("plain", config=replace(DEFAULT, msl=SECOND // 2)))
    two = _late_syn(
        bench.scene("two segments", config=replace(DEFAULT, msl=SECOND // 2), fronts=(Front, OpensOnSyn))
    )
    return decide(shown=three == 1 and two == 2)


def _late_syn(scene: Scene) -> int:
    """Delay the first SYN by three seconds, and return how many connections the server's user was given.

    The client repeats its SYN, which opens the connection. That connection ends before the first SYN arrives.
    """
    scene.treat(of_syn, deliver_after(3 * SECOND))
    client, peer = scene.open()
    client.send(b"hello")
    scene.wait(lambda: peer.text == b"hello", SECOND)
    client.close()
    scene.wait(lambda: peer.has_ended, SECOND)
    peer.close()
    scene.run()
    return sum(call.name == "accept" for call in scene.calls)


def syn_lost(bench: Bench, config: Config = DEFAULT) -> Verdict:
    """Lose two SYNs, in a second run all of them, and check the times between SYNs and the final error."""
    scene = bench.scene(config=config)
    scene.treat(of_syn, DROP, DROP)
    client, _ = scene.open()
    silence = bench.scene("no answer", config=config)
    silence.treat(of_syn, *[DROP] * 1000)
    alone, _ = silence.open()
    silence.run()
    waits = [_waits(run) for run in (scene, silence)]
    doubles = all(later == min(2 * wait, 60 * SECOND) for times in waits for wait, later in pairwise(times))
    begins = all(times and times[0] == SECOND for times in waits)
    return decide(shown=client.is_open and begins and doubles and isinstance(alone.error, ConnectionTimedOut))


def _waits(scene: Scene) -> list[int]:
    """Return the microseconds between each SYN and the next."""
    times = [packet.sent_at for packet in scene.segments("client") if is_syn(packet)]
    return [later - time for time, later in pairwise(times)]


def synack_lost(bench: Bench) -> Verdict:
    """Lose the SYN,ACK where the client's timer is shorter, then where the server's is."""
    slow = replace(DEFAULT, rto_initial=5 * SECOND)
    seen = []
    for title, client, server in (("client's timer", DEFAULT, slow), ("server's timer", slow, DEFAULT)):
        scene = bench.scene(title, config=client, server=server)
        scene.treat(of_syn_ack, DROP)
        end, peer = scene.open()
        timers = {scene.trace.flows[0].names.get(expiry.at) for expiry in scene.trace.flows[0].expiries}
        answers = [packet for packet in scene.segments("server") if is_syn_ack(packet)]
        seen.append(
            end.is_open and peer.is_open and len(answers) == 2 and timers == {title.partition("'")[0]}
        )
    return decide(shown=all(seen))


def third_ack_lost(bench: Bench, server: type[Front] = Front) -> Verdict:
    """Lose the third segment, and check that data or a repeated SYN,ACK completes the handshake."""
    seen = []
    for title, text in (("data follows", b"hello"), ("silence follows", b"")):
        scene = bench.scene(title, fronts=(Front, server))
        scene.treat(of_third, DROP, sender="client")
        scene.server.listen()
        client = scene.client.connect(scene.server)
        # The defaults are the values of this run of the loop; mypy can't infer their types.
        scene.wait(lambda end=client: end.is_open)  # type: ignore[misc]
        scene.run(2 * scene.way)
        half = [state for _, _, state in scene.server.host.connections()] == [SYN_RECEIVED]
        if text:
            client.send(text)
        scene.wait(lambda end=client, run=scene: run.peer(end).is_open, 10 * SECOND)  # type: ignore[misc]
        scene.run(SECOND)
        again = sum(is_syn_ack(packet) for packet in scene.segments("server")) > 1
        seen.append(client.is_open and half and scene.peer(client).text == text and again != bool(text))
    return decide(shown=all(seen))


def closed_port(bench: Bench) -> Verdict:
    """Connect to a port without a listener, and check the RST and the error."""
    scene = bench.scene()
    client = scene.client.connect(scene.server)
    scene.wait(lambda: client.state is CLOSED)
    syn, reset = scene.first("client", is_syn), scene.first("server", is_reset)
    answers = bool(
        syn and reset and syn.segment and reset.segment and reset.segment.ack == seq.add(syn.segment.seq, 1)
    )
    return decide(shown=answers and isinstance(client.error, ConnectionRefused))


def wrong_ack(bench: Bench, client: type[Front] = Front) -> Verdict:
    """Let a late SYN,ACK answer a client's earlier SYN, and check that the client refuses it."""
    refused, opened = _two_attempts(bench.scene(fronts=(client, Front)))
    _, deceived = _two_attempts(bench.scene("takes any number", fronts=(TakesAnyAck, Front)))
    return decide(shown=refused and not opened and deceived)


def _two_attempts(scene: Scene) -> tuple[bool, bool]:
    """Connect twice, and deliver the answer to the first attempt during the second.

    Returns whether the client refused the answer with RST, and whether that answer opened the second
    connection.
    """
    scene.treat(of_syn_ack, deliver_after(10 * scene.way))
    scene.server.listen()
    first = scene.client.connect(scene.server, local_port=5000)
    scene.run(2 * scene.way)
    first.close()
    scene.run(7 * scene.way + scene.way // 2)
    second = scene.client.connect(scene.server, local_port=5000)
    scene.run(3 * scene.way)
    late = scene.first("server", is_syn_ack)
    reset = scene.first("client", is_reset)
    refused = bool(
        late and reset and late.segment and reset.segment and reset.segment.seq == late.segment.ack
    )
    opened = second.opened_at < NEVER
    scene.run(3 * SECOND)
    return refused, opened


def simultaneous_open(bench: Bench, later: int = 0) -> Verdict:
    """Connect from both sides at once, and check that one connection results."""
    scene = bench.scene()
    one = scene.client.connect(scene.server, 5001, local_port=5000)
    scene.run(later)
    other = scene.server.connect(scene.client, 5000, local_port=5001)
    scene.wait(lambda: one.is_open and other.is_open)
    scene.run(SECOND)
    states = all(scene.path_of(end) == [SYN_SENT, SYN_RECEIVED, ESTABLISHED] for end in (one, other))
    kinds = [is_syn(packet) + 2 * is_syn_ack(packet) for packet in scene.segments() if arrived(packet)]
    return decide(shown=states and sorted(kinds)[-4:] == [1, 1, 2, 2] and len(scene.trace.flows) == 1)


def calls_and_segments(bench: Bench, server: type[Front] = Front) -> Verdict:
    """Open and close a connection, and compare the times of calls and segments."""
    scene = bench.scene(shows_calls=True, fronts=(Front, server))
    client, peer = scene.open()
    client.close()
    scene.wait(lambda: peer.has_ended)
    scene.run(5 * MILLISECOND)
    peer.close()
    scene.run()
    syn, answer = scene.first("client", is_syn), scene.first("server", is_syn_ack)
    third = scene.first("client", lambda packet: is_bare_ack(packet) and arrived(packet))
    called = {call.name: call.when for call in scene.calls}
    if not (syn and answer and third):
        return decide(shown=False)
    opening = (
        called.get("connect") == syn.sent_at
        and client.opened_at == answer.arrived_at
        and peer.opened_at == third.arrived_at
    )
    fins = [packet.sent_at for packet in scene.segments() if packet.kind.value in ("fin", "second-fin")]
    closing = [call.when for call in scene.calls if call.name == "shutdown"]
    return decide(shown=opening and fins == closing)


def client_crash_half_open(bench: Bench) -> Verdict:
    """Restart the client, and check that its RST ends the server's half of the connection.

    First the server writes, then the client connects again.
    """
    writes = bench.scene("server writes")
    _, peer = writes.open()
    writes.client.restart()
    peer.send(b"are you there?")
    writes.run(SECOND)
    connects = bench.scene("client connects again")
    _, old = connects.open(local_port=5000)
    connects.client.restart()
    connects.run(SECOND)
    client = connects.client.connect(connects.server, local_port=5000)
    connects.wait(lambda: client.is_open)
    connects.run(SECOND)
    cleared = [isinstance(end.error, ConnectionReset) and end.state is CLOSED for end in (peer, old)]
    resets = [
        sum(is_reset(packet) and not has_data(packet) for packet in run.segments("client"))
        for run in (writes, connects)
    ]
    return decide(shown=all(cleared) and resets == [1, 1] and connects.peer(client).is_open)
