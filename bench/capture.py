"""A large capture, made from a seed: ``python -m bench.capture FILE --megabytes 200 --seed 1``.

Connections over Ethernet and IPv4 as a busy server has them: handshake, data in segments of 1,448 octets with
an ACK for every second, some retransmissions, and a close; 64 at a time, interleaved. As pcap, or pcapng
where the file is named so.
"""

import argparse
import random
import struct
from collections.abc import Iterator
from pathlib import Path

AT_ONCE = 64
SEGMENT = 1448
_ETHERNET = bytes(12) + b"\x08\x00"
_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_TCP = struct.Struct("!HHIIHHHHIII")
_OPTIONS = 0x0101080A
FIN, SYN, PSH, ACK = 1, 2, 8, 16


def frame(
    source: bytes, destination: bytes, ports: tuple[int, int], seq: int, ack: int, flags: int, payload: bytes
) -> bytes:
    header = _IPV4.pack(0x45, 0, 52 + len(payload), 0, 0x4000, 64, 6, 0, source, destination)
    tcp = _TCP.pack(*ports, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x8000 | flags, 500, 0, 0, _OPTIONS, 1, 1)
    return _ETHERNET + header + tcp + payload


def connection(number: int, chance: random.Random, payload: bytes) -> Iterator[bytes]:
    client, server = bytes((10, *number.to_bytes(3, "big"))), b"\xc0\x00\x02\x01"
    out, back = (1024 + number % 60000, 443), (443, 1024 + number % 60000)
    mine, theirs = chance.getrandbits(32), chance.getrandbits(32)
    yield frame(client, server, out, mine, 0, SYN, b"")
    yield frame(server, client, back, theirs, mine + 1, SYN | ACK, b"")
    yield frame(client, server, out, mine + 1, theirs + 1, ACK, b"")
    yield frame(client, server, out, mine + 1, theirs + 1, ACK | PSH, payload[:200])
    seq = theirs + 1
    for index in range(int(chance.paretovariate(1.2) * 20) % 5000):
        yield frame(server, client, back, seq, mine + 201, ACK, payload)
        if chance.random() < 0.002:
            yield frame(server, client, back, seq, mine + 201, ACK, payload)
        seq += len(payload)
        if index % 2:
            yield frame(client, server, out, mine + 201, seq, ACK, b"")
    yield frame(server, client, back, seq, mine + 201, ACK | FIN, b"")
    yield frame(client, server, out, mine + 201, seq + 1, ACK | FIN, b"")
    yield frame(server, client, back, seq + 1, mine + 202, ACK, b"")


def frames(size: int, seed: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    payload = chance.randbytes(SEGMENT)
    number, written = AT_ONCE, 0
    running = [connection(index, chance, payload) for index in range(AT_ONCE)]
    while written < size:
        index = chance.randrange(AT_ONCE)
        octets = next(running[index], None)
        if octets is None:
            running[index] = connection(number, chance, payload)
            number += 1
            continue
        written += len(octets) + 16
        yield octets


def write(path: Path, megabytes: int, seed: int) -> int:
    """How many packets the file has."""
    packed = pcapng_record if path.suffix == ".pcapng" else pcap_record
    head = _PCAPNG_HEAD if path.suffix == ".pcapng" else _PCAP_HEAD
    count = 0
    with path.open("wb", buffering=1 << 20) as file:
        file.write(head)
        for count, octets in enumerate(frames(megabytes * 1_000_000, seed), 1):
            file.write(packed(octets, 1_700_000_000_000_000 + count * 10))
    return count


_PCAP_HEAD = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
_PCAPNG_HEAD = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28) + struct.pack(
    "<IIHHII", 1, 20, 1, 0, 65535, 20
)


def pcap_record(octets: bytes, when: int) -> bytes:
    return struct.pack("<IIII", when // 1_000_000, when % 1_000_000, len(octets), len(octets)) + octets


def pcapng_record(octets: bytes, when: int) -> bytes:
    padding = bytes(-len(octets) % 4)
    length = 32 + len(octets) + len(padding)
    head = struct.pack("<7I", 6, length, 0, when >> 32, when & 0xFFFFFFFF, len(octets), len(octets))
    return head + octets + padding + length.to_bytes(4, "little")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.capture", description=__doc__.split("\n")[0] if __doc__ else None
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    print(f"{write(chosen.file, chosen.megabytes, chosen.seed):,} packets")


if __name__ == "__main__":
    main()
