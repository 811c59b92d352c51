"""The adapter's services by pmd-pytcp, through what its README names: `pmd_pytcp.stack` and its sockets. It
ends with its stdin.

A program of its own, in an environment of its own: nothing of Postel's is imported, for what is measured
includes the import.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable

from pmd_net_addr import Ip4IfAddr
from pmd_pytcp import stack
from pmd_pytcp.socket import AF_INET, SOCK_STREAM, socket

CHUNK = bytes(16 * 1024)
LARGEST = 64 * 1024
MOST_WAITING = 64 * 1024  # octets
BACKLOG = 1024
FOREVER = 1 << 62


async def discard(stream: socket) -> None:
    while await stream.recv(LARGEST):
        pass


async def echo(stream: socket) -> None:
    while octets := await stream.recv(LARGEST):
        await send_all(stream, octets)


async def source(stream: socket) -> None:
    asked = b""
    while len(asked) < 8:
        asked += await stream.recv(8)
    left = int.from_bytes(asked, "big") or FOREVER
    while left > 0:
        left -= await stream.send(CHUNK[:left])
        # Send() takes any amount, and nothing tells of room
        while stream.status().tx_buffer_len > MOST_WAITING:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def send_all(stream: socket, octets: bytes) -> None:
    while octets:
        octets = octets[await stream.send(octets) :]


SERVICES: dict[int, Callable[[socket], Awaitable[None]]] = {9: discard, 7: echo, 19: source, 11: discard}


async def accept(listener: socket, service: Callable[[socket], Awaitable[None]]) -> None:
    serving = set()  # the loop holds tasks weakly
    while True:
        stream, _ = await listener.accept()
        task = asyncio.create_task(serve(stream, service))
        serving.add(task)
        task.add_done_callback(serving.discard)


async def serve(stream: socket, service: Callable[[socket], Awaitable[None]]) -> None:
    try:
        await service(stream)
    except OSError:  # the peer has aborted
        return
    stream.close()


async def run(chosen: argparse.Namespace) -> None:
    layer = stack.InterfaceLayer.L3
    stack.init(
        fd=chosen.fd,
        layer=layer,
        mtu=chosen.mtu,
        ip4_host=Ip4IfAddr(chosen.addr),
        ip4_dhcp=False,
        ip6_support=False,
    )
    await stack.start()
    accepting = []
    for port, service in SERVICES.items():
        listener = socket(family=AF_INET, type=SOCK_STREAM)
        listener.bind(("0.0.0.0", port))
        listener.listen(backlog=BACKLOG)
        accepting.append(asyncio.create_task(accept(listener, service)))
    print(json.dumps({"ev": "ready", "stack": "pmd-pytcp"}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in accepting:
        task.cancel()
    await stack.stop()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--addr", required=True)
    parser.add_argument("--peer", help="taken for the driver's sake")
    parser.add_argument("--mtu", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    stack.LOG__CHANNEL.clear()
    asyncio.run(run(arguments()))
