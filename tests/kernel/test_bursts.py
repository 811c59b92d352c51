"""The kernel's clients by the hundred, all at once, and again from the ports that Postel has in TIME-WAIT."""

import asyncio
import selectors
import socket
import time
from typing import Any

import pytest

from tests.kernel.conftest import POSTEL

CLIENTS = 300
ROUNDS = 3
FIRST_PORT = 20_000
PATIENCE = 20  # seconds for a round


def clients(family: int) -> list[socket.socket]:
    made = []
    for number in range(CLIENTS):
        client = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind(("", FIRST_PORT + number))
        client.setblocking(False)
        made.append(client)
    return made


class Round:
    """All clients ask for one answer, until the server closes."""

    def __init__(self, family: int, port: int) -> None:
        self.selector = selectors.DefaultSelector()
        self.served = 0
        self.errors: dict[str, int] = {}
        self.left = CLIENTS
        for client in clients(family):
            client.connect_ex((POSTEL[family], port))
            self.selector.register(client, selectors.EVENT_WRITE, b"")

    def run(self) -> tuple[int, dict[str, int], int]:
        end = time.monotonic() + PATIENCE
        while self.left and time.monotonic() < end:
            for key, _ in self.selector.select(1):
                try:
                    self.step(key)
                except OSError as error:
                    self.errors[str(error)] = self.errors.get(str(error), 0) + 1
                    self.end(key.fileobj)
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()
        return self.served, self.errors, self.left

    def step(self, key: Any) -> None:
        client = key.fileobj
        if key.events == selectors.EVENT_WRITE:
            client.send(b"request")
            self.selector.modify(client, selectors.EVENT_READ, b"")
        elif octets := client.recv(100):
            self.selector.modify(client, selectors.EVENT_READ, key.data + octets)
        else:
            self.served += key.data == b"answer"
            self.end(client)

    def end(self, client: Any) -> None:
        self.selector.unregister(client)
        client.close()
        self.left -= 1


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"answer")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("backlog", [1, 5, 100])
@pytest.mark.parametrize("stamped", [True, False], ids=["timestamps", "no-timestamps"])
async def test_all_are_served_thrice_from_the_same_ports(
    namespace: Any, attached: Any, family: int, backlog: int, stamped: bool
) -> None:
    namespace.command("sysctl", "-qw", f"net.ipv4.tcp_timestamps={int(stamped)}")
    async with attached() as net:
        server = await net.start_server(answer, POSTEL[family], backlog=backlog)
        port = server.sockets[0].getsockname()[1]
        for _ in range(ROUNDS):
            attempt = namespace.inside(lambda: Round(family, port))
            assert await asyncio.to_thread(attempt.run) == (CLIENTS, {}, 0)
            async with asyncio.timeout(5):
                while net.host.statistics()["connections"]:
                    await net.pump.next_turn()
            assert net.host.statistics()["time_wait"] == CLIENTS
