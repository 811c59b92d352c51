"""Ports that TCP sockets have bound, from ``bind`` until ``close``."""

from collections.abc import Iterator
from contextlib import contextmanager

from postel.errors import AddressInUse
from postel.host.host import Host
from postel.host.listener import Listener
from postel.wire.address import Endpoint, is_unspecified


class Bindings:
    """Endpoints that the TCP sockets of one host have bound.

    A `Host` knows listeners and connections. It doesn't know sockets that are bound, but neither listen nor
    have a connection.
    """

    __slots__ = ("_bound",)

    def __init__(self) -> None:
        """Start without bound sockets."""
        self._bound: dict[
            Endpoint, bool
        ] = {}  # value: True for a socket with SO_REUSEADDR, so that others may bind the endpoint

    def claim(self, host: Host, wanted: Endpoint, address: str | None, now: int, *, shares: bool) -> Endpoint:
        """Bind ``wanted``, with port 0 to a free one. Returns the endpoint that was bound.

        ``address`` is the address of ``wanted`` in the form that `Host.listen` takes, None for all addresses
        of both families. Raises AddressInUse if a listener has the port, or if another socket has bound the
        endpoint and not both sockets have SO_REUSEADDR (``shares``). Raises AddressNotAvailable for an
        address that the host doesn't have.
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
        """Note that a socket listens: no other socket may share its port now, whatever SO_REUSEADDR says."""
        self._bound[bound] = False

    def release(self, bound: Endpoint) -> None:
        """Forget an endpoint, because its socket was closed. Does nothing for one that isn't bound."""
        self._bound.pop(bound, None)


@contextmanager
def _free_ports(host: Host, port: int, address: str | None, now: int) -> Iterator[Iterator[int]]:
    """Yield an iterator of ports without a listener: ``port`` itself; for 0, another free port each time.

    Listeners hold the ports until the end of the block.
    """
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
    """Tell whether two sockets with these addresses would receive the same segments."""
    if len(one) != len(other):
        return False
    return one == other or is_unspecified(one) or is_unspecified(other)
