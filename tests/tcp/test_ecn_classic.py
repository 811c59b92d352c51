"""ECE and CWR: RFC 3168, 6.1.2 to 6.1.6, on an open connection."""

from dataclasses import replace

import pytest

from postel.tcp import seq
from postel.tcp.congestion.reno import Reno
from postel.tcp.ecn import CE, ECT_0, NOT_ECT
from postel.tcp.ecn.classic import Classic
from postel.tcp.timers import PERSIST, RETRANSMISSION
from postel.testing.states import MSS, Peer, Scene, listen
from postel.times import MINUTE, NEVER, SECOND
from postel.wire.segment import ACK, CWR, ECE, FIN, PSH, SYN, Segment, flags_text
from tests.tcp.scenes import RENO

CONFIG = replace(RENO, ecn="accept-classic", nagle=False)


def opened(peer: Peer | None = None, **choices: object) -> Scene:
    """ESTABLISHED, with classic ECN."""
    scene = listen(replace(CONFIG, **choices), peer)  # type: ignore[arg-type]
    scene.hears(SYN | ECE | CWR)
    scene.hears(ACK)
    scene.all_events()
    return scene


def classic(scene: Scene) -> Classic:
    assert isinstance(scene.tcb.ecn, Classic)
    return scene.tcb.ecn


def told(scene: Scene) -> list[tuple[str, int]]:
    """Of each segment sent last: ECE and CWR, and its mark."""
    return [(flags_text(segment.flags & (ECE | CWR)), segment.ecn) for segment in scene.sent]


# The sender


@pytest.mark.label("RFC3168-6.1.2d", "RFC3168-6.1.4")
def test_new_text_is_marked_and_nothing_else() -> None:
    scene = opened()
    scene.sends(bytes(2 * MSS))
    assert told(scene) == [("-", ECT_0)] * 2
    scene.hears(ACK, bytes(10))
    scene.hears(ACK, bytes(10))
    assert told(scene) == [("-", NOT_ECT)]
    scene.hears(ACK)
    scene.closes()
    assert told(scene) == [("-", NOT_ECT)]  # a FIN without text is a control packet


def test_text_with_the_fin_is_marked() -> None:
    scene = opened()
    scene.connection.send(bytes(10), scene.now)
    scene.closes()
    assert (scene.sent[0].flags, told(scene)) == (FIN | PSH | ACK, [("-", ECT_0)])


@pytest.mark.label("RFC3168-6.1.5")
def test_a_retransmission_is_not_marked() -> None:
    scene = opened()
    scene.sends(bytes(MSS))
    scene.expires()
    assert told(scene) == [("-", NOT_ECT)]


@pytest.mark.label("RFC3168-6.1.5")
def test_text_that_is_partly_sent_again_is_not_marked() -> None:
    scene = opened()
    scene.sends(bytes(10))
    scene.connection.send(bytes(MSS), scene.now)
    scene.passes(SECOND // 2)
    scene.hears(ACK, ack=1, window=5)
    scene.hears(ACK, ack=1, window=60_000)
    scene.expires()
    first = scene.sent[0]
    assert (seq.offset(first.seq, scene.tcb.snd.iss), first.ecn) == (1, NOT_ECT)


@pytest.mark.label("RFC3168-6.1.6")
def test_a_window_probe_has_neither_mark_nor_cwr() -> None:
    """What comes after it is partly sent again."""
    scene = opened()
    classic(scene).owes_cwr = True
    scene.hears(ACK, window=0)
    scene.sends(bytes(2 * MSS))
    scene.expires()
    assert [len(segment.data) for segment in scene.sent] == [1]
    assert told(scene) == [("-", NOT_ECT)]
    scene.hears(ACK, ack=1)
    assert told(scene) == [("-", NOT_ECT), ("CWR", ECT_0)]


@pytest.mark.label("RFC3168-5a", "RFC3168-6.1.2a")
def test_one_mark_costs_a_fifth_of_the_flight_once_a_round_trip() -> None:
    """Neither does the window grow on ECE."""
    scene = opened()
    scene.sends(bytes(30 * MSS))
    assert (scene.max, scene.tcb.ensure_controller().window) == (1 + 10 * MSS, 10 * MSS)
    scene.hears(ACK | ECE, ack=1 + MSS)
    assert (scene.tcb.ensure_controller().window, scene.tcb.ensure_controller().threshold) == (
        8 * MSS,
        8 * MSS,
    )
    assert classic(scene).newly_marked == MSS
    for count in range(2, 11):
        scene.hears(ACK | ECE, ack=1 + count * MSS)
        assert scene.tcb.ensure_controller().window == 8 * MSS
    scene.hears(ACK | ECE, ack=1 + 11 * MSS)  # sent after the reduction: news
    assert scene.tcb.ensure_controller().window == 6400
    assert scene.tcb.counts.segments_retransmitted == 0


@pytest.mark.label("RFC3168-6.1.2c")
def test_cwr_goes_out_once_on_the_first_new_text() -> None:
    scene = opened()
    scene.sends(bytes(10 * MSS))
    scene.hears(ACK | ECE, ack=1 + 10 * MSS)
    assert scene.sent == []
    scene.sends(bytes(2 * MSS))
    assert told(scene) == [("CWR", ECT_0), ("-", ECT_0)]


@pytest.mark.label("RFC3168-6.1.2c", "RFC3168-6.1.5", "RFC3168-6.1.2a")
@pytest.mark.parametrize("sack", [False, True])
def test_a_loss_too_is_told_by_cwr_but_not_on_what_goes_again(sack: bool) -> None:
    """With a mark in the same round trip there is one reduction."""
    scene = opened(Peer(sack=sack), sack=sack)
    scene.sends(bytes(30 * MSS))
    sent: list[Segment] = []
    for count in (2, 3, 4):
        scene.hears(ACK, ack=1, sack=((1 + MSS, 1 + count * MSS),) if sack else ())
        sent += scene.sent
    threshold = scene.tcb.ensure_controller().threshold
    assert threshold < 10 * MSS
    for number in (1 + 10 * MSS, scene.max):
        scene.hears(ACK | ECE, ack=number)
        sent += scene.sent
    assert scene.tcb.ensure_controller().threshold == threshold
    first = seq.add(scene.tcb.snd.iss, 1)
    assert [(segment.flags & CWR, segment.ecn) for segment in sent if segment.seq == first] == [(0, NOT_ECT)]
    assert [segment.ecn for segment in sent if segment.flags & CWR] == [ECT_0]


@pytest.mark.label("RFC3168-6.1.2c")
def test_a_timeout_too_is_told_by_cwr() -> None:
    scene = opened()
    scene.sends(bytes(MSS))
    scene.expires()
    scene.hears(ACK)
    scene.sends(bytes(MSS))
    assert told(scene) == [("CWR", ECT_0)]


@pytest.mark.label("RFC3168-6.1.2b")
def test_a_window_of_one_segment_waits_for_the_timer() -> None:
    scene = opened()
    scene.sends(bytes(MSS))
    scene.expires()  # the window is one segment now
    assert scene.tcb.ensure_controller().window == MSS
    assert scene.hears(ACK | ECE) == []
    scene.sends(bytes(MSS))
    assert scene.sent == []
    timeout = scene.tcb.rtt.rto
    assert scene.connection.next_timeout() == scene.now + timeout
    retransmissions = scene.tcb.snd.retransmissions
    assert scene.expires() == [f"PSH,ACK,CWR seq={1 + MSS} ack=1 len={MSS}"]
    assert scene.tcb.snd.retransmissions == retransmissions  # nothing was lost
    assert scene.tcb.timers.due(RETRANSMISSION) == scene.now + timeout


@pytest.mark.label("RFC3168-6.1.2b")
def test_it_waits_with_text_in_flight_too() -> None:
    """What was lost goes again, and what is new waits until the timer has run out since the latest ECE."""
    scene = opened()
    scene.sends(bytes(3 * MSS))
    scene.expires()
    assert scene.hears(ACK | ECE, ack=1 + MSS) == [f"ACK seq={1 + MSS} ack=1 len={MSS}"]
    scene.connection.send(bytes(MSS), scene.now)
    scene.hears(ACK | ECE, ack=1 + 2 * MSS)
    scene.now += SECOND
    assert scene.hears(ACK | ECE, ack=1 + 3 * MSS) == []
    assert scene.expires() == [f"PSH,ACK,CWR seq={1 + 3 * MSS} ack=1 len={MSS}"]
    assert scene.now == scene.tcb.snd.last_at


@pytest.mark.label("RFC3168-6.1.2b")
def test_a_duplicate_ack_with_ece_resets_the_timer() -> None:
    scene = opened()
    scene.sends(bytes(2 * MSS))
    scene.expires()
    scene.hears(ACK, ack=1 + MSS)
    scene.tcb.ensure_controller().window = MSS
    scene.now += 10
    scene.hears(ACK | ECE, ack=1 + MSS)
    assert scene.tcb.timers.due(RETRANSMISSION) == scene.now + scene.tcb.rtt.rto


@pytest.mark.label("RFC3168-6.1.2b")
def test_it_waits_no_longer_than_that_when_there_is_nothing_to_send() -> None:
    scene = opened()
    scene.sends(bytes(MSS))
    scene.expires()
    scene.hears(ACK | ECE)
    assert scene.passes(MINUTE) == []
    assert scene.tcb.timers.next() == NEVER
    assert len(scene.sends(bytes(MSS))) == 1


@pytest.mark.label("RFC3168-6.1.2b")
def test_a_closed_window_has_its_own_timer() -> None:
    """Beside persist."""
    scene = opened()
    scene.sends(bytes(2 * MSS))
    scene.expires()
    scene.hears(ACK | ECE, ack=1 + MSS, window=0)
    assert (scene.tcb.timers.due(RETRANSMISSION), scene.tcb.timers.due(PERSIST)) != (NEVER, NEVER)
    scene.hears(ACK | ECE, ack=1 + MSS, window=0)
    assert scene.passes(2 * SECOND) != []


def test_marks_count_after_a_long_time_without() -> None:
    """2**31 octets without a mark don't turn the comparison."""
    scene = opened()
    for _ in range(3):
        scene.tcb.snd.una = scene.tcb.snd.nxt = scene.tcb.snd.max = scene.tcb.snd.up = seq.add(
            scene.tcb.snd.una, 1 << 30
        )
        scene.hears(ACK)
    scene.sends(bytes(10 * MSS))
    window = scene.tcb.ensure_controller().window
    scene.hears(ACK | ECE)
    assert scene.tcb.ensure_controller().window < window


class Deaf(Reno):
    """Counts what it is told, and does nothing."""

    def __init__(self, smss: int, initial_window: int, seed: int) -> None:
        super().__init__(smss, initial_window, seed)
        self.marks: list[int] = []

    def marked(self, flight: int, now: int) -> None:
        self.marks.append(flight)


def test_the_controller_hears_of_the_flight_before_the_ack() -> None:
    scene = opened(congestion=Deaf)
    scene.sends(bytes(8 * MSS))
    scene.hears(ACK | ECE, ack=1 + 3 * MSS)
    assert isinstance(scene.tcb.ensure_controller(), Deaf)
    assert scene.tcb.ensure_controller().marks == [8 * MSS]


# The receiver


@pytest.mark.label("RFC3168-6.1.3")
def test_a_mark_is_echoed_until_cwr() -> None:
    scene = opened(acknowledge_every=1)
    scene.hears(ACK, bytes(10))
    assert told(scene) == [("-", NOT_ECT)]
    scene.hears(ACK, bytes(10), ecn=CE)
    assert told(scene) == [("ECE", NOT_ECT)]
    scene.hears(ACK, bytes(10), ecn=ECT_0)
    assert told(scene) == [("ECE", NOT_ECT)]
    scene.sends(bytes(10))
    assert told(scene) == [("ECE", ECT_0)]
    scene.hears(ACK | CWR, bytes(10), ecn=ECT_0)
    assert told(scene) == [("-", NOT_ECT)]
    scene.hears(ACK | CWR, bytes(10), ecn=CE)  # a new one, on the segment that answers the old
    assert told(scene) == [("ECE", NOT_ECT)]


@pytest.mark.label("RFC3168-6.1.3")
def test_one_marked_segment_of_two_suffices() -> None:
    """The ACK is delayed, and speaks for both."""
    scene = opened()
    assert scene.hears(ACK, bytes(10), ecn=CE) == []
    scene.hears(ACK, bytes(10), ecn=ECT_0)
    assert told(scene) == [("ECE", NOT_ECT)]


@pytest.mark.label("RFC3168-6.1.4")
def test_a_mark_on_a_bare_ack_means_nothing() -> None:
    scene = opened(acknowledge_every=1)
    scene.hears(ACK, ecn=CE)
    scene.hears(ACK, bytes(10))
    assert told(scene) == [("-", NOT_ECT)]


@pytest.mark.label("RFC3168-6.1.5")
@pytest.mark.parametrize("number", [-20, 0, 70_000_000])
def test_a_mark_outside_the_window_means_nothing(number: int) -> None:
    scene = opened(acknowledge_every=1)
    scene.hears(ACK, bytes(10))
    scene.hears(ACK, bytes(1), seq=number, ecn=CE)
    assert told(scene) == [("-", NOT_ECT)]
    scene.hears(ACK, bytes(10))
    assert told(scene) == [("-", NOT_ECT)]


def test_a_marked_probe_of_our_closed_window_counts() -> None:
    """RFC 3168, 6.1.6: it can't be forged easily."""
    scene = opened(receive_buffer=2 * MSS, acknowledge_every=1)
    scene.hears(ACK, bytes(2 * MSS))
    scene.hears(ACK, bytes(1), ecn=CE)
    assert told(scene) == [("ECE", NOT_ECT)]
