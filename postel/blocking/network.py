"""Network of a host on a link, driven by a thread, with sockets for blocking programs."""

import socket
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from types import TracebackType
from typing import Any, Final, ParamSpec, Protocol, Self, TypeVar, cast

from postel.blocking.pump import PumpThread
from postel.blocking.resolver import StubResolver
from postel.blocking.sockets import DescriptorSocket
from postel.blocking.state import SocketStates
from postel.errors import ArgumentError, CallError, KindError, renewed
from postel.host.host import Host
from postel.links.contract import Link
from postel.links.junction import require_free
from postel.sockets import lookup
from postel.sockets.lookup import AddressInfo, NameResolver, Text
from postel.sockets.names import Name
from postel.sockets.preparation import prepare
from postel.wire.address import Address, octets_of, to_text

_REPLACED: Final = ("getaddrinfo", "getnameinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr")
_REPLACING: Final = Lock()  # held while the module `socket` has sockets of a network

P = ParamSpec("P")
T = TypeVar("T")


class BlockingResolver(Protocol):
    """Object that a network asks for the addresses of a name."""

    def addresses(self, name: str) -> list[str]:
        """Return the addresses of ``name`` as text, the preferred one first.

        Returns an empty list, or raises NotResolved, if there is no such name. The call may block.
        """


class BlockingNetwork:
    """Network of one host on one link, for blocking programs; made by `postel.blocking.attach`.

    The network is open inside ``with``. Any thread of this process may call its methods.

    ``socket`` is a class that can be used in place of `socket.socket`. Its objects have a descriptor of the
    system each, and their data goes over this network. The other methods have the names and arguments of the
    functions of the module `socket`. Errors are OSErrors with the kernel's numbers: see `postel.errors`.
    """

    def __init__(
        self,
        host: Host,
        link: Link,
        *,
        names: Mapping[str, str | list[str]],
        servers: Sequence[Address],
        resolver: BlockingResolver | None,
        linger: float,
    ) -> None:
        """Make a network that isn't open yet: see `postel.blocking.attach`."""
        if servers and resolver is not None:
            raise ArgumentError("servers", servers, "none with a resolver of your own")
        prepare(host, link, linger)
        self.host = host
        self.link = link
        if servers:
            resolver = StubResolver(self, servers)
        self._names = _Names(host, names, resolver)
        self.resolver: NameResolver | None = self._names  # the resolver that look-ups use
        self.socket: type[DescriptorSocket] = type(
            "socket", (DescriptorSocket,), {"network": self, "__doc__": DescriptorSocket.__doc__}
        )
        self._linger = linger
        self._states: SocketStates | None = None

    def __repr__(self) -> str:
        """Text with the host."""
        return f"<blocking network of {self.host!r}>"

    def __enter__(self) -> Self:
        """Open the network, and start its thread. Raises CallError if it was opened before."""
        if self._states is not None:
            raise CallError(
                "the network was opened before; each network is opened once, so attach the host again"
            )
        require_free(self.host, self.link)
        pump = PumpThread(self.host, self.link)
        # The host may have been on another link since `attach`
        self.host.join(self.link.mtu, b"", pump.now())
        self._states = SocketStates(pump)
        pump.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the network."""
        self.close()

    def close(self) -> None:
        """Close the network, and its link.

        Connections that the program has closed get up to ``linger`` seconds to end; all others are aborted at
        once. Later calls on open sockets raise the reason. A second call does nothing.
        """
        if self._states is not None:
            self._states.pump.close(self._linger)
            self.link.close()

    @property
    def states(self) -> SocketStates:
        """Sockets of the network. Raises CallError before it is open, and the reason after its end."""
        if self._states is None:
            raise CallError("the network isn't open: use it inside `with`")
        self._states.pump.require_process()
        if self._states.pump.end is not None:
            raise renewed(self._states.pump.end)
        return self._states

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``function`` in the thread that drives the host.

        Returns what ``function`` returns, or raises what it raises. Use this for methods of ``host``, which
        only that thread may call. While ``function`` runs no packets pass, so it must not wait.
        """
        return self.states.pump.call(function, *args, **kwargs)

    def now(self) -> int:
        """Time of the host's clock, in microseconds: the ``now`` for methods of ``host`` inside `call`."""
        return self.states.pump.now()

    # Functions of the module socket

    def create_connection(
        self,
        address: tuple[str | None, int],
        timeout: float | Any | None = ...,  # noqa: ANN401 - a marker, as the module socket has it
        source_address: tuple[str, int] | None = None,
        *,
        all_errors: bool = False,
    ) -> DescriptorSocket:
        """Open a connection, as `socket.create_connection` does. Returns the socket."""
        errors: list[OSError] = []
        for family, kind, proto, _, name in self.getaddrinfo(*address, 0, socket.SOCK_STREAM):
            made = self.socket(family, kind, proto)
            try:
                if timeout is not ...:
                    made.settimeout(timeout)
                if source_address is not None:
                    made.bind(source_address)
                made.connect(name)
            except OSError as error:
                made.close()
                errors.append(error)
            else:
                return made
        try:
            if all_errors:
                raise ExceptionGroup("create_connection failed", errors)
            raise errors[0]
        finally:
            errors.clear()

    def create_server(
        self,
        address: tuple[str, int],
        *,
        family: int = socket.AF_INET,
        backlog: int | None = None,
        reuse_port: bool = False,
        dualstack_ipv6: bool = False,
    ) -> DescriptorSocket:
        """Listen, as `socket.create_server` does. Returns the socket."""
        if dualstack_ipv6 and family != socket.AF_INET6:
            raise ArgumentError("family", family, "AF_INET6 with dualstack_ipv6")
        made = self.socket(family, socket.SOCK_STREAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not dualstack_ipv6))
            made.bind(address)
            made.listen() if backlog is None else made.listen(backlog)
        except BaseException:
            made.close()
            raise
        return made

    def getaddrinfo(
        self,
        host: Text,
        port: Text | int,
        family: int = 0,
        type: int = 0,  # noqa: A002 - the socket module's name
        proto: int = 0,
        flags: int = 0,
    ) -> list[AddressInfo]:
        """Resolve a name, as `socket.getaddrinfo` does, by the names and the resolver of `attach`.

        Raises NotResolved, which is a ``socket.gaierror``.
        """
        return _result(
            lookup.getaddrinfo(self, host, port, family=family, type=type, proto=proto, flags=flags)
        )

    def getnameinfo(self, sockaddr: tuple[Any, ...], flags: int = 0) -> tuple[str, str]:
        """Return the address as text, and the service.

        Unlike `socket.getnameinfo`, this method doesn't look up a name for the address.
        """
        return lookup.getnameinfo(self, sockaddr, flags)

    def gethostbyname(self, hostname: str) -> str:
        """Return the first IPv4 address of a name, as `socket.gethostbyname` does. Raises NotResolved."""
        # The module socket returns this for an empty name
        return "0.0.0.0" if hostname == "" else self._addresses_4(hostname)[0]  # noqa: S104

    def gethostbyname_ex(self, hostname: str) -> tuple[str, list[str], list[str]]:
        """Return the name, no aliases, and the IPv4 addresses, as `socket.gethostbyname_ex` does."""
        return hostname, [], self._addresses_4(hostname)

    def gethostbyaddr(self, ip_address: str) -> tuple[str, list[str], list[str]]:
        """Return the name of an address, as `socket.gethostbyaddr` does, by the names of `attach`.

        Raises ``socket.herror`` for an address without a name.
        """
        addresses = sorted(
            {str(entry[4][0]) for entry in self.getaddrinfo(ip_address, 0, type=socket.SOCK_STREAM)}
        )
        for address in addresses:
            if (name := self._names.name_of(address)) is not None:
                return name, [], [address]
        raise socket.herror(1, "Unknown host")

    @contextmanager
    def replacing_sockets(self) -> Iterator[None]:
        """Put this network's sockets and look-ups into the module `socket`, for all threads, inside ``with``.

        Use it for programs and libraries that make their own sockets. `socket.socket`, ``getaddrinfo`` and
        the other look-ups of names are replaced, and restored at the end of the block; so
        ``socket.create_connection`` and ``socket.create_server`` use the network, too. Sockets of other
        families, such as AF_UNIX, and ``socketpair`` stay the machine's. Sockets made inside the block belong
        to the network also after it.

        Names that were imported before, as by ``from socket import socket``, aren't replaced. Libraries that
        call the operating system themselves aren't affected. Raises CallError if another network has replaced
        the sockets.
        """
        if not _REPLACING.acquire(blocking=False):
            raise CallError(
                "another network has replaced the sockets of the module socket; allowed: one at a time"
            )
        try:
            before = {name: getattr(socket, name) for name in ("socket", *_REPLACED)}
            inside = {
                "network": self,
                "allows_machine": True,
                "__doc__": DescriptorSocket.__doc__,
                "__module__": "socket",
            }
            try:
                # An assignment would not type-check: the module's class is replaced
                setattr(socket, "socket", type("socket", (self.socket,), inside))  # noqa: B010 - see above
                for name in _REPLACED:
                    setattr(socket, name, getattr(self, name))
                yield
            finally:
                for name, value in before.items():
                    setattr(socket, name, value)
        finally:
            _REPLACING.release()

    # Methods that sockets call

    def named(self, address: Any, family: int) -> Name:  # noqa: ANN401 - what a program passes
        """Return ``address`` with a name in it replaced by an address. Sockets call this method.

        Raises NotResolved, KindError.
        """
        if not isinstance(address, tuple) or not 2 <= len(address) <= 4:
            raise KindError("address", address, "a tuple of host and port")
        host, port, *more = address
        if (
            not isinstance(host, (str, bytes, bytearray))
            or host in ("", "<broadcast>", b"")
            or not isinstance(port, int)
        ):
            return address  # no name to look up: `endpoint_of` checks the address
        found = self.getaddrinfo(host, 0, family, socket.SOCK_DGRAM)[0][4][0]
        return (found, port, *more)

    def _addresses_4(self, name: str) -> list[str]:
        """Return the IPv4 addresses of a name. Raises NotResolved."""
        return [
            str(entry[4][0]) for entry in self.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
        ]


class _Names:
    """Names of a network.

    The names are those of a mapping, the machine's own name, which stands for the host, and those of a
    resolver.
    """

    def __init__(
        self, host: Host, known: Mapping[str, str | list[str]], resolver: BlockingResolver | None
    ) -> None:
        self._host = host
        self._known = {
            _plain(name): [given] if isinstance(given, str) else list(given) for name, given in known.items()
        }
        self._resolver = resolver
        for name, addresses in self._known.items():
            for text in addresses:
                octets_of(text, f"address of {name}")

    async def addresses(self, name: str) -> list[str]:
        """Return the addresses of a name; none if the name is unknown.

        This method is a coroutine that never waits, because `postel.sockets.lookup` works for asyncio, too.
        """
        found = self._known.get(_plain(name))
        if found is not None:
            return found
        if _plain(name) == _plain(socket.gethostname()):
            return [to_text(interface.address) for interface in self._host.routes.interfaces]
        return [] if self._resolver is None else self._resolver.addresses(name)

    def name_of(self, address: str) -> str | None:
        """Return the first name that has this address; None if no name has it."""
        return next((name for name, addresses in self._known.items() if address in addresses), None)


def _plain(name: str) -> str:
    """Return the name in lower case and without a dot at its end."""
    return name.rstrip(".").lower()


def _result(looking_up: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine that never waits. Raises CallError for one that waits."""
    try:
        looking_up.send(None)
    except StopIteration as done:
        return cast(T, done.value)
    looking_up.close()
    raise CallError(
        "a resolver of a blocking network waited for an event loop; allowed: one with an `addresses` that "
        "blocks"
    )
