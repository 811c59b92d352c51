"""A capture of what passes a link, for Wireshark and tshark."""

from typing import BinaryIO

from postel.errors import ArgumentError, require_number
from postel.links import pcapng
from postel.links.contract import Link
from postel.links.observer import Observed, PacketObserver
from postel.times import NEVER


class PacketFile(PacketObserver):
    """Writes the packets that it is told of into ``file``, in pcapng, as they pass.

    ``epoch`` is the time of day, in microseconds since 1970, at which the link's clock stood at 0: in asyncio
    ``time.time_ns() // 1000 - time.monotonic_ns() // 1000``. At most ``limit`` octets are written (0: no
    bound); ``left_out`` counts packets that are not in the file, and ``error`` is the reason where it could
    not be written. The file is the caller's to close.
    """

    def __init__(self, file: BinaryIO, *, epoch: int = 0, limit: int = 0) -> None:
        require_number("epoch", epoch, 0, NEVER, "microseconds since 1970 as an int, 0 or more")
        self._capture = pcapng.Capture(file, limit=limit)
        self._epoch = epoch

    @property
    def left_out(self) -> int:
        """Packets that are not in the file."""
        return self._capture.left_out

    @property
    def error(self) -> OSError | None:
        """Why nothing more is written; None while all is well."""
        return self._capture.error

    def packet_sent(self, octets: bytes, now: int) -> None:
        self._capture.add(pcapng.enhanced_packet(octets, self._epoch + now, direction=pcapng.OUTBOUND))

    def packet_arrived(self, octets: bytes, now: int) -> None:
        self._capture.add(pcapng.enhanced_packet(octets, self._epoch + now, direction=pcapng.INBOUND))


class Recorder(Observed):
    """A link around another one, ``link``, that records what passes into ``file``, a binary file open for
    writing.

    Recorded are the packets that a wire would carry; with ``joined``, each parcel of an `Offloading` link as
    one packet. ``epoch`` and ``limit`` are those of `PacketFile`, which ``recording`` is.
    """

    def __init__(
        self, link: Link, file: BinaryIO, *, joined: bool = False, epoch: int = 0, limit: int = 0
    ) -> None:
        if not callable(getattr(file, "write", None)):
            raise ArgumentError("file", file, "a binary file that is open for writing")
        self.recording: PacketFile = PacketFile(file, epoch=epoch, limit=limit)
        super().__init__(link, self.recording, joined=joined)
