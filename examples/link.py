"""A link of your own: a tunnel of IP packets in UDP datagrams, here between two hosts of one program."""

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
    ends = [aio.attach(Host(f"10.0.0.{n}/24"), UdpTunnel(end)) for n, end in enumerate((near, far), start=1)]
    async with ends[0] as client, ends[1] as server:
        await server.start_server(lambda _, writer: writer.write(b"hello") or writer.close(), port=80)
        reader, _ = await client.open_connection("10.0.0.2", 80)
        print((await reader.read()).decode())


if __name__ == "__main__":
    asyncio.run(main())
