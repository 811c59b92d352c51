"""`check_link` finds each planted mistake, and Postel's own links are without."""

import errno
import io
import socket
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from postel.errors import ArgumentError, LinkClosed, LinkError
from postel.links import (
    Delayed,
    Faulty,
    Link,
    Observed,
    PacketObserver,
    PushedLink,
    Recorder,
    Shaped,
    Tun,
    pair,
)
from postel.testing import check_link
from postel.times import MILLISECOND, NEVER


def around(make: Callable[[Link], Link], *, offload: bool = False) -> tuple[Link, Link]:
    left, right = pair(offload=offload)
    return make(left), right


def pushed() -> tuple[Link, Link]:
    left = PushedLink(lambda packet: right.packets_arrive([packet]) or True)
    right = PushedLink(lambda packet: left.packets_arrive([packet]) or True)
    return left, right


def relays(kind: socket.SocketKind) -> tuple[Link, Link]:
    left, right = socket.socketpair(socket.AF_UNIX, kind)
    return Tun("left", fd=left.detach()), Tun("right", fd=right.detach())


LINKS: dict[str, Callable[[], tuple[Link, Link]]] = {
    "memory": pair,
    "memory that offloads": lambda: pair(offload=True),
    "memory, small": lambda: pair(1280, queue=8),
    "pushed": pushed,
    "relay of datagrams": lambda: relays(socket.SOCK_DGRAM),
    "relay of records": lambda: relays(socket.SOCK_SEQPACKET),
    "recorder": lambda: around(lambda link: Recorder(link, io.BytesIO())),
    "recorder that offloads": lambda: around(
        lambda link: Recorder(link, io.BytesIO(), joined=True), offload=True
    ),
    "observed": lambda: around(lambda link: Observed(link, PacketObserver()), offload=True),
    "faulty without faults": lambda: around(lambda link: Faulty(link, Random(1))),
    "delayed": lambda: around(
        lambda link: Delayed(link, 30 * MILLISECOND, jitter=5 * MILLISECOND, random=Random(1))
    ),
    "delayed, offloading inside": lambda: around(lambda link: Delayed(link, 1), offload=True),
    "shaped": lambda: around(lambda link: Shaped(link, 10_000_000)),
    "shaped, small": lambda: around(lambda link: Shaped(link, 10_000_000, queue=7)),
    "one around the other": lambda: around(
        lambda link: Shaped(Delayed(Recorder(link, io.BytesIO()), 10), 10_000_000)
    ),
    "pushed, delayed": lambda: (Delayed((ends := pushed())[0], 7), ends[1]),
}


@pytest.mark.parametrize("kind", LINKS)
def test_links_of_postels_own_keep_the_contract(kind: str) -> None:
    check_link(LINKS[kind])


class Honest(Link):
    """A wire without a mistake; the others differ from it in one."""

    mtu = 1500
    limit = 100

    def __init__(self) -> None:
        self.arrived: list[bytes] = []
        self.peer: Any = None
        self.is_closed = False

    def receive(self, now: int) -> bytes | None:
        if self.is_closed:
            raise LinkClosed(errno.EBADF, "closed")
        return self.arrived.pop(0) if self.arrived else None

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        if self.is_closed:
            raise LinkClosed(errno.EBADF, "closed")
        if len(packet) > self.mtu:
            raise LinkError(errno.EMSGSIZE, "too large")
        if len(self.peer.arrived) >= self.limit:
            self.lost += 1
            return False
        self.peer.arrived.append(packet)
        self.peer.notify()
        return True

    def close(self) -> None:
        self.is_closed = True
        self.notify()


class EmptyForNothing(Honest):
    def receive(self, now: int) -> bytes | None:
        packet = super().receive(now)
        return b"" if packet is None else packet


class SilentAtTheEnd(Honest):
    def receive(self, now: int) -> bytes | None:
        return None if self.is_closed else super().receive(now)


class Unheard(Honest):
    def notify(self) -> None: ...


class TakesAnySize(Honest):
    mtu = 1000

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        self.peer.arrived.append(packet)
        self.peer.notify()
        return True


class LosesTheLarge(Honest):
    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        return len(packet) <= self.mtu and super().send(packet, next_hop, now)


class DoesNotCount(Honest):
    def statistics(self) -> dict[str, int]:
        return {"lost": 0}


class SaysNothing(Honest):
    def statistics(self) -> dict[str, int]:
        return {}


class LosesQuietly(Honest):
    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        return super().send(packet, next_hop, now) or True


class Backwards(Honest):
    def receive(self, now: int) -> bytes | None:
        self.arrived, reversed_ = [], self.arrived[::-1]
        self.arrived = reversed_
        return super().receive(now)


class Damages(Honest):
    def receive(self, now: int) -> bytes | None:
        packet = super().receive(now)
        return packet and packet[:-1] + b"!"


class Doubles(Honest):
    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        return super().send(packet, next_hop, now) and super().send(packet, next_hop, now)


class AnswersWithNone(Honest):
    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        return super().send(packet, next_hop, now) or None  # type: ignore[return-value]


class ClosesOnce(Honest):
    def close(self) -> None:
        if self.is_closed:
            raise ValueError("closed already")
        super().close()


class TimerThatStays(Honest):
    due = NEVER

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        self.due = min(self.due, now + 10)
        return super().send(packet, next_hop, now)

    def next_timeout(self) -> int:
        return self.due


class TimerThatNeverRests(Honest):
    due = 0

    def next_timeout(self) -> int:
        return self.due

    def handle_timeout(self, now: int) -> None:
        self.due = now + 1


class TimerThatMoves(Honest):
    due = 1 << 50

    def next_timeout(self) -> int:
        self.due += 1
        return self.due


class RaisesOsError(Honest):
    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        if self.is_closed:
            raise OSError(errno.EBADF, "bad file descriptor")
        return super().send(packet, next_hop, now)


class BadMtu(Honest):
    mtu = 20


class EndsAndGoesOn(Honest):
    has_told = False

    def receive(self, now: int) -> bytes | None:
        if self.peer.is_closed and not self.arrived and not self.has_told:
            self.has_told = True
            raise LinkClosed(errno.ENOTCONN, "the other side has closed")
        return super().receive(now)


class EndsTooEarly(Honest):
    def receive(self, now: int) -> bytes | None:
        if self.peer.is_closed:
            raise LinkClosed(errno.ENOTCONN, "the other side has closed")
        return super().receive(now)


MISTAKES = {
    EmptyForNothing: "receive returned b''; allowed: a packet, or None",
    SilentAtTheEnd: "receive returns None after the end",
    Unheard: "neither was the descriptor readable nor notify",
    TakesAnySize: "one of 1001 octets was taken where the MTU is 1000",
    LosesTheLarge: "one of 1501 octets was taken",
    DoesNotCount: "statistics() counts 0 as lost",
    SaysNothing: "it must have an int as 'lost'",
    LosesQuietly: "",
    Backwards: "not the same octets in the same order",
    Damages: "not the same octets in the same order",
    Doubles: "",
    AnswersWithNone: "send returned None",
    ClosesOnce: "ValueError: closed already",
    TimerThatStays: "next_timeout() is still",
    TimerThatNeverRests: "never comes to rest",
    TimerThatMoves: "next_timeout() changes though nothing happens",
    RaisesOsError: "send raises OSError(9, 'bad file descriptor') after the end",
    BadMtu: "mtu is 20; allowed: 68",
    EndsTooEarly: "receive told of the end before a packet that had arrived earlier",
    EndsAndGoesOn: "receive answers again after it told of the end",
}


def joined(kind: type[Honest]) -> Callable[[], tuple[Link, Link]]:
    def make() -> tuple[Link, Link]:
        left, right = kind(), kind()
        left.peer, right.peer = right, left
        return left, right

    return make


def test_an_honest_link_passes() -> None:
    check_link(joined(Honest))


@pytest.mark.parametrize("kind", [kind for kind in MISTAKES if kind is not LosesQuietly])
def test_a_mistake_is_found(kind: type[Honest]) -> None:
    with pytest.raises(AssertionError, match="the link breaks its contract:") as caught:
        check_link(joined(kind))
    assert MISTAKES[kind] in str(caught.value)


def test_losses_that_only_statistics_tell_of_are_counted_ones() -> None:
    check_link(joined(LosesQuietly))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (None, "make is None; allowed: a function"),
        (Honest, r"make\(\) is .*; allowed: two new links that are joined"),
        (lambda: (pair()[0],) * 2, r"make\(\) is .*; allowed: two new links"),
        (lambda: (Honest(), 7), "link is 7; allowed: a Link"),
    ],
)
def test_a_maker_of_something_else_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        check_link(make)


def test_a_maker_must_make_new_links() -> None:
    links = pair()
    with pytest.raises(ArgumentError, match="allowed: a link that no other host or link uses"):
        check_link(lambda: links)
