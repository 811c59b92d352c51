"""A host's way back to itself is a path without loss: everything arrives in order, at once, and nothing is
sent twice.
"""

from hypothesis import example, given
from hypothesis import strategies as st

from postel.host.host import Host
from postel.tcp.config import Config
from postel.tcp.connection import Connection
from postel.tcp.state import CLOSED
from postel.times import NEVER

MTUS = st.sampled_from([1280, 1500, 9000, 65535])
TEXTS = st.lists(st.tuples(st.booleans(), st.integers(1, 100_000)), max_size=8)
ADDRESSES = st.sampled_from(["127.0.0.1", "127.2.3.4", "::1", "10.0.0.1", "fd00::1"])


class Alone:
    """A host, the two ends of a connection with itself, and what each end still has to send and has heard."""

    def __init__(self, address: str, mtu: int, offload: int, *, nagle: bool) -> None:
        self.now = 7
        self.host = Host("10.0.0.1/24", "fd00::1/64", secret=b"alone", mtu=mtu, config=Config(nagle=nagle))
        self.host.use_offload(offload)
        listener = self.host.listen(80, self.now)
        self.client = self.host.connect(address, 80, self.now)
        self.settle()
        server = listener.accept()
        assert server is not None
        self.ends: tuple[Connection, Connection] = (self.client, server)
        self.heard = [bytearray(), bytearray()]

    def settle(self) -> None:
        """Drain and let arrive until nothing is due."""
        while True:
            assert self.host.next_packet(self.now) is None  # for the link
            while self.host.next_event() is not None:
                pass
            if self.host.next_timeout() > self.now:
                return
            self.host.handle_timeout(self.now)

    def send(self, end: int, data: bytes) -> None:
        while data:
            data = data[self.ends[end].send(data, self.now) :]
            self.settle()
            self.read()
            self.settle()
            if data and not self.ends[end].writable:  # for Nagle's algorithm, or a delayed ACK
                self.pass_time()

    def pass_time(self) -> None:
        self.now = max(self.host.next_timeout(), self.now)
        self.host.handle_timeout(self.now)
        self.settle()

    def read(self) -> None:
        for end, connection in enumerate(self.ends):
            self.heard[end] += connection.receive(1 << 20, self.now)


@given(ADDRESSES, MTUS, st.booleans(), st.booleans(), TEXTS)
@example(
    "::1",
    65535,
    True,
    True,
    [
        (True, 89_684),
        (False, 44_756),
        (False, 25_088),
        (False, 100_000),
        (True, 13_929),
        (False, 32_091),
        (True, 193_974),
    ],
)
def test_loopback_is_a_path_without_loss(
    address: str, mtu: int, bursts: bool, nagle: bool, texts: list[tuple[bool, int]]
):
    alone = Alone(address, mtu, 65535 if bursts else 0, nagle=nagle)
    expected = [bytearray(), bytearray()]
    for number, (end, size) in enumerate(texts):
        data = bytes([number + 1]) * size
        expected[not end] += data
        alone.send(end, data)
    for end in alone.ends:
        assert end.status(alone.now).total_retrans == 0
    for end in alone.ends:
        end.close(alone.now)
        alone.settle()
    alone.read()
    while alone.host.next_timeout() < NEVER:  # an end that isn't read is probed for ever, as it must be
        alone.pass_time()
        alone.read()
    assert alone.heard == expected
    for end in alone.ends:
        assert (end.state, end.error) == (CLOSED, None)
    assert list(alone.host.connections()) == []
    assert alone.host.statistics()["dropped"] == 0
