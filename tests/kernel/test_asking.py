"""One listener for every port and address of a network beyond, which asks the program: the kernel's clients
hear what it says.
"""

import asyncio
import errno
import socket
from typing import Any

import pytest

from postel import aio
from postel.host.host import Host
from postel.host.listener import ANY_PORT, Listener
from postel.tcp.events import Acceptable, Asked, Event
from tests.kernel.conftest import DEVICE, POSTEL

BEYOND = {4: ("10.99.0.0/16", "10.99.3.4"), 6: ("fd99::/64", "fd99::34")}
VERDICTS = {
    1001: ("accept", 0),
    1002: ("refuse", errno.ECONNREFUSED),
    1003: ("unreachable", errno.EHOSTUNREACH),
    1004: ("no-network", errno.ENETUNREACH),
}


class Program:
    """Answers each request by its port, a while later."""

    def __init__(self, listener: Listener, net: Any) -> None:
        self.listener, self.net = listener, net
        self.accepted: list[Any] = []
        listener.context = self

    def happened(self, event: Event) -> None:
        if isinstance(event, Acceptable):
            self.accepted.append(self.listener.accept())
        while isinstance(event, Asked) and (request := self.listener.next_request()) is not None:
            asyncio.get_running_loop().call_later(0.1, self.say, request)

    def say(self, request: Any) -> None:
        self.listener.answer(request, VERDICTS[request.local.port][0], self.net.pump.now())
        self.net.pump.wake()


def attempt(namespace: Any, family: int, port: int) -> int:
    with namespace.stream(family) as client:
        client.settimeout(10)
        return client.connect_ex((BEYOND[family][1], port))


@pytest.mark.parametrize("port", VERDICTS)
async def test_the_kernels_client_hears_what_the_program_says(namespace: Any, family: int, port: int) -> None:
    network, _ = BEYOND[family]
    namespace.command("ip", f"-{family}", "route", "add", network, "dev", DEVICE)
    host = Host(f"{POSTEL[4]}/24", f"{POSTEL[6]}/64", secret=b"a test's", any_address=True)
    async with aio.attach(host, namespace.tun) as net:
        program = Program(host.listen(ANY_PORT, net.pump.now(), ask=True), net)
        assert await asyncio.to_thread(attempt, namespace, family, port) == VERDICTS[port][1]
        if program.accepted:
            address = socket.inet_ntop(
                socket.AF_INET if family == 4 else socket.AF_INET6, program.accepted[0].local.address
            )
            assert (address, program.accepted[0].local.port) == (BEYOND[family][1], port)
        assert len(program.accepted) == (VERDICTS[port][0] == "accept")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    address, port = writer.get_extra_info("sockname")[:2]
    writer.write(f"{address} {port}".encode())
    writer.close()


@pytest.mark.parametrize("port", [1, 80, 65535])
async def test_a_server_of_every_port_knows_at_which_it_was_called(
    namespace: Any, attached: Any, family: int, port: int
) -> None:
    async with attached() as net:
        await net.start_server(serve, port=ANY_PORT)
        with namespace.stream(family) as client:
            client.settimeout(10)
            await asyncio.to_thread(client.connect, (POSTEL[family], port))
            assert await asyncio.to_thread(client.recv, 100) == f"{POSTEL[family]} {port}".encode()
