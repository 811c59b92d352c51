"""Two hosts with non-blocking sockets in virtual time: a driver of the smallest kind."""

from collections.abc import Callable
from dataclasses import dataclass, field
from socket import AF_INET, SOCK_STREAM

import pytest

from postel import Connection, Host
from postel.sockets.bindings import Bindings
from postel.sockets.datagram import DatagramCalls
from postel.sockets.nonblocking import NonBlockingSocket, SocketOwner, known_family
from postel.sockets.stream import StreamCalls

NEAR_4, NEAR_6 = "10.7.0.1", "fd07::1"
FAR_4, FAR_6 = "10.7.0.2", "fd07::2"


@dataclass
class Driver(SocketOwner):
    """One host of two. `settle` of `Both` does what drivers do."""

    host: Host
    clock: "Both"
    bindings: Bindings = field(default_factory=Bindings)
    abandoned: list[Connection] = field(default_factory=list)

    def now(self) -> int:
        return self.clock.now

    def wake(self) -> None:
        """`Both.settle` looks at all of it."""

    def abandon(self, connection: Connection) -> None:
        self.abandoned.append(connection)

    def socket(self, family: int = AF_INET, kind: int = SOCK_STREAM) -> NonBlockingSocket:
        known, kind = known_family(family, kind)
        return (StreamCalls if kind is SOCK_STREAM else DatagramCalls)(self, known, self.host.config)


class Both:
    """``near`` and ``far``, and the time of both."""

    def __init__(self) -> None:
        self.now = 1_000_000
        self.near = Driver(Host(f"{NEAR_4}/24", f"{NEAR_6}/64", secret=b"near"), self)
        self.far = Driver(Host(f"{FAR_4}/24", f"{FAR_6}/64", secret=b"far"), self)

    def settle(self, until: int = 0) -> None:
        """Carry packets and tell events until neither comes, and then what is due by ``until``."""
        while self._exchange() or self._next_timeout() <= until:
            if self._next_timeout() <= max(until, self.now):
                self.now = max(self.now, self._next_timeout())
                for driver in (self.near, self.far):
                    driver.host.handle_timeout(self.now)

    def _exchange(self) -> bool:
        moved = False
        for driver, other in ((self.near, self.far), (self.far, self.near)):
            while (packet := driver.host.next_packet(self.now)) is not None:
                moved = True
                other.host.packet_arrives(packet, self.now)
            while (told := driver.host.next_event()) is not None:
                moved = True
                if isinstance(told[0].context, NonBlockingSocket):
                    told[0].context.happened(told[1])
        return moved

    def _next_timeout(self) -> int:
        return min(self.near.host.next_timeout(), self.far.host.next_timeout())


@pytest.fixture
def both() -> Both:
    return Both()


Connected = Callable[..., tuple[NonBlockingSocket, NonBlockingSocket]]


@pytest.fixture
def connected(both: Both) -> Connected:
    def connect(family: int = AF_INET, address: str = FAR_4) -> tuple[NonBlockingSocket, NonBlockingSocket]:
        """A client of ``near`` and what ``far`` has accepted."""
        listener, client = both.far.socket(family), both.near.socket(family)
        listener.bind((address, 0))
        listener.listen()
        with pytest.raises(BlockingIOError):
            client.connect(listener.getsockname())
        both.settle()
        accepted, name = listener.accept()
        assert name == client.getsockname()
        listener.close()
        return client, accepted

    return connect
