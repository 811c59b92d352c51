"""Conversations: websockets, grpclib, nats, SSH and mail."""

import asyncio
import logging
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from email.message import EmailMessage
from typing import Any

import aiosmtplib
import asyncssh
import grpclib.client
import grpclib.const
import grpclib.server
import nats
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from grpclib.encoding.base import CodecBase
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from tests.libraries.conftest import OPENSSL, Stage


def test_websockets(stage: Stage) -> None:
    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message.upper())

    @asynccontextmanager
    async def serving() -> AsyncIterator[None]:
        async with serve(echo, "0.0.0.0", 8765):
            yield

    async def ask() -> list[str | bytes]:
        async with connect("ws://server:8765") as connection:
            answers = []
            for text in ("hello", "x" * 500_000):
                await connection.send(text)
                answers.append(await connection.recv())
            await (await connection.ping())
            return answers

    assert stage.play(serving, ask) == ["HELLO", "X" * 500_000]


class Numbers(CodecBase):
    """Messages of one number, in the place of generated ones."""

    __content_subtype__ = "numbers"

    def encode(self, message: Any, message_type: Any) -> bytes:
        return struct.pack("!q", message)

    def decode(self, data: bytes, message_type: Any) -> int:
        return int(struct.unpack("!q", data)[0])


class Doubling:
    async def double(self, stream: "grpclib.server.Stream[int, int]") -> None:
        await stream.send_message(2 * (await stream.recv_message() or 0))

    async def count(self, stream: "grpclib.server.Stream[int, int]") -> None:
        for number in range(await stream.recv_message() or 0):
            await stream.send_message(number)

    def __mapping__(self) -> dict[str, grpclib.const.Handler]:
        kinds = grpclib.const.Cardinality
        return {
            "/test.Doubling/Double": grpclib.const.Handler(self.double, kinds.UNARY_UNARY, int, int),
            "/test.Doubling/Count": grpclib.const.Handler(self.count, kinds.UNARY_STREAM, int, int),
        }


def test_grpclib(stage: Stage) -> None:
    @asynccontextmanager
    async def serving() -> AsyncIterator[None]:
        server = grpclib.server.Server([Doubling()], codec=Numbers())
        await server.start("0.0.0.0", 50051)
        yield
        server.close()
        await server.wait_closed()

    async def ask() -> tuple[int, list[int]]:
        async with grpclib.client.Channel("server", 50051, codec=Numbers()) as channel:
            doubled = await grpclib.client.UnaryUnaryMethod(channel, "/test.Doubling/Double", int, int)(21)
            return doubled, await grpclib.client.UnaryStreamMethod(channel, "/test.Doubling/Count", int, int)(
                1000
            )

    assert stage.play(serving, ask) == (42, list(range(1000)))


class Nats:
    """As much of a NATS server as its client needs: subscriptions and messages."""

    def __init__(self) -> None:
        self.subscribers: list[tuple[str, str, asyncio.StreamWriter]] = []

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            writer.write(
                b'INFO {"server_id":"test","version":"2.10.0","max_payload":1048576,"headers":true}\r\n'
            )
            while line := await reader.readline():
                verb, *words = line.decode().split()
                if verb == "PING":
                    writer.write(b"PONG\r\n")
                elif verb == "SUB":
                    self.subscribers.append((words[0], words[-1], writer))
                elif verb == "PUB":
                    payload = await reader.readexactly(int(words[-1]) + 2)
                    self.publish(words[0], words[1] if len(words) > 2 else "", payload)

    def publish(self, subject: str, reply: str, payload: bytes) -> None:
        for pattern, number, writer in self.subscribers:
            if pattern == subject or (pattern.endswith(".*") and subject.startswith(pattern[:-1])):
                writer.write(f"MSG {subject} {number} {reply} {len(payload) - 2}\r\n".encode() + payload)


def test_nats(stage: Stage) -> None:
    @asynccontextmanager
    async def serving() -> AsyncIterator[None]:
        async with await asyncio.start_server(Nats().converse, None, 4222):
            yield

    async def ask() -> bytes:
        service, client = await nats.connect("nats://server:4222"), await nats.connect("nats://server:4222")

        async def answer(message: Any) -> None:
            await message.respond(message.data.upper())

        await service.subscribe("questions", cb=answer)
        await service.flush()
        reply = await client.request("questions", b"hello", timeout=5)
        await client.close()
        await service.close()
        return bytes(reply.data)

    assert stage.play(serving, ask) == b"HELLO"


class Admitting(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return False


async def shell(process: "asyncssh.SSHServerProcess[str]") -> None:
    process.stdout.write(f"{process.command}: {await process.stdin.read()}")
    process.exit(3)


@pytest.fixture(scope="module")
def host_key() -> asyncssh.SSHKey:
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    return asyncssh.generate_private_key("ssh-ed25519")


def test_asyncssh(stage: Stage, host_key: asyncssh.SSHKey) -> None:
    @asynccontextmanager
    async def serving() -> AsyncIterator[None]:
        async with await asyncssh.create_server(
            Admitting, "", 22, server_host_keys=[host_key], process_factory=shell
        ):
            yield

    async def ask() -> tuple[Any, int | None]:
        async with asyncssh.connect(
            "server", username="user", known_hosts=None, config=None, client_keys=None
        ) as connection:
            done = await connection.run("count", input="x" * 300_000)
            return done.stdout, done.exit_status

    assert stage.play(serving, ask, varies=OPENSSL) == ("count: " + "x" * 300_000, 3)


class Mailbox:
    def __init__(self) -> None:
        self.mails: list[tuple[str | None, list[str], bytes]] = []

    # Aiosmtpd's
    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 OK"


def test_aiosmtpd_and_aiosmtplib(stage: Stage) -> None:
    mailbox = Mailbox()

    @asynccontextmanager
    async def serving() -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(mailbox, hostname="server", loop=loop), "", 25)
        async with server:
            yield

    async def ask() -> str:
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "client@client", "someone@server", "hello"
        mail.set_content("One line.\n" * 1000)
        _, answer = await aiosmtplib.send(mail, hostname="server", port=25, local_hostname="client")
        return answer

    assert stage.play(serving, ask) == "OK"
    sender, receivers, content = mailbox.mails[0]
    assert (sender, receivers, content.count(b"One line.")) == ("client@client", ["someone@server"], 1000)
