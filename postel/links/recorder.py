"""Recording of the packets on a link, for Wireshark and tshark."""

from typing import BinaryIO

from postel.errors import ArgumentError, require_number
from postel.links import pcapng
from postel.links.contract import Link
from postel.links.observer import Observed, PacketObserver
from postel.times import NEVER


class PacketFile(PacketObserver):
    """Observer that writes each packet into ``file``, in the format pcapng, as it passes.

    ``epoch`` is the time of day, in microseconds since 1970, at which the link's clock was 0; in asyncio that
    is ``time.time_ns() // 1000 - time.monotonic_ns() // 1000``. At most ``limit`` octets are written (0: no
    limit). The file stays open: the caller closes it. Raises ArgumentError.
    """

    def __init__(self, file: BinaryIO, *, epoch: int = 0, limit: int = 0) -> None:
        """Write the capture's header into ``file``, a binary file that is open for writing."""
        require_number("epoch", epoch, 0, NEVER, "microseconds since 1970 as an int, 0 or more")
        self._capture = pcapng.Capture(file, limit=limit)
        self._epoch = epoch

    @property
    def left_out(self) -> int:
        """Number of packets that aren't in the file, because of the limit or an error."""
        return self._capture.left_out

    @property
    def error(self) -> OSError | None:
        """Error that ended the writing of the file; None if there was no error."""
        return self._capture.error

    def packet_sent(self, octets: bytes, now: int) -> None:
        """Write a packet that a host sent."""
        self._capture.add(pcapng.enhanced_packet(octets, self._epoch + now, direction=pcapng.OUTBOUND))

    def packet_arrived(self, octets: bytes, now: int) -> None:
        """Write a packet that arrived for a host."""
        self._capture.add(pcapng.enhanced_packet(octets, self._epoch + now, direction=pcapng.INBOUND))


class Recorder(Observed):
    """Link around ``link`` that writes all packets, in both directions, into ``file``, an open binary file.

    The packets are those that a wire carries; with ``joined``, each parcel of an `Offloading` link is one
    packet. ``epoch`` and ``limit`` are those of `PacketFile`; ``recording`` is that file, with its counts.
    Raises ArgumentError.

    >>> import io
    >>> from postel.links import pair
    >>> left, right = pair()
    >>> capture = io.BytesIO()
    >>> link = Recorder(left, capture)
    >>> link.send(bytes.fromhex("4500001400000000400600000a0700010a070002"), b"", 0)
    True
    >>> len(capture.getvalue()) > 100
    True
    >>> link.close(); right.close()
    """

    def __init__(
        self, link: Link, file: BinaryIO, *, joined: bool = False, epoch: int = 0, limit: int = 0
    ) -> None:
        """Put this link around ``link``, which no host or other link may use."""
        if not callable(getattr(file, "write", None)):
            raise ArgumentError("file", file, "a binary file that is open for writing")
        self.recording: PacketFile = PacketFile(file, epoch=epoch, limit=limit)
        super().__init__(link, self.recording, joined=joined)
