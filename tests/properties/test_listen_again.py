"""SYN-RECEIVED back to LISTEN: whatever an attempt brought, the next peer meets a listener as it was at
first.
"""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from postel.tcp.config import DEFAULT
from postel.tcp.state import LISTEN, SYN_RECEIVED
from postel.testing.states import Peer, Scene, listen
from postel.wire.segment import ACK, CWR, ECE, FIN, PSH, RST, SYN, URG

CONFIG = replace(DEFAULT, ecn="ask", user_timeout_option=True)
SEGMENTS = st.lists(
    st.tuples(
        st.sampled_from([0, ACK, ACK, ACK | PSH, ACK | FIN, ACK | URG, SYN, SYN | ECE | CWR, FIN]),
        st.integers(-200, 200),  # SEG.SEQ, from RCV.NXT on
        st.sampled_from([b"", b"old", bytes(150)]),
        st.sampled_from([-5, 0, 2, 1000]),  # SEG.ACK, never that of the SYN
        st.booleans(),  # whether what it draws is sent at once
    ),
    max_size=8,
)
_OWN = (
    "iss",
    "una",
    "nxt",
    "max",
    "up",
    "first_octet",
    "local",
    "remote",
    "recovery",
    "is_passive",
    "round_end",
    "keep_alives_until",
    "_seed",
)


def stripped(image: object) -> object:
    """Without the numbers that every attempt has of its own, and what limits answers in time."""
    if not isinstance(image, dict):
        return image
    return {name: stripped(value) for name, value in image.items() if name not in _OWN}


def attempted(segments: list[tuple[int, int, bytes, int, bool]], peer: Peer, *, expires: bool) -> Scene:
    scene = listen(CONFIG, peer)
    scene.hears(SYN)
    for flags, ahead, data, ack, drains in segments:
        if scene.state is not SYN_RECEIVED:
            break
        scene.arrives(flags, data, seq=(scene.nxt + ahead) % (1 << 32), ack=ack)
        if drains:
            scene.drain()
    if expires:
        scene.passes(CONFIG.syn_received_timeout + 1)
    elif scene.state is SYN_RECEIVED:
        scene.arrives(RST, seq=scene.nxt)
    scene.drain()
    return scene


@settings(max_examples=200, deadline=None)
@given(segments=SEGMENTS, sack=st.booleans(), stamped=st.booleans(), expires=st.booleans())
def test_nothing_of_an_attempt_stays(
    segments: list[tuple[int, int, bytes, int, bool]], sack: bool, stamped: bool, expires: bool
) -> None:
    peer = Peer(mss=700, window=5000, window_scale=3, sack=sack, tsval=5 if stamped else -1)
    scene = attempted(segments, peer, expires=expires)
    assert scene.state is LISTEN
    scene.events()  # a soft error after R1, of what timed out
    fresh = listen(CONFIG, peer)
    fresh.now = scene.now
    assert stripped(scene.image()) == stripped(fresh.image())
