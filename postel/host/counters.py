"""What a host counts: each packet that it drops, by reason."""

from postel.tcp.observer import Observer


class Counters:
    __slots__ = ("drops", "malformed_options", "observer")

    def __init__(self, observer: Observer | None) -> None:
        self.observer: Observer | None = observer
        self.drops: dict[str, int] = {}
        self.malformed_options: int = (
            0  # segments that were taken though their list of options could not be followed to its end
        )

    @property
    def dropped(self) -> int:
        return sum(self.drops.values())

    def figures(self) -> dict[str, int]:
        """Segments with malformed options, packets that were dropped, and of these each reason's under
        ``dropped_…``.
        """
        figures = {"malformed_options": self.malformed_options, "dropped": self.dropped}
        for reason, count in sorted(self.drops.items()):
            figures[f"dropped_{reason}"] = count
        return figures

    def drop(self, reason: str, octets: bytes, now: int) -> None:
        self.drops[reason] = self.drops.get(reason, 0) + 1
        if self.observer is not None:
            self.observer.packet_dropped(reason, octets, now)
