"""The adapter's services on the kernel's own sockets: what the same program does there, without Postel. It
ends with its stdin.
"""

import asyncio
import socket
import sys

from adapter import SERVICES, arguments, say

BACKLOG = 4096


async def serve() -> None:
    loop = asyncio.get_running_loop()
    address = arguments().addr.split("/")[0]
    for port, service in SERVICES.items():
        listener = socket.create_server((address, port))
        # CUBIC, as Postel has it; accepted connections inherit the choice
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
        await loop.create_server(service, sock=listener, backlog=BACKLOG)
    say(ev="ready", stack="linux")
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
