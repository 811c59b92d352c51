"""TCP Fast Open below asyncio's streams (RFC 7413)."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from postel.errors import ArgumentError
from postel.tcp.config import DEFAULT

FAST = replace(DEFAULT, nagle=False, fast_open="both")


class Upper(asyncio.Protocol):
    """Answers one line, and notes in which state it was served."""

    states: ClassVar[list[str]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.states.append(str(transport.get_extra_info("connection").state))

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())
        if data.endswith(b"\n"):
            self.transport.close()


@pytest.mark.label("RFC7413-4.2.2")
async def test_a_question_goes_with_the_syn(networks: Callable[..., Any], far_address: str) -> None:
    Upper.states.clear()
    async with networks() as both:
        await both.far.create_server(Upper, port=80, config=FAST)
        for _ in range(2):
            reader, writer = await both.near.open_connection(far_address, 80, config=FAST, data=b"who?\n")
            assert await reader.read() == b"WHO?\n"
            writer.close()
            await writer.wait_closed()
    assert Upper.states == ["ESTABLISHED", "SYN-RECEIVED"]


async def test_what_is_written_later_follows(networks: Callable[..., Any], far_address: str) -> None:
    async with networks() as both:
        await both.far.create_server(Upper, port=80)
        reader, writer = await both.near.open_connection(far_address, 80, data=b"first, ")
        writer.write(b"then\n")
        assert await reader.read() == b"FIRST, THEN\n"
        writer.close()


async def test_no_data_before_the_handshake_of_tls(networks: Callable[..., Any], far_address: str) -> None:
    async with networks() as both:
        with pytest.raises(ArgumentError, match="data is 1; allowed: none before the handshake of TLS"):
            await both.near.open_connection(
                far_address, 80, ssl=ssl.create_default_context(), server_hostname="far", data=b"x"
            )
