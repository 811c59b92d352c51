"""Modules of the standard library that open sockets, unmodified."""

import asyncio
import ftplib
import http.client
import http.server
import io
import select
import selectors
import smtplib
import socket
import socketserver
import ssl
import threading
import urllib.request
import xmlrpc.client
import xmlrpc.server
from collections.abc import Callable
from typing import Any

import pytest

from postel.blocking import BlockingNetwork
from tests.blocking.servers import Pages, serving


@pytest.mark.parametrize("kind", [http.server.HTTPServer, http.server.ThreadingHTTPServer])
def test_http(near: BlockingNetwork, far: BlockingNetwork, kind: Any) -> None:
    with serving(far, lambda: kind(("far.example", 80), Pages)), near.replacing_sockets():
        connection = http.client.HTTPConnection("far.example")
        connection.request("GET", "/page")
        assert connection.getresponse().read() == b"/page for 10.7.0.1"
        connection.request("POST", "/", body=bytes(range(256)) * 4096)
        assert connection.getresponse().read() == (bytes(range(256)) * 4096)[::-1]
        connection.close()
        with urllib.request.urlopen("http://far.example/again") as answer:
            assert answer.read() == b"/again for 10.7.0.1"


def test_https(near: BlockingNetwork, far: BlockingNetwork, certificates: Any) -> None:
    """The listening socket is wrapped, and so are the connections that it accepts."""
    with (
        serving(far, lambda: http.server.ThreadingHTTPServer(("", 443), Pages), certificates.server),
        near.replacing_sockets(),
    ):
        connection = http.client.HTTPSConnection("far.example", context=certificates.client)
        connection.request("GET", "/secret")
        assert connection.getresponse().read() == b"/secret for 10.7.0.1"
        assert connection.sock.getpeername() == ("10.7.0.2", 443)
        connection.close()


class Upper(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(line.upper())


class UpperDatagrams(socketserver.DatagramRequestHandler):
    def handle(self) -> None:
        self.wfile.write(self.rfile.read().upper())


def test_socketserver(near: BlockingNetwork, far: BlockingNetwork) -> None:
    with (
        serving(far, lambda: socketserver.ThreadingTCPServer(("", 7), Upper)),
        near.create_connection(("far.example", 7)) as sock,
    ):
        file = sock.makefile("rw")
        print("hello", file=file, flush=True)
        assert file.readline() == "HELLO\n"
        file.close()


def test_socketserver_of_datagrams(near: BlockingNetwork, far: BlockingNetwork) -> None:
    with (
        serving(far, lambda: socketserver.UDPServer(("", 7), UpperDatagrams)),
        near.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
    ):
        sock.sendto(b"hello", ("far.example", 7))
        assert sock.recvfrom(100) == (b"HELLO", ("10.7.0.2", 7))


def test_xmlrpc(near: BlockingNetwork, far: BlockingNetwork) -> None:
    def make() -> xmlrpc.server.SimpleXMLRPCServer:
        server = xmlrpc.server.SimpleXMLRPCServer(("", 8000), logRequests=False)
        server.register_function(lambda a, b: a + b, "add")
        return server

    with (
        serving(far, make),
        near.replacing_sockets(),
        xmlrpc.client.ServerProxy("http://far.example:8000") as proxy,
    ):
        assert proxy.add(2, 3) == 5


class Mailbox(socketserver.StreamRequestHandler):
    """SMTP as far as a client asks for it."""

    def handle(self) -> None:
        self._say("220 far.example")
        for line in self.rfile:
            word = line.split()[0].upper()
            if word == b"DATA":
                self._say("354 go on")
                while (text := self.rfile.readline()) != b".\r\n":
                    self.server.mail.append(text)  # type: ignore[attr-defined]
            if word == b"STARTTLS":
                self._say("220 ready")
                self._start_tls()
                continue
            self._say(
                "250-far.example\r\n250 STARTTLS"
                if word == b"EHLO"
                else "221 bye"
                if word == b"QUIT"
                else "250 ok"
            )
            if word == b"QUIT":
                return

    def _start_tls(self) -> None:
        context: ssl.SSLContext = self.server.tls  # type: ignore[attr-defined]
        self.connection = self.request = context.wrap_socket(self.connection, server_side=True)
        self.setup()

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


def test_smtp(near: BlockingNetwork, far: BlockingNetwork, certificates: Any) -> None:
    with (
        serving(far, lambda: socketserver.ThreadingTCPServer(("", 25), Mailbox)) as server,
        near.replacing_sockets(),
    ):
        server.mail, server.tls = [], certificates.server
        with smtplib.SMTP("far.example") as client:
            client.sendmail("a@near.example", ["b@far.example"], "Subject: hi\r\n\r\nhello")
        assert server.mail[-1] == b"hello\r\n"


class Files(socketserver.StreamRequestHandler):
    """FTP, passive and active, as far as a client asks for it."""

    def handle(self) -> None:
        self._say("220 hello")
        network: BlockingNetwork = self.server.network  # type: ignore[attr-defined]
        for line in self.rfile:
            word, _, argument = line.decode().strip().partition(" ")
            if word in ("EPSV", "PASV"):
                listener = network.create_server((self.connection.getsockname()[0], 0))
                port = listener.getsockname()[1]
                place = f"10,7,0,2,{port >> 8},{port & 255}"
                self._say(f"227 passive ({place})" if word == "PASV" else f"229 passive (|||{port}|)")
            elif word == "RETR":
                self._say("150 here it comes")
                with listener:
                    data, _ = listener.accept()
                with data:
                    data.sendall(b"contents of " + argument.encode())
                self._say("226 done")
            elif word == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("230 in" if word in ("USER", "PASS") else "200 ok")

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


def test_ftp(near: BlockingNetwork, far: BlockingNetwork) -> None:
    with (
        serving(far, lambda: socketserver.ThreadingTCPServer(("", 21), Files)) as server,
        near.replacing_sockets(),
    ):
        server.network = far
        found = io.BytesIO()
        with ftplib.FTP("far.example", "anonymous") as client:
            client.retrbinary("RETR file", found.write)
        assert found.getvalue() == b"contents of file"


@pytest.mark.parametrize(
    "kind", [selectors.DefaultSelector, selectors.SelectSelector, selectors.PollSelector]
)
def test_selectors(near: BlockingNetwork, far: BlockingNetwork, kind: Any) -> None:
    with far.create_server(("", 7)) as listener, kind() as selector:
        selector.register(listener, selectors.EVENT_READ)
        assert selector.select(0) == []
        with near.create_connection(("far.example", 7)) as client:
            assert [key.fileobj for key, _ in selector.select(10)] == [listener]
            server, _ = listener.accept()
            with server:
                selector.register(server, selectors.EVENT_READ)
                assert selector.select(0) == []
                client.sendall(b"x")
                assert [key.fileobj for key, _ in selector.select(10)] == [server]


def test_select(near: BlockingNetwork, far: BlockingNetwork) -> None:
    with far.create_server(("", 7)) as listener, near.create_connection(("far.example", 7)):
        assert select.select([listener], [], [], 10)[0] == [listener]
        server, _ = listener.accept()
        with server:
            assert select.select([server], [server], [], 0) == ([], [server], [])


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while octets := await reader.read(1 << 16):
        writer.write(octets)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def echo_once(
    sock: socket.socket | None, where: str | None, tls: ssl.SSLContext | None, work: Callable[[], Any]
) -> Any:
    """What ``work`` returns, while a server echoes; once its first connection has ended too."""
    ended = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await echo(reader, writer)
        ended.set()

    place: dict[str, Any] = {"host": where, "port": 7} if sock is None else {"sock": sock}
    async with await asyncio.start_server(handle, ssl=tls, **place):
        result = await work()
        await ended.wait()
        return result


async def conversation(tls: ssl.SSLContext | None) -> tuple[bytes, Any]:
    reader, writer = await asyncio.open_connection("far.example", 7, ssl=tls)
    writer.write(b"by way of asyncio" * 10_000)
    received = await reader.readexactly(170_000)
    peer = writer.get_extra_info("peername")
    writer.close()
    await writer.wait_closed()
    return received, peer


@pytest.mark.parametrize("is_secure", [False, True])
def test_asyncio_on_its_own_loop(
    near: BlockingNetwork, far: BlockingNetwork, certificates: Any, is_secure: bool
) -> None:
    """A server on one network and a client on the other, each by asyncio's own loop."""
    ready = threading.Event()

    async def serve() -> None:
        async def tell() -> None:
            ready.set()

        await echo_once(far.create_server(("", 7)), None, certificates.server if is_secure else None, tell)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    with near.replacing_sockets():
        received, peer = asyncio.run(conversation(certificates.client if is_secure else None))
    thread.join()
    assert received == b"by way of asyncio" * 10_000
    assert peer == ("10.7.0.2", 7)


def test_asyncio_serves_too(far: BlockingNetwork) -> None:
    """Client and server of one host, with every call by asyncio."""

    async def talk() -> bytes:
        reader, writer = await asyncio.open_connection("10.7.0.2", 7)
        writer.write(b"to myself")
        writer.write_eof()
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
        return received

    with far.replacing_sockets():
        assert asyncio.run(echo_once(None, "0.0.0.0", None, talk)) == b"to myself"


def test_asyncio_datagrams(near: BlockingNetwork, far: BlockingNetwork) -> None:
    class Asking(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.answer = asyncio.get_running_loop().create_future()

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.answer.set_result((data, addr))

    async def ask() -> Any:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(Asking, remote_addr=("far.example", 7))
        transport.sendto(b"hello")
        answer = await protocol.answer
        transport.close()
        return answer

    with serving(far, lambda: socketserver.UDPServer(("", 7), UpperDatagrams)), near.replacing_sockets():
        assert asyncio.run(ask()) == (b"HELLO", ("10.7.0.2", 7))


@pytest.fixture(scope="session")
def on_uvloop() -> Any:
    """Runs a coroutine. The first of all loops opens descriptors that stay open, before the networks count
    theirs.
    """
    uvloop = pytest.importorskip("uvloop")

    def run(coroutine: Any) -> Any:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(coroutine)

    run(asyncio.sleep(0))
    return run


def test_uvloop_with_a_socket(on_uvloop: Any, near: BlockingNetwork, far: BlockingNetwork) -> None:
    """libuv sets TCP_NODELAY of what says that it is of TCP, by itself. So it gets the descriptor as the Unix
    socket that this is.
    """

    async def talk(sock: socket.socket) -> bytes:
        reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=sock.detach()))
        writer.write(b"by way of uvloop")
        writer.write_eof()
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
        return received

    with (
        serving(far, lambda: socketserver.ThreadingTCPServer(("", 7), Upper)),
        near.create_connection(("far.example", 7)) as sock,
    ):
        assert on_uvloop(talk(sock)) == b"BY WAY OF UVLOOP"


def test_calls_on_sockets_by_uvloop(on_uvloop: Any, near: BlockingNetwork, far: BlockingNetwork) -> None:
    async def talk(listener: socket.socket, client: socket.socket) -> Any:
        loop = asyncio.get_running_loop()
        accepting = asyncio.ensure_future(loop.sock_accept(listener))
        await loop.sock_connect(client, ("10.7.0.2", 7))
        server, name = await accepting
        await loop.sock_sendall(client, b"by its calls")
        received = await loop.sock_recv(server, 100)
        server.close()
        return received, name[0]

    with far.create_server(("", 7)) as listener, near.socket() as client:
        listener.setblocking(False)
        client.setblocking(False)
        assert on_uvloop(talk(listener, client)) == (b"by its calls", "10.7.0.1")
