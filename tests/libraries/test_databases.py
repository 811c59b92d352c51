"""Clients of databases with default arguments, against as much of a server as they need; the real ones are in
tests/kernel.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import aiomysql
import asyncpg
import redis.asyncio

from tests.libraries.conftest import Stage


class Redis:
    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            while count := await reader.readline():
                words = []
                for _ in range(int(count[1:])):
                    length = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(length + 2))[:-2])
                writer.write(self.answer(words))

    def answer(self, words: list[bytes]) -> bytes:
        match words[0].upper():
            case b"HELLO":
                return b"%3\r\n+server\r\n+redis\r\n+version\r\n+7.0.0\r\n+proto\r\n:3\r\n"
            case b"SET":
                self.values[words[1]] = words[2]
            case b"GET":
                value = self.values[words[1]]
                return b"$%d\r\n%s\r\n" % (len(value), value)
            case b"CLIENT" if words[1].upper() not in (b"SETINFO", b"SETNAME"):
                return b"-ERR unknown subcommand\r\n"
        return b"+OK\r\n"


def test_redis(stage: Stage) -> None:
    @asynccontextmanager
    async def serving() -> AsyncIterator[None]:
        async with await asyncio.start_server(Redis().converse, None, 6379):
            yield

    async def ask() -> list[bytes]:
        async with redis.asyncio.Redis(host="server") as client:
            await client.set("name", "x" * 100_000)
            pipeline = client.pipeline(transaction=False)
            for _ in range(10):
                pipeline.get("name")
            return list(await pipeline.execute())

    assert stage.play(serving, ask) == [b"x" * 100_000] * 10


class Postgres:
    """Accepts any login, and answers every prepared statement with the integer 42."""

    COLUMN = b"answer\0" + struct.pack("!ihihih", 0, 0, 23, 4, -1, 1)
    READY = (b"Z", b"I")

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            length, code = struct.unpack("!ii", await reader.readexactly(8))
            if code == 80877103:  # TLS?
                writer.write(b"N")
                length, code = struct.unpack("!ii", await reader.readexactly(8))
            await reader.readexactly(length - 8)
            self.send(
                writer,
                (b"R", struct.pack("!i", 0)),
                (b"S", b"server_version\x0016.1\0"),
                (b"K", bytes(8)),
                self.READY,
            )
            while (kind := await reader.read(1)) not in (b"", b"X"):
                await reader.readexactly(struct.unpack("!i", await reader.readexactly(4))[0] - 4)
                self.send(writer, *self.answers(kind))

    def answers(self, kind: bytes) -> list[tuple[bytes, bytes]]:
        described = [(b"t", struct.pack("!h", 0)), (b"T", struct.pack("!h", 1) + self.COLUMN)]
        row = (b"D", struct.pack("!hii", 1, 4, 42))
        return {
            b"P": [(b"1", b"")],
            b"D": described,
            b"B": [(b"2", b"")],
            b"E": [row, (b"C", b"SELECT 1\0")],
            b"Q": [(b"C", b"SET\0"), self.READY],
            b"C": [(b"3", b"")],
            b"S": [self.READY],
        }.get(kind, [])

    @staticmethod
    def send(writer: asyncio.StreamWriter, *messages: tuple[bytes, bytes]) -> None:
        for kind, content in messages:
            writer.write(kind + struct.pack("!i", len(content) + 4) + content)


def test_asyncpg(stage: Stage) -> None:
    @asynccontextmanager
    async def serving() -> AsyncIterator[None]:
        async with await asyncio.start_server(Postgres().converse, None, 5432):
            yield

    async def ask() -> list[int]:
        async with asyncpg.create_pool(
            host="server", user="user", database="data", min_size=2, max_size=2
        ) as pool:
            return list(await asyncio.gather(*(pool.fetchval("SELECT 41 + 1") for _ in range(10))))

    assert (
        stage.play(serving, ask, varies="names of statements are numbered through the whole process")
        == [42] * 10
    )


class MySql:
    """Accepts any login, and answers every SELECT with "42"."""

    GREETING = (
        b"\x0a8.0.0\0"
        + struct.pack("<I", 1)
        + b"12345678\0"
        + struct.pack("<HBHHB", 0xFFFF, 33, 2, 0x000F, 21)
        + bytes(10)
        + b"123456789012\0mysql_native_password\0"
    )  # fmt: skip
    OK = b"\0\0\0\x02\0\0\0"
    END = b"\xfe\0\0\x02\0"
    COLUMN = b"\x03def\0\0\0\x06answer\0\x0c" + struct.pack("<HIBHBH", 33, 10, 253, 0, 0, 0)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            self.send(writer, 0, self.GREETING)
            await self.packet(reader)
            self.send(writer, 2, self.OK)
            while (asked := await self.packet(reader))[:1] not in (b"", b"\x01"):
                is_select = asked[1:].upper().startswith(b"SELECT")
                self.send(
                    writer,
                    1,
                    *([b"\x01", self.COLUMN, self.END, b"\x0242", self.END] if is_select else [self.OK]),
                )

    @staticmethod
    async def packet(reader: asyncio.StreamReader) -> bytes:
        try:
            length = int.from_bytes((await reader.readexactly(4))[:3], "little")
        except asyncio.IncompleteReadError:
            return b""
        return await reader.readexactly(length)

    @staticmethod
    def send(writer: asyncio.StreamWriter, number: int, *packets: bytes) -> None:
        for packet in packets:
            writer.write(len(packet).to_bytes(3, "little") + bytes([number]) + packet)
            number += 1


def test_aiomysql(stage: Stage) -> None:
    @asynccontextmanager
    async def serving() -> AsyncIterator[None]:
        async with await asyncio.start_server(MySql().converse, None, 3306):
            yield

    async def ask() -> str:
        connection = await aiomysql.connect(host="server", user="user", password="secret")
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT 41 + 1")
            (answer,) = await cursor.fetchone()
        await connection.ensure_closed()
        return str(answer)

    assert stage.play(serving, ask) == "42"
