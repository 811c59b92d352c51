"""A link of one's own: IP packets in UDP datagrams, as a tunnel between two programs, here between two hosts
of one.
"""

import asyncio
import errno
import socket

from postel import Host, aio
from postel.links import Link, LinkClosed, LinkError


class UdpTunnel(Link):
    """``tunnel`` is a UDP socket that is connected to the other end."""

    mtu = 1400

    def __init__(self, tunnel: socket.socket) -> None:
        tunnel.settimeout(0)
        self._tunnel = tunnel

    def fileno(self) -> int:
        return self._tunnel.fileno()

    def receive(self, now: int) -> bytes | None:
        try:
            return self._tunnel.recv(65535) or None  # an empty datagram is no packet
        except (BlockingIOError, ConnectionRefusedError):  # nothing waits, or the other end isn't there yet
            return None
        except OSError as error:
            raise LinkClosed(error.errno, "the tunnel is closed") from error

    def send(self, packet: bytes, next_hop: bytes, now: int) -> bool:
        if len(packet) > self.mtu:
            raise LinkError(errno.EMSGSIZE, f"a packet of {len(packet)} octets for a tunnel of {self.mtu}")
        try:
            return self._tunnel.send(packet) > 0
        except (BlockingIOError, ConnectionRefusedError):
            self.lost += 1
            return False
        except OSError as error:
            raise LinkClosed(error.errno, "the tunnel is closed") from error

    def close(self) -> None:
        self.notify()
        self._tunnel.close()


async def main() -> None:
    near, far = (socket.socket(type=socket.SOCK_DGRAM) for _ in range(2))
    near.bind(("127.0.0.1", 0))
    far.connect(near.getsockname())
    near.connect(far.getsockname())
    async with (
        aio.attach(Host("10.0.0.1/24"), UdpTunnel(near)) as client,
        aio.attach(Host("10.0.0.2/24"), UdpTunnel(far)) as server,
    ):
        await server.start_server(
            lambda _, writer: writer.writelines([b"hello through the tunnel"]) or writer.close(), port=80
        )
        reader, _ = await client.open_connection("10.0.0.2", 80)
        print((await reader.read()).decode())


if __name__ == "__main__":
    asyncio.run(main())
