"""Pairs in TIME-WAIT that are wanted again, with the kernel at the other end: as client and as server."""

import asyncio
import socket
import struct
import time
from dataclasses import replace
from typing import Any

import pytest

from postel import aio
from postel.host.host import Host
from postel.tcp import seq
from postel.tcp.config import DEFAULT
from postel.tcp.isn import Generator
from postel.times import SECOND
from postel.wire import ip
from postel.wire.address import Endpoint, parse
from postel.wire.segment import ACK, FIN, PROTOCOL, SYN, Segment, encode_for
from postel.wire.segment import parse as parse_segment
from tests.kernel.conftest import KERNEL, POSTEL

PORT = 20_000  # of the client, each time
PLAIN = replace(DEFAULT, timestamps=False)
AT_ONCE = 0.5  # seconds
A_SECOND_LATER = 2.5


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"answer")
    writer.close()


def ask(namespace: Any, family: int, port: int) -> tuple[bytes, float]:
    """What the kernel's client hears, and how long it took to connect."""
    with namespace.stream(family) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Closing resets, so that the client leaves no TIME-WAIT of its own
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.bind(("", PORT))
        client.settimeout(20)
        began = time.monotonic()
        client.connect((POSTEL[family], port))
        took = time.monotonic() - began
        client.send(b"request")
        return client.recv(100), took


def leave_in_time_wait(net: Any, family: int, port: int, first: int) -> None:
    """A client's whole connection, by hand, from number ``first`` on. The host's answers are dropped."""
    host, now = net.host, net.pump.now()
    remote, local = parse(KERNEL[family]), parse(POSTEL[family])

    def give(flags: int, number: int, ack: int = 0) -> Segment:
        host.packet_arrives(
            ip.encode(
                remote,
                local,
                PROTOCOL,
                encode_for(Segment(PORT, port, number, ack, flags, 1000), remote, local),
            ),
            now,
        )
        packets = []
        while (octets := host.next_packet(now)) is not None:
            packet = ip.parse(octets)
            packets.append(parse_segment(packet.octets, packet.start, packet.end))
        while (told := host.next_event()) is not None:
            if (accepted := getattr(told[0], "accept", lambda: None)()) is not None:
                accepted.release(now)
        while (octets := host.next_packet(now)) is not None:
            packet = ip.parse(octets)
            packets.append(parse_segment(packet.octets, packet.start, packet.end))
        return packets[-1]

    iss = give(SYN, first).seq
    fin = give(ACK, seq.add(first, 1), seq.add(iss, 1))
    assert fin.flags & FIN
    give(FIN | ACK, seq.add(first, 1), seq.add(fin.seq, 1))
    assert host.statistics()["time_wait"] == 1


async def test_the_kernels_client_comes_again_with_lower_numbers(
    namespace: Any, attached: Any, family: int
) -> None:
    namespace.command("sysctl", "-qw", "net.ipv4.tcp_timestamps=0")
    async with attached() as net:
        listener = net.host.listen(7, net.pump.now())
        client = namespace.stream(family)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.bind(("", PORT))
        await asyncio.to_thread(client.connect, (POSTEL[family], 7))
        while (accepted := listener.accept()) is None:
            await net.pump.next_turn()
        irs = accepted._tcb.rcv.irs
        client.close()  # with RST
        while accepted.state.name != "CLOSED":
            await net.pump.next_turn()
        leave_in_time_wait(net, family, 7, seq.add(irs, 1 << 30))
        listener.close(net.pump.now())
        await net.start_server(answer, POSTEL[family], 7)
        heard, took = await asyncio.to_thread(ask, namespace, family, 7)
        assert heard == b"answer"
        assert took < A_SECOND_LATER  # the kernel's SYN comes again some milliseconds after its RST
        assert net.host.statistics().get("dropped_time_wait_syn", 0) == 0


async def test_the_kernel_has_it_in_time_wait_and_we_come_with_lower_numbers(
    namespace: Any, family: int
) -> None:
    local, remote = Endpoint(parse(POSTEL[family]), PORT), parse(KERNEL[family])
    with namespace.listening(family) as listener:
        port = listener.getsockname()[1]
        host = Host(f"{POSTEL[4]}/24", f"{POSTEL[6]}/64", secret=b"first", config=PLAIN)
        async with aio.attach(host, namespace.tun) as net:
            reader, writer = await net.open_connection(
                KERNEL[family], port, local_addr=(POSTEL[family], PORT)
            )
            kernel, _ = await asyncio.to_thread(listener.accept)
            kernel.close()
            assert await reader.read() == b""
            used = int(net.pump.now()), Generator(b"first").iss(local, Endpoint(remote, port), net.pump.now())
            writer.close()
            await writer.wait_closed()
            secret = lower_secret(local, Endpoint(remote, port), *used)
            fresh = Host(f"{POSTEL[4]}/24", f"{POSTEL[6]}/64", secret=secret, config=PLAIN)
            net.pump.stop()
            async with aio.attach(fresh, namespace.tun) as again:
                began = time.monotonic()
                _, writer = await again.open_connection(
                    KERNEL[family], port, local_addr=(POSTEL[family], PORT)
                )
                assert AT_ONCE < time.monotonic() - began < A_SECOND_LATER
                writer.transport.abort()


def lower_secret(local: Endpoint, remote: Endpoint, now: int, number: int) -> bytes:
    """Secret of a host that draws numbers far below for this pair."""
    for candidate in range(1000):
        secret = candidate.to_bytes(4, "big")
        if (
            -(1 << 31) + (1 << 28)
            < seq.offset(Generator(secret).iss(local, remote, now), number)
            < -(1 << 28)
        ):
            return secret
    raise AssertionError("none in a thousand")


async def test_we_take_our_own_pair_by_timestamps(namespace: Any, attached: Any, family: int) -> None:
    with namespace.listening(family) as listener:
        port = listener.getsockname()[1]
        async with attached() as net:
            for round_ in range(3):
                reader, writer = await net.open_connection(
                    KERNEL[family], port, local_addr=(POSTEL[family], PORT)
                )
                kernel, _ = await asyncio.to_thread(listener.accept)
                writer.write(b"%d" % round_)
                writer.write_eof()
                assert await asyncio.to_thread(kernel.recv, 100) == b"%d" % round_
                kernel.close()
                assert await reader.read() == b""
                writer.close()
                await writer.wait_closed()
                async with asyncio.timeout(2):
                    while net.host.statistics()["connections"]:
                        await net.pump.next_turn()
                assert net.host.statistics()["time_wait"] == 1
                with pytest.raises(OSError, match="is taken"):
                    await net.open_connection(KERNEL[family], port, local_addr=(POSTEL[family], PORT))
                await asyncio.sleep(SECOND / 1e6 + 0.1)
