"""Servers of the standard library on a network, for tests with clients."""

import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from postel.blocking import BlockingNetwork


@contextmanager
def serving(network: BlockingNetwork, make: Any, tls: ssl.SSLContext | None = None) -> Iterator[Any]:
    """A `socketserver` on the network, in a thread of its own until the end."""
    with network.replacing_sockets():
        server = make()
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Pages(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(f"{self.path} for {self.client_address[0]}".encode())

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["content-length"]))[::-1])

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass
