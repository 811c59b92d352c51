"""Run by test_determinism.py: prints what a world's packets were, in a line. With "tls" it is httpx and
uvicorn, else asyncio.
"""

import asyncio
import hashlib
import random
import sys

from postel.sim import Simulation
from postel.view import Trace


async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readline():
        await asyncio.sleep(random.random())
        writer.write(bytes(random.randint(1, 50_000)) + b"\n")
        await writer.drain()
    writer.close()


async def serve() -> None:
    await (await asyncio.start_server(handle, port=80)).serve_forever()


async def talk(number: int) -> int:
    reader, writer = await asyncio.open_connection("server", 80, limit=1 << 20)
    length = 0
    for _ in range(3):
        writer.write(f"{number} {random.random()}\n".encode())
        length += len(await reader.readline())
        await asyncio.sleep(random.random())
    writer.close()
    return length


async def talk_much() -> None:
    waiting = {asyncio.create_task(talk(number)) for number in range(8)}
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:  # in the order of a set
            random.random()
            waiting |= (
                {asyncio.create_task(talk(task.result()))}
                if task.result() % 3 == 0 and len(waiting) > 3
                else set()
            )


async def app(scope: dict[str, object], receive: object, send: object) -> None:
    if scope["type"] == "http":
        headers = [(b"content-length", b"20000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": bytes(20000)})  # type: ignore[operator]


async def serve_tls() -> None:
    import uvicorn  # noqa: PLC0415

    from postel.testing import Certificates  # noqa: PLC0415

    config = uvicorn.Config(app, host="0.0.0.0", port=443, log_level="error")
    config.load()
    config.ssl = Certificates("server").server()
    await uvicorn.Server(config).serve()


async def fetch_tls() -> None:
    import httpx  # noqa: PLC0415

    from postel.testing import Certificates  # noqa: PLC0415

    async with httpx.AsyncClient(verify=Certificates("server").client(), trust_env=False) as client:
        answers = await asyncio.gather(*(client.get("https://server/") for _ in range(5)))
        assert [len(answer.content) for answer in answers] == [20000] * 5


def main(*, is_tls: bool) -> None:
    trace = Trace()
    with Simulation(seed=7, observer=trace).seal() as world:
        server, client = world.host("server"), world.host("client")
        world.path(server, client, delay="10ms", jitter="3ms", loss=0.02, reorder=0.01)
        server.run(serve_tls if is_tls else serve)

        async def test() -> None:
            await asyncio.sleep(1)
            await client.run(fetch_tls if is_tls else talk_much)

        world.run(test())
    # The rest of a packet of TLS differs, and so does the checksum
    shown = slice(24) if is_tls else slice(None)
    lines = [
        f"{each.sent_at} {each.arrived_at} {each.lost} {each.octets[shown].hex()} {len(each.octets)}"
        for each in trace.packets
    ]
    print(len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest())  # noqa: T201


if __name__ == "__main__":
    main(is_tls="tls" in sys.argv)
