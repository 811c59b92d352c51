"""The line of `ss -ti`."""

from dataclasses import replace

from postel.tcp.config import DEFAULT
from postel.tcp.congestion.reno import Reno
from postel.testing.states import PLAIN, Peer, established
from postel.times import MILLISECOND
from postel.view import status
from postel.wire.segment import ACK


def test_an_idle_connection() -> None:
    told = established(PLAIN).connection.status()
    told = told._replace(rtt=0, rttvar=0)
    assert status.text(told) == (
        "cubic rto:1000 ato:40 mss:1000 pmtu:1500 rcvmss:1460 advmss:1460 cwnd:10 segs_out:1 segs_in:2 "
        "lastsnd:1000000 lastrcv:1000000 lastack:0 rcv_space:1048576 rcv_ssthresh:65535 snd_wnd:60000"
    )


class Paced(Reno):
    pass


def test_a_busy_one() -> None:
    scene = established(
        replace(DEFAULT, congestion=Paced), Peer(window_scale=3, window=1000, sack=True, tsval=1)
    )
    scene.sends(bytes(20_000))
    scene.now += 25 * MILLISECOND
    scene.hears(ACK, b"abc", ack=989, tsval=2, tsecr=scene.tcb.timestamps.offset + 1_000_000)
    scene.tcb.ensure_controller().pacing_rate = 1_000_000
    scene.tcb.ensure_controller().threshold = 30_000
    scene.now += 5 * MILLISECOND
    told = scene.connection.status(scene.now)._replace(
        rtt=12_500, rttvar=250, min_rtt=10_000, delivery_rate=125_000, delivered=2
    )
    told = told._replace(
        total_retrans=3,
        retrans=1,
        retransmits=1,
        lost=1,
        sacked=4,
        dsack_dups=1,
        reord_seen=2,
        bytes_retrans=2964,
    )
    assert status.text(told) == (
        "ts sack paced wscale:3,7 rto:1000 backoff:1 rtt:12.5/0.25 ato:40 mss:988 pmtu:1500 rcvmss:1448 "
        "advmss:1460 cwnd:11 ssthresh:30 "
        "bytes_sent:8892 bytes_retrans:2964 bytes_acked:988 bytes_received:3 segs_out:10 segs_in:3 "
        "data_segs_out:9 data_segs_in:1 "
        "send 6955520bps lastsnd:5 lastrcv:5 lastack:5 pacing_rate 8000000bps delivery_rate 1000000bps "
        "delivered:2 busy:30ms rwnd_limited:30ms(100.0%) unacked:8 retrans:1/3 lost:1 sacked:4 dsack_dups:1 "
        "reord_seen:2 "
        "rcv_space:131072 rcv_ssthresh:131072 notsent:11108 minrtt:10 snd_wnd:8000"
    )
