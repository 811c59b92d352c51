"""Proportional Rate Reduction: how fast to send while cwnd falls to ssthresh (RFC 9937).

Theory of operation. When recovery begins, more is in flight than ssthresh allows. To stop until enough has
been acknowledged would lose a good part of a round trip, and with it the ACK clock. To retransmit at once all
that was found lost would be a burst. PRR sends a share of what each ACK says was delivered instead::

    in flight
    RecoverFS ┤●
              │  ●               in proportion: for each octet delivered, ssthresh / RecoverFS
              │    ●             octets are sent (with Reno's ssthresh, one for every two)
     ssthresh ┤      ●─●─●─●     from here on as much is sent as is delivered
              │     ╱
              │    ●             after heavy loss, less than ssthresh is in flight: as much is sent as
              │   ╱              is delivered, and one segment more for each ACK that advances SND.UNA
              │  ●               and shows no further loss
              └────────────► ACKs

So about ssthresh is in flight at the end of recovery, and no burst follows. While recovery lasts, ``window``
of `Reduction` takes the place of the controller's window.
"""


class Reduction:
    """PRR of one recovery episode; all sizes are octets.

    ``window`` takes the place of cwnd while the episode lasts. ``threshold`` is ssthresh.
    """

    __slots__ = ("_delivered", "_flight", "_out", "threshold", "window")

    def __init__(self, threshold: int, flight: int) -> None:
        """Begin an episode down to ``threshold`` octets, with ``flight`` octets in flight (RecoverFS)."""
        self.threshold: int = threshold
        self.window: int = 0
        self._flight = max(1, flight)  # RecoverFS
        self._delivered = 0  # prr_delivered
        self._out = 0  # prr_out

    def on_ack(self, delivered: int, in_flight: int, smss: int, *, is_safe: bool) -> None:
        """Set the window after an ACK that delivered something (RFC9937-6.2a).

        ``delivered`` octets were acknowledged or SACKed by the ACK, and ``in_flight`` octets remain in the
        network. ``is_safe`` says that SND.UNA advanced and nothing more was found lost (SafeACK).
        """
        self._delivered += delivered
        if in_flight > self.threshold:  # RFC9937-6.2c: a share of what was delivered
            count = -(-self._delivered * self.threshold // self._flight) - self._out
        else:  # RFC9937-6.2d: what was delivered, a segment more on a safe ACK, and never beyond ssthresh
            count = max(self._delivered - self._out, delivered) + (smss if is_safe else 0)
            count = min(self.threshold - in_flight, count)
        if self._out == 0 and count <= 0:  # RFC9937-6.2e: the first retransmission goes at once
            count = smss
        self.window = in_flight + max(0, count)

    def sent(self, octets: int) -> None:
        """Count octets that were sent in this episode, new or again."""
        self._out += octets  # RFC9937-6.3
