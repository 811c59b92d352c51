"""Experiments on closes that go wrong: unread data, a forced reset, a program that never closes."""

from collections.abc import Callable

from postel.errors import ConnectionReset
from postel.lab.bench import Bench
from postel.lab.packet_kinds import is_fin, is_reset
from postel.lab.scene import Scene
from postel.lab.verdict import Verdict, decide
from postel.tcp.state import CLOSE_WAIT, CLOSED, TIME_WAIT
from postel.times import HOUR, SECOND
from postel.view.packet import Packet

_MANY = 5  # connections


def rst_for_unread(bench: Bench, *, reads: bool = False) -> Verdict:
    """Call close on the server while data is unread, and after everything was read."""
    resets = []
    for title, is_read in (("unread", reads), ("all read", True)):
        scene = bench.scene(title)
        client, peer = scene.open()
        scene.server.reads = is_read
        client.send(bytes(1000))
        scene.run(SECOND)
        peer.release()
        scene.run(SECOND)
        resets.append(
            (_sends(scene, is_reset), _sends(scene, is_fin), isinstance(client.error, ConnectionReset))
        )
        client.close()
        scene.run()
    return decide(shown=resets == [(True, False, True), (False, True, False)])


def _sends(scene: Scene, which: Callable[[Packet], bool]) -> bool:
    """Say whether the server sent a segment for which ``which(packet)`` is true."""
    return scene.first("server", which) is not None


def linger_zero(bench: Bench, length: int = 60_000) -> Verdict:
    """End a connection by RST, as SO_LINGER 0 does, with data still to send, and compare an orderly close."""
    seen = []
    for title, lingers in (("linger 0", False), ("orderly", True)):
        scene = bench.scene(title)
        client, peer = scene.open()
        client.send(bytes(length))
        scene.run(scene.way // 2)
        if lingers:
            client.close()
        else:
            client.abort()
        # The default is the end of this run of the loop; mypy can't infer its type.
        scene.wait(lambda end=peer: end.has_ended, SECOND)  # type: ignore[misc]
        peer.close()
        scene.run()
        waits = TIME_WAIT in scene.path_of(client)
        seen.append((waits, len(peer.text) == length, isinstance(peer.error, ConnectionReset)))
    return decide(
        shown=not seen[0][0] and seen[1] == (True, True, False), exception=seen[0][1:] == (False, True)
    )


def close_wait_stays(bench: Bench, *, forgets: bool = True) -> Verdict:
    """Close many connections from the client; the server's program closes them only a day later."""
    scene = bench.scene()
    scene.server.listen()
    clients = [scene.client.connect(scene.server) for _ in range(_MANY)]
    scene.run(SECOND)
    peers = [scene.peer(client) for client in clients]
    for client in clients:
        client.close()
    if not forgets:
        for peer in peers:
            peer.close()
    scene.run(24 * HOUR)
    stay = [peer.state for peer in peers] == [CLOSE_WAIT] * _MANY
    for peer in peers:
        peer.close()
    scene.run(SECOND)
    return decide(shown=stay and all(peer.state is CLOSED for peer in peers))
