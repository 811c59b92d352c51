"""Captures made by hand: segments between two ends, as the octets of a pcap file, and what a `Table` makes of
them.
"""

import io
from collections.abc import Callable

from postel.times import MILLISECOND
from postel.view.capture import Connection, Reader, Table, layers
from postel.view.capture.case import Finding
from postel.view.capture.container import Damage
from postel.view.capture.replay import Replay
from postel.view.capture.table import Seen
from postel.view.capture.unusual import Unusual
from postel.view.trace import Trace
from postel.wire import ip
from postel.wire.address import Endpoint, parse
from postel.wire.segment import ACK, FIN, SYN, Segment, encode_for

LEFT = Endpoint(parse("10.0.0.1"), 1024)
RIGHT = Endpoint(parse("10.0.0.2"), 80)
FIRST = {LEFT: 0xFFFFFF00, RIGHT: 5000}  # the left's numbers wrap
ETHERNET_4 = bytes(12) + b"\x08\x00"
ETHERNET_6 = bytes(12) + b"\x86\xdd"
PCAP = b"\xd4\xc3\xb2\xa1" + bytes((2, 0, 4, 0)) + bytes(8) + (65535).to_bytes(4, "little")
OFFER = {"mss": 1460, "window_scale": 7, "sack_permitted": True, "tsval": 1, "tsecr": 0}


IPV6_ENDS = (Endpoint(parse("fd00::1"), 1024), Endpoint(parse("fd00::2"), 80))
HEADS = {  # of a link, before its type and behind it; None: it has no type
    layers.ETHERNET: (bytes(12), b""),
    layers.COOKED: (bytes(14), b""),
    layers.COOKED_2: (b"", bytes(18)),
    layers.RAW: None,
    layers.NULL: None,
    layers.LOOP: None,
}


def carried(octets: bytes, link: int, tag: bytes) -> bytes:
    """An Ethernet frame's packet, over another link."""
    head = HEADS[link]
    if head is None:
        return (b"" if link == layers.RAW else bytes(4)) + octets[14:]
    return head[0] + (tag if link != layers.COOKED_2 else b"") + octets[12:14] + head[1] + octets[14:]


def pcap(packets: list[tuple[int, bytes]], link: int = 1) -> bytes:
    """Times in microseconds."""
    return PCAP + link.to_bytes(4, "little") + b"".join(record(when, octets) for when, octets in packets)


def record(when: int, octets: bytes) -> bytes:
    fields = (when // 1_000_000, when % 1_000_000, len(octets), len(octets))
    return b"".join(field.to_bytes(4, "little") for field in fields) + octets


GATHERED: dict[bytes, str] = {}  # the captures that tests made, with the name of the first test
gathering = [""]  # the test that runs now, if its captures are kept


def read(
    octets: bytes,
    closer: Callable[[Seen], None] | None = None,
    *,
    only: int = 0,
    checksums: bool = False,
    zeek_timers: bool = False,
) -> tuple[list[Connection], Damage | None, Table]:
    """The connections in the order in which they began."""
    if gathering[0]:
        GATHERED.setdefault(octets, gathering[0])
    found: list[Connection] = []
    reader, table = (
        Reader(io.BytesIO(octets)),
        Table(found.append, closer=closer, only=only, checksums=checksums, zeek_timers=zeek_timers),
    )
    for chunk, frames in reader.chunks():
        table.take(chunk, frames)
    table.finish()
    return sorted(found, key=lambda connection: connection.number), reader.damage, table


class Tape:
    """Sequence numbers are relative; each segment comes a millisecond after the last, unless `wait` is
    called.
    """

    def __init__(self, left: Endpoint = LEFT, right: Endpoint = RIGHT) -> None:
        self.ends = (left, right)
        self.packets: list[tuple[int, bytes]] = []
        self.now = 1_000_000

    def cut(self, octets: int) -> "Tape":
        """Leave so many octets of the last packet out of the capture."""
        when, frame = self.packets.pop()
        self.packets.append((when, frame[:-octets]))
        return self

    def wait(self, milliseconds: int) -> "Tape":
        self.now += milliseconds * MILLISECOND
        return self

    def left(self, flags: int, seq: int, ack: int = 0, data: bytes = b"", **fields: object) -> "Tape":
        return self._sent(0, flags, seq, ack, data, fields)

    def right(self, flags: int, seq: int, ack: int = 0, data: bytes = b"", **fields: object) -> "Tape":
        return self._sent(1, flags, seq, ack, data, fields)

    def _sent(
        self, side: int, flags: int, seq: int, ack: int, data: bytes, fields: dict[str, object]
    ) -> "Tape":
        one, two = self.ends[side], self.ends[1 - side]
        numbers = (FIRST[LEFT], FIRST[RIGHT]) if side == 0 else (FIRST[RIGHT], FIRST[LEFT])
        number, answer = (numbers[0] + seq) & 0xFFFFFFFF, (numbers[1] + ack) & 0xFFFFFFFF
        segment = Segment(one.port, two.port, number, answer if flags & ACK else 0, flags, 1000, data)
        for name, value in fields.items():
            setattr(segment, name, value)
        tcp = encode_for(segment, one.address, two.address)
        traffic = int(str(fields.get("ecn", 0)))
        packet = ip.encode(one.address, two.address, 6, tcp, traffic_class=traffic)
        self.packets.append((self.now, (ETHERNET_4 if len(one.address) == 4 else ETHERNET_6) + packet))
        self.now += MILLISECOND
        return self

    def handshake(self, **fields: object) -> "Tape":
        """Three segments; both then stand at 1."""
        offer = OFFER | fields
        return (
            self.left(SYN, 0, **offer).right(SYN | ACK, 0, 1, **offer).left(ACK, 1, 1, **self.stamps(offer))
        )

    def stamps(self, offer: dict[str, object]) -> dict[str, object]:
        return {name: offer[name] for name in ("tsval", "tsecr") if name in offer}

    def close(self, left: int = 1, right: int = 1) -> "Tape":
        """The left closes first, in four segments."""
        self.left(FIN | ACK, left, right, tsval=1, tsecr=1).right(ACK, right, left + 1, tsval=1, tsecr=1)
        return self.right(FIN | ACK, right, left + 1, tsval=1, tsecr=1).left(
            ACK, left + 1, right + 1, tsval=1, tsecr=1
        )

    def pcap(self) -> bytes:
        return pcap(self.packets)

    def connections(self) -> list[Connection]:
        return read(self.pcap())[0]

    def connection(self) -> Connection:
        (connection,) = self.connections()
        return connection

    def findings(self) -> dict[str, Finding]:
        """Of all connections, by kind."""
        unusual = Unusual()
        found, _, _ = read(self.pcap(), unusual.look)
        return {finding.kind: finding for connection in found for finding in unusual.of(connection).findings}

    def trace(self, number: int = 0) -> Trace:
        replay = Replay()
        read(self.pcap(), replay.look, only=number)
        return replay.finish()
