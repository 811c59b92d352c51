"""What all connections of a host may hold together, in octets (RFC 9293, 3.10: "insufficient resources")."""


class Memory:
    """A count with a limit. Refusals are counted; nothing that was taken is ever taken back by force."""

    __slots__ = ("limit", "refused", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.refused = 0

    def take(self, octets: int) -> bool:
        if self.used + octets > self.limit:
            self.refused += 1
            return False
        self.used += octets
        return True

    def give(self, octets: int) -> None:
        self.used -= octets

    @property
    def is_tight(self) -> bool:
        """Less than a quarter is free: no buffer grows, and those that grew go back."""
        return 4 * (self.limit - self.used) < self.limit

    @property
    def free(self) -> int:
        return max(0, self.limit - self.used)
