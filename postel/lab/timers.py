"""Experiments on TCP's timers: retransmission, persist, delayed ACK and keep-alive."""

from dataclasses import replace
from itertools import pairwise

from postel.errors import ConnectionTimedOut
from postel.lab.bench import Bench
from postel.lab.data import of_data
from postel.lab.front import Front, NeverProbes
from postel.lab.packet_kinds import has_data
from postel.lab.scene import End, Scene
from postel.lab.translations import remark
from postel.lab.verdict import Verdict, decide
from postel.sim import DROP
from postel.tcp.config import DEFAULT, KIBIBYTE, Config
from postel.tcp.state import ESTABLISHED
from postel.tcp.status import Status
from postel.times import HOUR, MILLISECOND, MINUTE, NEVER, SECOND
from postel.wire.segment import ACK, SYN, Segment

_BY_TIMER = replace(DEFAULT, tail_probe=False)  # a lost tail waits for the retransmission timer
_LOSSES = 8  # enough for the timeout to reach its maximum


def rto_backoff(bench: Bench, losses: int = _LOSSES) -> Verdict:
    """Lose one segment again and again, and check the times between its transmissions."""
    scene = bench.scene(config=replace(_BY_TIMER, user_timeout=HOUR))
    client, peer = _begun(scene)
    before = client.status()
    scene.treat(of_data, *[DROP] * losses)
    client.send(b"x")
    scene.run(10 * MINUTE)
    times = [packet.sent_at for packet in scene.segments("client") if has_data(packet)][1:]
    waits = [later - time for time, later in pairwise(times)]
    expected = [min(SECOND << index, MINUTE) for index in range(_LOSSES)]
    computed = before is not None and before.rto == max(SECOND, before.rtt + 4 * before.rttvar)
    return decide(shown=computed and waits == expected and peer.text == b"ax")


def karn(bench: Bench, losses: int = 2) -> Verdict:
    """Lose a segment twice, and check what its acknowledgement does to the measured round trip."""
    changes = []
    for title, config in (("plain", replace(_BY_TIMER, timestamps=False)), ("timestamps", _BY_TIMER)):
        scene = bench.scene(title, config=config)
        client, peer = _begun(scene)
        before = _tell_timeout(scene, client)
        scene.treat(of_data, *[DROP] * losses)
        client.send(b"x")
        scene.run(9 * SECOND)
        after = _tell_timeout(scene, client)
        if before is None or after is None or peer.text != b"ax":
            return decide(shown=False)
        changes.append((after.rtt != before.rtt, after.rto > before.rto))
    # Without a sample the timeout stays backed off; with one it is computed anew.
    return decide(shown=changes[0] == (False, True), exception=changes[1] == (True, False))


def _tell_timeout(scene: Scene, end: End) -> Status | None:
    """Return the figures of an end, and write its SRTT and RTO to the ladder."""
    status = end.status()
    if status is not None:
        text = remark("timeout", smoothed=status.rtt // MILLISECOND, timeout=status.rto // MILLISECOND)
        scene.trace.remark(status.local, status.remote, text, scene.world.now)
    return status


def _begun(scene: Scene) -> tuple[End, End]:
    """Open a connection, and let one octet measure the round trip."""
    client, peer = scene.open()
    client.send(b"a")
    scene.run(SECOND)
    return client, peer


def nagle_delayed_ack(bench: Bench, *, delay: int = DEFAULT.delayed_ack) -> Verdict:
    """Write twice and wait for the answer, with Nagle's algorithm and without it."""
    took = []
    for title, nagle in (("plain", True), ("no Nagle", False)):
        scene = bench.scene(title, config=replace(DEFAULT, nagle=nagle, delayed_ack=delay))
        client, _ = _begun(scene)
        scene.server.serves = _answer
        began = scene.world.now
        client.send(b"head")
        scene.run(0)
        client.send(b"body\n")
        # The default is the end of this run of the loop; mypy can't infer its type.
        scene.wait(lambda end=client: end.text == b"answer", SECOND)  # type: ignore[misc]
        took.append(scene.world.now - began if client.text == b"answer" else NEVER)
        scene.run(SECOND)
    waited, at_once = took
    return decide(shown=at_once == 2 * scene.way and waited >= at_once + DEFAULT.delayed_ack)


def _answer(end: End) -> None:
    """Answer a whole request, which ends with a line feed."""
    if end.text.endswith(b"\n"):
        end.send(b"answer")


def keep_alive(bench: Bench, config: Config = DEFAULT) -> Verdict:
    """Let the server lose its power while the connection is idle: by default, and with keep-alive."""
    seen = []
    for title, probes in (("plain", False), ("keep-alive", True)):
        scene = bench.scene(title, config=replace(config, keep_alive=probes))
        client, _ = _begun(scene)
        scene.world.rules.append(lambda *_: DROP)
        began = scene.world.now
        scene.run(3 * HOUR)
        seen.append((client.state is ESTABLISHED, client.closed_at - began, client.error))
    (unaware, _, _), (_, noticed, error) = seen
    # The first probe comes two hours after the last segment, the last of nine has 75 s to be answered.
    expected = DEFAULT.keep_alive_idle + DEFAULT.keep_alive_probes * DEFAULT.keep_alive_interval
    found = isinstance(error, ConnectionTimedOut) and abs(noticed - expected) < SECOND
    return decide(shown=found, exception=unaware)


def zero_window_deadlock(bench: Bench, probing: type[Front] = Front) -> Verdict:
    """Lose the window update after a closed window, with the persist timer's probes and without them."""
    seen = []
    for title, front in (("plain", probing), ("no probes", NeverProbes)):
        scene = bench.scene(
            title,
            config=replace(DEFAULT, user_timeout=NEVER),
            server=replace(DEFAULT, receive_buffer=4 * KIBIBYTE),
            fronts=(front, Front),
        )
        client, peer = scene.open()
        scene.server.reads = False
        text = bytes(12 * KIBIBYTE)
        client.send(text)
        scene.run(SECOND // 2)
        closed = any(packet.window == 0 for packet in scene.segments("server"))
        scene.treat(_opens_window, DROP, sender="server")
        scene.server.reads = True
        peer.read()
        scene.run(MINUTE // 2)
        seen.append((closed, len(peer.text) == len(text)))
    return decide(shown=seen == [(True, True), (True, False)])


def _opens_window(segment: Segment) -> bool:
    """Say whether a segment is a bare ACK that offers a window."""
    return segment.flags & (SYN | ACK) == ACK and not segment.data and segment.window > 0
