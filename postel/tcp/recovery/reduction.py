"""Proportional Rate Reduction (RFC 9937): from the flight at a loss down to ssthresh, by the ACKs that come
in.
"""


class Reduction:
    """Made when recovery begins, for one episode. ``window`` is the RFC's cwnd while it lasts. All sizes are
    octets.
    """

    __slots__ = ("_delivered", "_flight", "_out", "threshold", "window")

    def __init__(self, threshold: int, flight: int) -> None:
        self.threshold: int = threshold
        self.window: int = 0
        self._flight = max(1, flight)  # RecoverFS
        self._delivered = 0  # prr_delivered
        self._out = 0  # prr_out

    def on_ack(self, delivered: int, in_flight: int, smss: int, *, is_safe: bool) -> None:
        """``is_safe``: SND.UNA advanced and nothing more was found lost (SafeACK). RFC9937-6.2a:
        ``delivered`` isn't 0.
        """
        self._delivered += delivered
        if in_flight > self.threshold:  # RFC9937-6.2c: in proportion
            count = -(-self._delivered * self.threshold // self._flight) - self._out
        else:  # RFC9937-6.2d: as many as left, one more on a safe ACK, and no more than fit
            count = max(self._delivered - self._out, delivered) + (smss if is_safe else 0)
            count = min(self.threshold - in_flight, count)
        if self._out == 0 and count <= 0:  # RFC9937-6.2e
            count = smss
        self.window = in_flight + max(0, count)

    def sent(self, octets: int) -> None:
        self._out += octets  # RFC9937-6.3
