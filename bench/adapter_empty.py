"""As much as a Python program can do on a TUN with no stack in it: what a share of the ceiling is a share of.

One connection at a time, on discard (9) or source (19). The handshake is by hand, and what comes is what the
kernel sends where nothing is
lost: no options, no timers, no order, no retransmission. In, every second segment is acknowledged; out,
prepared segments leave as the peer's window allows. Only numbers and the checksum are patched. It ends with
its stdin.
"""

import argparse
import json
import os
import sys
import threading
from struct import Struct

from postel.wire import ip
from postel.wire.segment import ACK, FIN, PROTOCOL, RST, SYN, Segment, encode_for, parse

DISCARD, SOURCE = 9, 19
HEADERS = 40  # octets: IPv4's and TCP's, without options
SEQ, NUMBER, FLAGS, WINDOW, CHECKSUM = 24, 28, 33, 34, 36  # where they are in a packet
ISS = 0
# A window of 1 MiB: fewer packets of 1,500 octets than a TUN's queue of 1,000, because this peer
# acknowledges everything, so that a packet lost there would seem to have come
LARGEST_WINDOW, SCALE = (0xFFFF, 4)
MASK = 0xFFFFFFFF
WORD, HALF = Struct("!I"), Struct("!H")


class Peer:
    """The client that sent this SYN."""

    def __init__(self, packet: ip.Packet) -> None:
        self.syn = parse(packet.payload, 0, len(packet.payload))
        self._there, self._here = packet.source, packet.destination

    def packet(self, seq: int, ack: int, flags: int, text: bytes = b"", mss: int = 0) -> bytearray:
        segment = Segment(self.syn.destination, self.syn.source, seq, ack, flags, LARGEST_WINDOW, text)
        if mss:
            segment.mss, segment.window_scale = mss, SCALE
        return bytearray(
            ip.encode(self._here, self._there, PROTOCOL, encode_for(segment, self._here, self._there))
        )


def swallow(fd: int, mtu: int, peer: Peer) -> None:
    """Until a FIN comes, which is answered with one."""
    template = peer.packet(ISS + 1, 0, ACK)
    (rest,) = HALF.unpack_from(template, CHECKSUM)  # for the ACK number 0; any other is subtracted
    read, write, number, put_number, put_checksum = (
        os.read,
        os.write,
        int.from_bytes,
        WORD.pack_into,
        HALF.pack_into,
    )
    while True:
        packet = read(fd, mtu)
        if packet[FLAGS] & FIN:
            break
        packet = read(fd, mtu)
        if packet[FLAGS] & FIN:
            break
        ack = number(packet[SEQ:NUMBER], "big") + len(packet) - HEADERS & MASK
        put_number(template, NUMBER, ack)
        put_checksum(template, CHECKSUM, (rest - ack) % 0xFFFF)
        write(fd, template)
    write(
        fd,
        peer.packet(ISS + 1, number(packet[SEQ:NUMBER], "big") + len(packet) - HEADERS + 1 & MASK, FIN | ACK),
    )


def pour(fd: int, mtu: int, peer: Peer) -> None:
    """Once it is asked, until the peer has had enough."""
    while len(packet := os.read(fd, mtu)) == HEADERS:
        pass
    size, scale = mtu - HEADERS, max(peer.syn.window_scale, 0)
    template = peer.packet(0, peer.syn.seq + len(packet) - HEADERS + 1 & MASK, ACK, bytes(size))
    (rest,) = HALF.unpack_from(template, CHECKSUM)  # for the sequence number 0
    read, write, number, put_number, put_checksum = (
        os.read,
        os.write,
        int.from_bytes,
        WORD.pack_into,
        HALF.pack_into,
    )
    seq = ISS + 1
    while not packet[FLAGS] & (FIN | RST):
        end = (
            number(packet[NUMBER : NUMBER + 4], "big")
            + (number(packet[WINDOW : WINDOW + 2], "big") << scale)
            - size
        )
        while end - seq & MASK < 1 << 31:
            put_number(template, SEQ, seq)
            put_checksum(template, CHECKSUM, (rest - seq) % 0xFFFF)
            write(fd, template)
            seq = seq + size & MASK
        packet = read(fd, mtu)


def serve(fd: int, mtu: int) -> None:
    while True:
        packet = ip.parse(os.read(fd, mtu))
        if packet.protocol != PROTOCOL or not packet.payload[13] & SYN:
            continue
        peer = Peer(packet)
        os.write(fd, peer.packet(ISS, peer.syn.seq + 1 & MASK, SYN | ACK, mss=mtu - HEADERS))
        os.read(fd, mtu)  # the third of the handshake
        (pour if peer.syn.destination == SOURCE else swallow)(fd, mtu, peer)


def end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(0)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--addr", help="taken for the driver's sake, as is the next: it answers to any")
    parser.add_argument("--peer")
    parser.add_argument("--mtu", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    chosen = arguments()
    os.set_blocking(chosen.fd, True)
    threading.Thread(target=end_with_stdin, daemon=True).start()
    print(json.dumps({"ev": "ready", "stack": "empty"}), flush=True)
    serve(chosen.fd, chosen.mtu)
