"""Chart of congestion control over time, as SVG: cwnd, ssthresh, data in flight and round-trip time.

::

    sampler = Sampler()
    world = World(observer=sampler)
    …
    sampler.watch(connection)
    world.run()
    Path("chart.svg").write_text(render(sampler.samples))
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from postel.errors import ArgumentError
from postel.tcp.connection import Connection
from postel.tcp.observer import Observer
from postel.tcp.state import CLOSED
from postel.times import MILLISECOND, SECOND
from postel.wire.address import Endpoint
from postel.wire.segment import Segment

__all__ = ["Sample", "Sampler", "render"]


class Sample(NamedTuple):
    """Figures of a sender at one moment, in octets and microseconds.

    - ``when``: time of the host's clock.
    - ``window``: congestion window (cwnd).
    - ``threshold``: slow start threshold (ssthresh); 0 until a loss has lowered it.
    - ``flight``: sequence numbers in flight.
    - ``round_trip``: smoothed round-trip time; 0 until one was measured.
    - ``retransmissions``: segments retransmitted so far.
    """

    when: int
    window: int
    threshold: int
    flight: int
    round_trip: int
    retransmissions: int


class Sampler(Observer):
    """Observer that takes a sample of one connection whenever one of its segments leaves or arrives.

    Give it to a `World` or a `Host` as their observer, and call `watch` with the connection. ``samples`` has
    the samples, the oldest first.
    """

    def __init__(self) -> None:
        """Make a sampler that watches no connection yet."""
        self.samples: list[Sample] = []
        self._connection: Connection | None = None
        self._pair: tuple[Endpoint, Endpoint] | None = None

    def watch(self, connection: Connection) -> None:
        """Take samples of ``connection`` from now on, and no longer of a connection watched before."""
        self._connection = connection
        self._pair = (connection.local, connection.remote)

    def segment_sent(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        """Take a sample if the segment belongs to the connection that is watched."""
        self._look(local, remote, now)

    def segment_arrived(self, local: Endpoint, remote: Endpoint, segment: Segment, now: int) -> None:
        """Take a sample if the segment belongs to the connection that is watched."""
        self._look(local, remote, now)

    def _look(self, local: Endpoint, remote: Endpoint, now: int) -> None:
        connection = self._connection
        if connection is None or (local, remote) != self._pair or connection.state is CLOSED:
            return
        status = connection.status(now)
        threshold = status.threshold if status.threshold < _UNLIMITED else 0
        self.samples.append(
            Sample(
                now,
                status.congestion_window,
                threshold,
                status.awaiting_ack,
                status.rtt,
                status.total_retrans,
            )
        )


_UNLIMITED: Final = 1 << 30  # octets; a slow start threshold this large was never lowered by a loss
_WIDTH: Final = 880
_LEFT: Final = 70
_RIGHT: Final = 24
_UPPER: Final = (64, 270)  # top and height of the upper panel, in pixels
_LOWER: Final = (376, 110)
_BOTTOM: Final = 44
_PLOT: Final = _WIDTH - _LEFT - _RIGHT
_HEIGHT: Final = _LOWER[0] + _LOWER[1] + _BOTTOM
_INTERVALS: Final = 5  # approximate number of intervals into which numbers divide an axis

_STYLE: Final = """
svg { font: 13px system-ui, "Noto Sans", sans-serif; } .paper { fill: #fff; }
text { fill: #24292f; } .title { font-size: 16px; font-weight: 600; } .unit { fill: #57606a; }
.grid { stroke: #d8dee4; } .axis { stroke: #57606a; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.window { stroke: #0969da; } .threshold { stroke: #bc4c00; stroke-dasharray: 6 4; }
.flight { stroke: #1a7f37; stroke-width: 1; }
.round-trip { stroke: #8250df; } .again { stroke: #cf222e; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
.paper { fill: #0d1117; } text { fill: #e6edf3; } .unit { fill: #9198a1; }
.grid { stroke: #2a313c; } .axis { stroke: #9198a1; }
.window { stroke: #58a6ff; } .threshold { stroke: #f0883e; } .flight { stroke: #3fb950; }
.round-trip { stroke: #bc8cff; }
.again { stroke: #ff7b72; }
}
"""


class _Panel:
    """One of the two panels: turns times and amounts into pixels, and draws axes and lines.

    ``unit`` is the amount, in octets or microseconds, that the axis shows as 1.
    """

    def __init__(
        self, place: tuple[int, int], span: tuple[int, int], most: int, unit: int, name: str
    ) -> None:
        self.top, self.height = place
        self.start, self.end = span
        self.unit = unit
        self.name = name
        self.step = step(max(most, unit) / unit)
        self.most = self.step * unit * -(-max(most, unit) // (self.step * unit))

    def x(self, when: int) -> float:
        """Horizontal position, in pixels, of a time in microseconds."""
        return _LEFT + (when - self.start) * _PLOT / max(1, self.end - self.start)

    def y(self, amount: float) -> float:
        """Vertical position, in pixels, of an amount in octets or microseconds."""
        return self.top + self.height * (1 - amount / self.most)

    def axes(self) -> Iterator[str]:
        """Draw the grid, the axes and their numbers."""
        bottom = self.top + self.height
        amount = 0.0
        while amount * self.unit <= self.most:
            y = self.y(amount * self.unit)
            yield f'<line class="grid" x1="{_LEFT}" x2="{_LEFT + _PLOT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{amount:g}</text>'
            amount += self.step
        yield (
            f'<text class="unit" x="{_LEFT - 8}" y="{self.top - 12}" '
            f'text-anchor="end">{escape(self.name)}</text>'
        )
        yield f'<line class="axis" x1="{_LEFT}" x2="{_LEFT + _PLOT}" y1="{bottom}" y2="{bottom}"/>'
        seconds = (self.end - self.start) / SECOND
        tick = step(seconds)
        for number in range(int(seconds / tick + 1e-9) + 1):
            x = self.x(self.start + round(number * tick * SECOND))
            yield f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 5}"/>'
            if self.top == _LOWER[0]:  # only the lower panel has times as text, for both panels
                yield f'<text x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{number * tick:g}</text>'

    def line(self, name: str, points: Iterable[tuple[int, int]]) -> Iterator[str]:
        """Draw a stepped line, because a value holds until the next sample; a value of 0 isn't drawn."""
        path, before = "", 0
        for when, amount in _thinned(points, max(1, (self.end - self.start) // _PLOT)):
            if amount and amount != before:
                path += (
                    f"H{self.x(when):.1f}V{self.y(amount):.1f}"
                    if before
                    else f"M{self.x(when):.1f} {self.y(amount):.1f}"
                )
            before = amount
        if path:
            yield f'<path class="line {name}" d="{path}{f"H{_LEFT + _PLOT}" if before else ""}"/>'


def render(samples: Sequence[Sample], *, title: str = "Congestion control") -> str:
    """Draw the chart of ``samples``, which are in the order of time, as an SVG document with this title.

    The colours follow light and dark mode. Raises ArgumentError where there are no samples.
    """
    if not samples:
        raise ArgumentError(
            "samples",
            samples,
            "one or more: did the sampler watch a connection, and did a segment of it pass?",
        )
    span = (samples[0].when, max(samples[-1].when, samples[0].when + MILLISECOND))
    largest = max(max(sample.window, sample.threshold, sample.flight) for sample in samples)
    upper = _Panel(_UPPER, span, largest, 1024, "KiB")
    lower = _Panel(_LOWER, span, max(sample.round_trip for sample in samples), MILLISECOND, "ms")
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            f'width="{_WIDTH}" height="{_HEIGHT}">'
        ),
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}"/>',
        f'<text class="title" x="{_LEFT}" y="26">{escape(title)}</text>',
        *upper.axes(),
        *lower.axes(),
        (
            f'<text class="unit" x="{_LEFT + _PLOT / 2:.1f}" y="{_HEIGHT - 6}" '
            'text-anchor="middle">seconds</text>'
        ),
        *_series(upper, "flight", samples, lambda sample: sample.flight),
        *_series(upper, "threshold", samples, lambda sample: sample.threshold),
        *_series(upper, "window", samples, lambda sample: sample.window),
        *_series(lower, "round-trip", samples, lambda sample: sample.round_trip),
        *_retransmissions(upper, samples),
        *_legend(
            upper.top - 16,
            ("window", "congestion window"),
            ("threshold", "threshold"),
            ("flight", "not acknowledged"),
            ("again", "sent again"),
        ),
        *_legend(lower.top - 16, ("round-trip", "round-trip time, smoothed")),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def step(most: float) -> float:
    """Distance of the numbers on an axis up to ``most``: 1, 2 or 5 times a power of ten.

    The axis gets about five intervals.

    >>> step(37), step(0.9), step(1200)
    (10.0, 0.2, 200.0)
    """
    power = 1e-6
    while True:
        for factor in (1, 2, 5):
            if factor * power * _INTERVALS >= most * 0.7:
                return float(f"{factor * power:.6g}")
        power *= 10


def _series(
    panel: _Panel, name: str, samples: Sequence[Sample], value: Callable[[Sample], int]
) -> Iterator[str]:
    return panel.line(name, [(sample.when, value(sample)) for sample in samples])


def _thinned(points: Iterable[tuple[int, int]], width: int) -> Iterator[tuple[int, int]]:
    """Keep at most four points of each ``width`` microseconds: first, last, lowest and highest."""
    column: list[tuple[int, int]] = []
    for point in points:
        if column and point[0] // width != column[0][0] // width:
            yield from _outline(column)
            column = []
        column.append(point)
    yield from _outline(column)


def _outline(column: list[tuple[int, int]]) -> list[tuple[int, int]]:
    by_amount = sorted(range(len(column)), key=lambda index: column[index][1])
    return (
        [column[index] for index in sorted({0, by_amount[0], by_amount[-1], len(column) - 1})]
        if column
        else []
    )


def _retransmissions(panel: _Panel, samples: Sequence[Sample]) -> Iterator[str]:
    """Mark on the time axis each moment at which a segment was retransmitted."""
    before, last = 0, -1.0
    bottom = panel.top + panel.height
    for sample in samples:
        x = panel.x(sample.when)
        if sample.retransmissions > before and x - last >= 1:
            yield f'<line class="again" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom - 9}" y2="{bottom}"/>'
            last = x
        before = sample.retransmissions


def _legend(y: int, *entries: tuple[str, str]) -> Iterator[str]:
    x = _LEFT + 10.0
    for name, text in entries:
        yield f'<line class="line {name}" x1="{x:.0f}" x2="{x + 22:.0f}" y1="{y}" y2="{y}"/>'
        yield f'<text x="{x + 28:.0f}" y="{y + 4}">{text}</text>'
        x += 28 + 7.2 * len(text) + 24
