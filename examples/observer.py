"""An observer of one's own: for each connection, how long it took to open, how long it lived, and what it had
to send again.
"""

from postel import Endpoint, Observer, Segment, State, sim

Ends = tuple[Endpoint, Endpoint]


class Lives(Observer):
    """A line for each connection that has ended, in ``lines``; times are in seconds."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._began: dict[Ends, int] = {}
        self._opened: dict[Ends, int] = {}
        self._highest: dict[Ends, int] = {}  # sequence number that was sent
        self._again: dict[Ends, int] = {}

    def state_changed(self, local: Endpoint, remote: Endpoint, before: State, after: State, now: int) -> None:
        ends = (local, remote)
        if before is State.CLOSED:
            self._began[ends], self._again[ends] = now, 0
        elif after is State.ESTABLISHED:
            self._opened[ends] = now
        elif after is State.CLOSED and ends in self._began:
            began, opened = self._began.pop(ends), self._opened.pop(ends, now)
            opening, life = (opened - began) / 1_000_000, (now - began) / 1_000_000
            self.lines.append(
                f"{local} to {remote}: open after {opening:.2f}, ended after {life:.2f}, "
                f"{self._again.pop(ends)} again"
            )
            self._highest.pop(ends, None)

    def segment_sent(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        ends = (local, remote)
        highest = self._highest.setdefault(ends, segment.seq)
        if segment.data and (segment.seq - highest) % 2**32 > 2**31:  # sequence numbers wrap
            self._again[ends] = self._again.get(ends, 0) + 1
        elif segment.data:
            self._highest[ends] = (segment.seq + len(segment.data)) % 2**32


def main() -> None:
    lives = Lives()
    world = sim.World(seed=1, observer=lives)
    client, server = world.host("client", "10.0.0.1/24"), world.host("server", "10.0.0.2/24")
    world.path(client, server, loss=0.1)
    server.listen(80, world.now)
    connection = client.connect("10.0.0.2", 80, world.now)
    connection.send(bytes(50_000), world.now)
    world.run(until=5_000_000)
    connection.abort(world.now)
    world.run()
    print("\n".join(lives.lines))


if __name__ == "__main__":
    main()
