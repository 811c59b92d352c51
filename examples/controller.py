"""A congestion controller of one's own, after TCP Vegas: it keeps few segments in the queue, where others
fill it.
"""

from postel import Config, sim
from postel.congestion import Congestion, Sample, register


class Vegas(Congestion):
    """Reads the queue from how much longer a round trip takes than the shortest: aims at 2 to 4 segments."""

    def __init__(self, smss: int, initial_window: int, seed: int) -> None:
        super().__init__(smss, initial_window, seed)
        self.shortest = self.queued = self.round_end = 0
        self.is_new_round = False

    def observed(self, sample: Sample, now: int) -> None:
        if took := sample.round_trip:
            self.shortest = min(self.shortest or took, took)
            self.queued = self.window * (took - self.shortest) // took
        self.is_new_round = sample.una >= self.round_end
        self.round_end = sample.max if self.is_new_round else self.round_end

    def acknowledged(self, octets: int, now: int) -> None:
        if self.window < self.threshold and self.queued <= 2 * self.smss:  # slow start
            self.window += min(octets, self.smss)
        elif self.is_new_round:
            step = (self.queued < 2 * self.smss) - (self.queued > 4 * self.smss)
            self.threshold = self.window = max(self.window + step * self.smss, 2 * self.smss)

    def lost(self, flight: int, now: int) -> None:
        self.threshold = self.window = max(flight // 2, 2 * self.smss)

    def recovered(self, flight: int, now: int) -> None:
        self.window = min(self.threshold, flight + 2 * self.smss)

    def timed_out(self, flight: int, now: int, *, again: bool) -> None:
        self.threshold = self.threshold if again else max(flight // 2, 2 * self.smss)
        self.window = self.smss

    def idled(self, now: int) -> None:
        self.window = min(self.window, self.initial_window)


register("vegas", Vegas)  # for Config(congestion="vegas")


if __name__ == "__main__":
    for name in ("cubic", "vegas"):
        world = sim.World(seed=1)
        near = world.host("near", "10.0.0.1/24", config=Config(congestion=name, send_buffer=8_000_000))
        far = world.host("far", "10.0.0.2/24", config=Config(receive_buffer=8_000_000))
        world.path(near, far, bandwidth=10_000_000)
        far.listen(9, 0)
        connection = near.connect("10.0.0.2", 9, 0)
        connection.send(bytes(8_000_000), 0)
        world.run(until=5_000_000)
        told = connection.status(world.now)
        print(f"{name}: {told.bytes_acked / 5_000_000:.2f} MB a second, {told.rtt // 1000} ms a round trip")
