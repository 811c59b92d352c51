"""The octets between SND.UNA and the end of what the user sent: the retransmission queue and the data not sent yet, in one."""


class SendBuffer:
    """One bytearray: small writes coalesce as they are appended, and what is acknowledged leaves at the front in amortised O(1)."""

    __slots__ = ("_octets",)

    def __init__(self) -> None:
        self._octets = bytearray()

    def __len__(self) -> int:
        return len(self._octets)

    def append(self, data: bytes | bytearray | memoryview) -> None:
        """Copies: what is sent are the octets at the time of the call."""
        self._octets += data

    def discard(self, count: int) -> None:
        """The first ``count`` octets were acknowledged."""
        del self._octets[:count]

    def slice(self, start: int, count: int) -> bytes:
        return bytes(self._octets[start : start + count])

    def clear(self) -> None:
        self._octets.clear()
