"""The deadlines of one connection. To arm is to assign, to disarm is to assign NEVER."""

from postel.times import NEVER


def deadline(after: int, now: int) -> int:
    """When ``after`` microseconds will have passed; NEVER stays NEVER."""
    return now + after if after < NEVER else NEVER


def moved(running: int, before: int, after: int) -> int:
    """The deadline ``running``, which was set for ``before`` microseconds, had it been set for ``after``. NEVER doesn't run."""
    if running == NEVER or before == after:
        return running
    return running - before + after if after < NEVER else NEVER


class Timers:
    """``expires`` is no deadline: it says when the retransmission timeout is or would be due, while one of the three before it runs."""

    __slots__ = (
        "delayed_ack",
        "expires",
        "keep_alive",
        "orphan",
        "override",
        "pacing",
        "persist",
        "probe",
        "reorder",
        "retransmission",
        "time_wait",
        "user",
    )

    def __init__(self) -> None:
        self.retransmission = NEVER  # RFC 6298, 5
        self.probe = NEVER  # RFC 8985, 7.2
        self.reorder = NEVER  # RFC 8985, 6.2
        self.expires = NEVER
        self.pacing = NEVER
        self.persist = NEVER  # RFC 9293, 3.8.6.1
        self.override = NEVER  # RFC 9293, 3.8.6.2.1
        self.delayed_ack = NEVER  # RFC 9293, 3.8.6.3
        self.keep_alive = NEVER  # RFC 9293, 3.8.4
        self.user = NEVER  # RFC 9293, 3.10.8; R2
        self.time_wait = NEVER  # 2MSL
        self.orphan = NEVER  # of a released connection: without progress, or without the peer's FIN (EP-TMO-9)

    def next(self) -> int:
        """Two at a time, for that the compiler knows as a comparison; eleven at once it leaves to Python's `min`."""
        first = min(self.retransmission, self.probe)
        first = min(first, self.reorder)
        first = min(first, self.pacing)
        first = min(first, self.delayed_ack)
        first = min(first, self.user)
        first = min(first, self.persist)
        first = min(first, self.override)
        first = min(first, self.keep_alive)
        first = min(first, self.time_wait)
        return min(first, self.orphan)

    def stop(self) -> None:
        """Every one."""
        self.retransmission = self.probe = self.reorder = self.pacing = NEVER
        self.persist = self.override = self.delayed_ack = NEVER
        self.keep_alive = self.user = self.time_wait = self.orphan = NEVER
