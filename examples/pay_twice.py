"""A client that repeats a POST pays twice, although it never has two requests under way at once.

The client waits 5 seconds for an answer, closes its connection, and only then asks again over another. When
nothing from it arrives for 3 seconds, its request isn't lost: TCP retransmits it, even after the client has
closed. Hypothesis finds that, and the shortest such fault.
"""

import asyncio
from contextlib import suppress

from hypothesis import find, settings

from postel import sim, view
from postel.testing.faults import faults

REQUEST = b"POST /pay HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\n\r\n100"


async def sell(paid):
    async def handle(reader, writer):
        with suppress(OSError, EOFError):
            await reader.readexactly(len(REQUEST))
            paid.append(asyncio.get_running_loop().time())
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npaid")
        writer.close()

    async with await asyncio.start_server(handle, port=80) as server:
        await server.serve_forever()


async def pay():
    while True:
        with suppress(OSError):  # a TimeoutError is one
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_connection("shop", 80)
                try:
                    writer.write(REQUEST)
                    return await reader.readuntil(b"paid")
                finally:
                    writer.close()
        await asyncio.sleep(1)


def payments(schedule, trace=None):
    """When the shop was paid, in seconds, while these faults struck the network."""
    paid = []
    with sim.Simulation(seed=1, observer=trace) as world:
        shop, client = world.host("shop"), world.host("client")
        world.path(shop, client, delay="10ms")
        shop.run(sell, paid)
        world.apply(schedule)

        async def test():
            await client.run(pay)
            await asyncio.sleep(60)

        world.run(test())
    return [round(moment, 2) for moment in paid]


one = faults(["client", "shop"], kinds=["partition"], count=1, within="2s", longest="20s")
often = settings(max_examples=1000, derandomize=True, database=None, deadline=None)
smallest = find(one, lambda schedule: len(payments(schedule)) > 1, settings=often)
trace = view.Trace()
print(*smallest, "– paid at", *payments(smallest, trace), "s\n")
print(view.ladder.render(trace, connection=1))
