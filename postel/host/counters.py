"""Counters of a host: dropped packets by reason, and segments with malformed options."""

from postel.tcp.observer import Observer


class Counters:
    """Counters of dropped packets. They report each dropped packet to the observer."""

    __slots__ = ("drops", "malformed_options", "observer")

    def __init__(self, observer: Observer | None) -> None:
        """Begin at zero."""
        self.observer: Observer | None = observer
        self.drops: dict[str, int] = {}
        # Segments that were processed although their list of options can't be followed to its end
        self.malformed_options: int = 0

    @property
    def dropped(self) -> int:
        """Number of dropped packets."""
        return sum(self.drops.values())

    def figures(self) -> dict[str, int]:
        """Counters by name for `Host.statistics`: all dropped packets, and those of each reason."""
        figures = {"malformed_options": self.malformed_options, "dropped": self.dropped}
        for reason, count in sorted(self.drops.items()):
            figures[f"dropped_{reason}"] = count
        return figures

    def drop(self, reason: str, octets: bytes, now: int) -> None:
        """Count a dropped packet under ``reason``."""
        self.drops[reason] = self.drops.get(reason, 0) + 1
        if self.observer is not None:
            self.observer.packet_dropped(reason, octets, now)
