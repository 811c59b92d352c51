"""Ports that sockets have bound, from ``bind`` until ``close``."""

from collections.abc import Iterator
from contextlib import contextmanager

from postel.errors import AddressInUse
from postel.host.host import Host
from postel.host.listener import Listener
from postel.wire.address import Endpoint, is_unspecified


class Bindings:
    """Those of TCP on one host: a `Host` knows listeners and connections alone."""

    __slots__ = ("_bound",)

    def __init__(self) -> None:
        self._bound: dict[Endpoint, bool] = {}  # whether the socket lets others bind the same: SO_REUSEADDR

    def claim(self, host: Host, wanted: Endpoint, address: str | None, now: int, *, shares: bool) -> Endpoint:
        """Bind ``wanted``, of which port 0 stands for any that is free: the endpoint that was bound.
        ``address`` is as `Host.listen` takes it, None for all of both families.

        Raises AddressInUse where a listener is there, or another socket has bound it; both may, with
        SO_REUSEADDR (``shares``). Raises AddressNotAvailable.
        """
        with _free_ports(host, wanted.port, address, now) as ports:
            for port in ports:
                bound = Endpoint(wanted.address, port)
                others = [
                    other
                    for other in self._bound
                    if other.port == port and _overlap(other.address, bound.address)
                ]
                if not others or (wanted.port and shares and all(self._bound[other] for other in others)):
                    self._bound[bound] = shares
                    return bound
                if wanted.port:
                    break
        raise AddressInUse(f"another socket is bound to {wanted}")

    def listens(self, bound: Endpoint) -> None:
        """The socket listens: from now on none shares its port, with SO_REUSEADDR or without."""
        self._bound[bound] = False

    def release(self, bound: Endpoint) -> None:
        """The socket was closed. Harmless where nothing is bound."""
        self._bound.pop(bound, None)


@contextmanager
def _free_ports(host: Host, port: int, address: str | None, now: int) -> Iterator[Iterator[int]]:
    """Ports at which no listener is; for port 0 one after another, each of them another."""
    tried: list[Listener] = []

    def ports() -> Iterator[int]:
        while True:
            tried.append(host.listen(port, now, address=address))
            yield tried[-1].local.port

    try:
        yield ports()
    finally:
        for listener in tried:
            listener.close(now)


def _overlap(one: bytes, other: bytes) -> bool:
    if len(one) != len(other):
        return False
    return one == other or is_unspecified(one) or is_unspecified(other)
