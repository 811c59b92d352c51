"""Check of a link against the contract of `postel.links.Link`.

>>> from postel.links import pair
>>> from postel.testing import check_link
>>> check_link(pair)
"""

import errno
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event
from typing import Any, Final

from postel.errors import ArgumentError, LinkError
from postel.host.host import Host
from postel.links.contract import LARGEST_MTU, SMALLEST_MTU, Link, require_unused
from postel.times import MINUTE, NEVER
from postel.wire import ip, udp
from postel.wire.parcel import Parcel, finished
from postel.wire.segment import PROTOCOL as TCP
from postel.wire.segment import Segment, encode_for

Maker = Callable[[], tuple[Link, Link]]

NEAR: Final = "10.0.0.1"
FAR: Final = "10.0.0.2"
_NEAR, _FAR = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
_FLOOD: Final = 5000  # number of packets sent at once
_FEW: Final = 5
_STUCK: Final = 10  # number of timeouts that may follow each other at the same time
_JUMPS: Final = 20_000
_PATIENCE: Final = 0.25  # seconds of real time until a packet counts as lost
_FIRST: Final = 1_000_000  # time of the clock at the start, in microseconds


def check_link(make: Maker, *, counts_losses: bool = True) -> None:
    """Check a link of yours: round trips, sizes, a full queue, timers, wake-ups, the end, and parcels.

    ``make()`` returns two new links that are joined: packets sent on one arrive at the other. It is called
    once for each rule, and both links are closed afterwards. The first link is checked; the second may be of
    another kind. The links are attached to hosts with the addresses 10.0.0.1 and 10.0.0.2 in the network
    10.0.0.0/24, and carry packets of these. The clock is virtual and jumps to the links' timeouts. If a link
    has no timeout and no packet came, the check waits for a quarter of a second of real time.

    A link that loses packets at random can't be checked. With ``counts_losses=False`` packets may be lost
    outside of both links, as in a kernel.

    Raises AssertionError. Its message says which rules the link breaks, and how. Raises ArgumentError if
    ``make`` doesn't return two links.
    """
    rules: dict[str, Callable[[_Ends], None]] = {
        "packets arrive whole and in order, both ways": _round_trips,
        "None says that nothing waits": _silence,
        "the driver is told of a packet": _wakes,
        "a packet larger than the MTU is refused": _door,
        "what is lost is counted": _flood if counts_losses else _fills,
        "timers are honest": _timers,
        "the end is told, and stays": _end,
        "the other side's end is nothing, or an end": _far_end,
        "parcels are carried": _parcels,
    }
    broken: list[str] = []
    cause: Exception | None = None
    for rule, check in rules.items():
        near, far = _made_by(make)
        try:
            with _ends_of(near, far) as ends:
                check(ends)
        except Exception as error:  # noqa: BLE001 - any exception of a link is reported
            cause = cause or error
            told = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            broken.append(f"{rule}: {told}")
    if broken:
        raise AssertionError("the link breaks its contract:\n  " + "\n  ".join(broken)) from cause


def _made_by(make: Maker) -> tuple[Link, Link]:
    if not callable(make):
        raise ArgumentError("make", make, "a function that returns two new links that are joined")
    made: Any = make()
    if not isinstance(made, (tuple, list)) or len(made) != 2 or made[0] is made[1]:
        raise ArgumentError("make()", made, "two new links that are joined")
    for link in made:
        require_unused(link)
    return made[0], made[1]


class _Side:
    """One link, with what a driver of a host keeps for it."""

    def __init__(self, link: Link, address: str) -> None:
        self.link = link
        self.called = Event()
        self.host = Host(f"{address}/24", secret=b"check_link", mtu=link.mtu)
        link.attached(self.host.routes)
        link.ready = self.called.set

    def receive(self, now: int) -> bytes | None:
        """Receive a packet, and check what the link returned."""
        packet = self.link.receive(now)
        assert packet is None or (isinstance(packet, bytes) and packet), (
            f"receive returned {packet!r}; allowed: a packet, or None"
        )
        return packet

    def send(self, packet: bytes, now: int) -> bool:
        """Send a packet, and check what the link returned."""
        hop = self.host.routes.next_hop_of(packet) if self.link.needs_next_hop else b""
        is_carried = self.link.send(packet, hop, now)
        assert isinstance(is_carried, bool), f"send returned {is_carried!r}; allowed: True or False"
        return is_carried

    def lost(self) -> int:
        """Number of packets that the link says it has lost."""
        figures = self.link.statistics()
        assert isinstance(figures.get("lost"), int), (
            f"statistics() is {figures!r}; it must have an int as 'lost'"
        )
        return figures["lost"]

    def is_told(self, patience: float) -> bool:
        """Whether the link asked to be looked at, by its descriptor or by `notify`."""
        descriptor = self.link.fileno()
        if descriptor is None or descriptor < 0:
            return self.called.wait(patience)
        if self.called.is_set():
            return True
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(patience * 1000))


class _Ends:
    """Both links, and a virtual clock."""

    def __init__(self, near: Link, far: Link) -> None:
        self.near, self.far = _Side(near, NEAR), _Side(far, FAR)
        self.now = _FIRST
        self._jumps = 0
        self._stuck = 0

    def due(self) -> int:
        """Time of both links' first timer, in microseconds; NEVER if that is more than a minute ahead."""
        first = min(side.link.next_timeout() for side in (self.near, self.far))
        return first if first <= _FIRST + MINUTE else NEVER

    def jump(self, due: int) -> None:
        """Let the clock jump to the time ``due`` of a timer, and call the links."""
        self._jumps += 1
        self._stuck = self._stuck + 1 if due <= self.now else 0
        assert self._stuck < _STUCK, (
            f"next_timeout() is still {due} after handle_timeout({self.now}) and receive()"
        )
        assert self._jumps < _JUMPS, "next_timeout() never comes to rest, though nothing is sent"
        self.now = max(self.now, due)
        for side in (self.near, self.far):
            side.link.handle_timeout(self.now)

    def arrived(self, receiver: _Side, count: int) -> list[bytes]:
        """Return up to ``count`` packets for ``receiver``.

        Both links are read, because they may have to exchange other packets before these can arrive.
        """
        other = self.near if receiver is self.far else self.far
        found: list[bytes] = []
        while len(found) < count:
            if (packet := receiver.receive(self.now)) is not None:
                found.append(packet)
                continue
            aside = other.receive(self.now)
            assert aside is None, "a packet came back to its sender"
            if (packet := receiver.receive(self.now)) is not None:
                found.append(packet)
            elif (due := self.due()) != NEVER:
                self.jump(due)
            elif not self._came(receiver):
                break
        return found

    def _came(self, side: _Side) -> bool:
        side.called.clear()
        return side.is_told(_PATIENCE)


@contextmanager
def _ends_of(near: Link, far: Link) -> Iterator[_Ends]:
    try:
        ends = _Ends(near, far)
        if near.needs_next_hop:
            _resolve(ends)
        yield ends
    finally:
        for link in (near, far):
            with suppress(Exception):
                link.close()


def _resolve(ends: _Ends) -> None:
    """Let both links find out the address of their neighbour on the medium.

    A link may keep no more than one packet while it looks for the neighbour.
    """
    for sender, receiver, back in ((ends.near, ends.far, False), (ends.far, ends.near, True)):
        sender.send(packet_of(28, back=back), ends.now)
        assert ends.arrived(receiver, 1), "the first packet did not arrive"


def packet_of(size: int, *, number: int = 0, back: bool = False) -> bytes:
    """UDP packet of ``size`` octets, 28 or more, from 10.0.0.1 to 10.0.0.2, or ``back``."""
    source, destination = (_FAR, _NEAR) if back else (_NEAR, _FAR)
    text = number.to_bytes(4, "big") * (size // 4)
    return ip.encode(
        source,
        destination,
        udp.PROTOCOL,
        udp.encode_for(udp.Datagram(9, 9, text[: size - 28]), source, destination),
    )


# The rules


def _round_trips(ends: _Ends) -> None:
    mtu = ends.near.link.mtu
    assert isinstance(mtu, int), f"mtu is {mtu!r}; allowed: an int"
    assert SMALLEST_MTU <= mtu <= LARGEST_MTU, f"mtu is {mtu}; allowed: {SMALLEST_MTU} to {LARGEST_MTU}"
    largest = min(mtu, ends.far.link.mtu)
    for sender, receiver, back in ((ends.near, ends.far, False), (ends.far, ends.near, True)):
        sent = [
            packet_of(size, number=size, back=back)
            for size in (28, 29, largest // 2 + 14, largest, 40, largest)
        ]
        for packet in sent:
            assert sender.send(packet, ends.now), (
                f"a packet of {len(packet)} octets was lost though {len(sent)} are few"
            )
        received = ends.arrived(receiver, len(sent))
        sizes = [len(packet) for packet in sent], [len(packet) for packet in received]
        assert received == sent, (
            f"sent were packets of {sizes[0]} octets, received {sizes[1]}, not the same octets in the same "
            "order"
        )


def _silence(ends: _Ends) -> None:
    for _ in range(2):
        assert ends.near.receive(ends.now) is None, "a packet came that was not sent"
    assert ends.far.send(packet_of(100, back=True), ends.now)
    assert len(ends.arrived(ends.near, 1)) == 1, "the packet did not arrive"
    for _ in range(2):
        assert ends.near.receive(ends.now) is None, "a packet came twice"
    descriptor = ends.near.link.fileno()
    if descriptor is not None:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        assert not poll.poll(0), "the descriptor is readable though nothing waits: a driver would spin"


def _wakes(ends: _Ends) -> None:
    descriptor = ends.near.link.fileno()
    assert descriptor is None or descriptor >= 0, f"fileno() is {descriptor} while the link is open"
    for number in range(3):
        assert ends.near.receive(ends.now) is None
        ends.near.called.clear()
        assert ends.far.send(packet_of(100, number=number, back=True), ends.now)
        has_timer = _bring(ends)
        told = ends.near.is_told(_PATIENCE)
        assert told or has_timer, "neither was the descriptor readable nor notify() called when a packet came"
        assert len(ends.arrived(ends.near, 1)) == 1, "the packet did not arrive"


def _bring(ends: _Ends) -> bool:
    """Let time pass until the near link asks to be looked at, or has a timer.

    Returns whether the link has a timer, so that a driver would call it without being asked.
    """
    while not ends.near.is_told(0):
        if ends.near.link.next_timeout() != NEVER:
            return True
        ends.far.receive(ends.now)
        due = ends.due()
        if due == NEVER:
            return False
        ends.jump(due)
    return False


def _door(ends: _Ends) -> None:
    lost = ends.near.lost()
    for size in (ends.near.link.mtu + 1, ends.near.link.mtu + 1000):
        _refused(ends, size)
    assert ends.near.lost() == lost, "a packet that was refused is counted as lost"
    assert ends.near.send(
        packet_of(ends.near.link.mtu if ends.near.link.mtu <= ends.far.link.mtu else 100), ends.now
    )
    assert len(ends.arrived(ends.far, 1)) == 1, "nothing passes any more after a packet was refused"


def _refused(ends: _Ends, size: int) -> None:
    if size > LARGEST_MTU:
        return
    try:
        ends.near.send(packet_of(size), ends.now)
    except LinkError as error:
        number = error.errno
    else:
        raise AssertionError(f"one of {size} octets was taken where the MTU is {ends.near.link.mtu}")
    assert number == errno.EMSGSIZE, f"it is refused with errno {number}; allowed: EMSGSIZE"


def _flood(ends: _Ends) -> None:
    lost, offered, refused = ends.near.lost() + ends.far.lost(), 0, 0
    while offered < _FLOOD and ends.near.link.has_room:
        refused += not ends.near.send(packet_of(min(1000, ends.near.link.mtu), number=offered), ends.now)
        offered += 1
    received = len(ends.arrived(ends.far, offered))
    lost = ends.near.lost() + ends.far.lost() - lost
    assert lost >= refused, f"send returned False {refused} times, and statistics() counts {lost} as lost"
    assert received + lost == offered, (
        f"of {offered} packets {received} arrived and {lost} are counted as lost"
    )


def _fills(ends: _Ends) -> None:
    lost = ends.near.lost()
    refused = sum(not ends.near.send(packet_of(100, number=number), ends.now) for number in range(_FLOOD))
    assert ends.near.lost() - lost == refused, (
        f"send returned False {refused} times, and {ends.near.lost() - lost} are counted as lost"
    )


def _timers(ends: _Ends) -> None:
    link = ends.near.link
    assert link.next_timeout() == link.next_timeout(), "next_timeout() changes though nothing happens"
    link.handle_timeout(ends.now)  # too early: harmless
    for number in range(_FEW):
        ends.near.send(packet_of(100, number=number), ends.now)
        ends.far.send(packet_of(100, number=number, back=True), ends.now)
    received: list[bytes] = []
    while True:
        while (packet := ends.near.receive(ends.now)) is not None:
            received.append(packet)
        while ends.far.receive(ends.now) is not None:
            pass
        due = ends.due()
        if due == NEVER:
            break
        ends.jump(due)
    expected = [packet_of(100, number=number, back=True) for number in range(_FEW)]
    assert received == expected, "not all packets arrived once time had passed"


def _end(ends: _Ends) -> None:
    link = ends.near.link
    ends.near.called.clear()
    link.close()
    assert ends.near.called.is_set(), "close() did not call notify()"
    link.close()
    assert link.fileno() in (None, -1), f"fileno() is {link.fileno()} after close()"
    for _ in range(2):
        _require_end("receive", lambda: ends.near.receive(ends.now))
        _require_end("send", lambda: ends.near.send(packet_of(100), ends.now))
    link.statistics()


def _require_end(method: str, call: Callable[[], Any]) -> None:
    try:
        answer = call()
    except LinkError:
        return
    except OSError as error:
        raise AssertionError(
            f"{method} raises {error!r} after the end; allowed: LinkClosed or another LinkError"
        ) from error
    raise AssertionError(
        f"{method} returns {answer!r} after the end; allowed: LinkClosed or another LinkError, raised"
    )


def _far_end(ends: _Ends) -> None:
    sent = packet_of(100, back=True)
    ends.far.send(sent, ends.now)
    assert _bring(ends) or ends.near.is_told(_PATIENCE), (
        "neither was the descriptor readable nor notify() called when a packet came"
    )
    may_hold = (
        type(ends.near.link).next_timeout is not Link.next_timeout
    )  # a packet that a link holds has not arrived yet
    ends.near.called.clear()
    ends.far.link.close()
    answers: list[bytes | None] = []
    has_ended = False
    for _ in range(4):
        try:
            answers.append(ends.near.receive(ends.now))
            assert not has_ended, "receive answers again after it told of the end"
        except OSError:
            assert answers or may_hold, "receive told of the end before a packet that had arrived earlier"
            has_ended = True
    assert [packet for packet in answers if packet] in ([], [sent]), "a packet came that was not sent"
    if has_ended:
        assert ends.near.is_told(_PATIENCE), (
            "neither was the descriptor readable nor notify() called at the end"
        )


def _parcels(ends: _Ends) -> None:
    link: Any = ends.near.link
    if not link.largest:
        return
    assert link.mtu <= link.largest <= LARGEST_MTU, (
        f"largest is {link.largest}; allowed: mtu ({link.mtu}) to {LARGEST_MTU}"
    )
    stride = link.mtu - 40
    parcel = _parcel(min(link.largest - 40, 3 * stride + 7), stride)
    hop = _FAR if link.needs_next_hop else b""
    assert link.send_parcel(parcel, hop, ends.now), "a parcel was lost, though one is few"
    expected = finished(parcel)
    assert ends.arrived(ends.far, len(expected)) == expected, (
        "a parcel did not arrive as the packets that a wire would carry for it"
    )
    for wrong in (_parcel(stride + 1, stride + 1), _parcel(link.largest - 39, stride)):
        try:
            link.send_parcel(wrong, hop, ends.now)
        except LinkError as error:
            number = error.errno
        else:
            raise AssertionError(
                "a parcel was taken that is larger than `largest`, or that is cut into packets larger than "
                "`mtu`"
            )
        assert number == errno.EMSGSIZE, f"a parcel is refused with errno {number}; allowed: EMSGSIZE"


def _parcel(octets: int, stride: int) -> Parcel:
    """TCP segment with 40 octets of headers and no checksum, which the link has to cut."""
    envelope = ip.Envelope(_NEAR, _FAR, TCP)
    header = bytearray(encode_for(Segment(9, 9, 1, 1, 0x10, 1000), _NEAR, _FAR)[:20])
    pseudo = (
        int.from_bytes(_NEAR[:2], "big") + int.from_bytes(_NEAR[2:], "big") + int.from_bytes(_FAR[:2], "big")
    )
    pseudo += int.from_bytes(_FAR[2:], "big") + TCP + 20 + octets
    header[16:18] = (pseudo % 0xFFFF).to_bytes(2, "big")
    return Parcel(
        envelope.header(min(20 + octets, 65000)) + bytes(header), bytes(octets), stride=stride, start=20
    )
