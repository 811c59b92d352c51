"""What a host counts: each packet that it drops, by reason."""

from postel.tcp.observer import Observer


class Counters:
    __slots__ = ("drops", "observer")

    def __init__(self, observer: Observer | None) -> None:
        self.observer = observer
        self.drops: dict[str, int] = {}

    @property
    def dropped(self) -> int:
        return sum(self.drops.values())

    def figures(self) -> dict[str, int]:
        """The total, and each reason's under ``dropped_…``."""
        figures = {"dropped": self.dropped}
        for reason, count in sorted(self.drops.items()):
            figures[f"dropped_{reason}"] = count
        return figures

    def drop(self, reason: str, octets: bytes, now: int) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + 1
        if self.observer is not None:
            self.observer.packet_dropped(reason, octets, now)
