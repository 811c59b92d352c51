"""Streams over a link that takes parcels."""

import asyncio
import random

from postel import aio
from postel.host.host import Host
from postel.links import OffloadingMemoryLink, pair
from postel.wire.parcel import Parcel

MESSAGE = random.Random(3).randbytes(2_000_000)


class Counting(OffloadingMemoryLink):
    largest_parcel = 0

    def send_parcel(self, parcel: Parcel, next_hop: bytes, now: int) -> bool:
        self.largest_parcel = max(self.largest_parcel, len(parcel.text))
        return super().send_parcel(parcel, next_hop, now)


async def test_large_segments_pass_whole_both_ways() -> None:
    left, right = pair(offload=True)
    left.__class__ = right.__class__ = Counting
    near, far = Host("10.7.0.1/24", secret=b"near"), Host("10.7.0.2/24", secret=b"far")

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(1 << 20):
            writer.write(octets)
            await writer.drain()
        writer.close()

    async with aio.attach(near, left) as one, aio.attach(far, right) as other:
        await other.start_server(echo, port=7)
        reader, writer = await one.open_connection("10.7.0.2", 7)
        writer.write(MESSAGE)
        writer.write_eof()
        assert await reader.read() == MESSAGE
        writer.close()
    assert left.largest_parcel > 50_000  # type: ignore[attr-defined]
    assert right.largest_parcel > 20_000  # type: ignore[attr-defined]
