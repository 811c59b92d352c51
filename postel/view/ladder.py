"""Ladder in text: two lifelines with the segments between them, as RFC 9293 draws its figures.

::

      0.000 ms      SYN-SENT ├─ #1 SYN seq=0 win=65535 mss=1460 ───────────►│
     10.000 ms               │◄─ #2 SYN,ACK seq=0 ack=1 win=65535 mss=1460 ─┤ SYN-RECEIVED
     20.000 ms   ESTABLISHED ├─ #3 ACK seq=1 ack=1 win=65535 ────╌╌╌╌╌╌     │
     30.000 ms               │                              ╌╌╌╌╌╌ #3 ╌╌►│ ESTABLISHED

Theory of operation
-------------------

A row is made for each `Moment` of the connection, and time runs down. A row has these columns::

    time │ state of A │ A's lifeline ── segment ── B's lifeline │ state of B

- Each state stands in a row that has the time at which the end came into it. It is printed where it differs
  from the one printed last at that end.
- A segment's row stands at the time at which the segment leaves; it has the sender's state then.
- An arrival that changes the receiver's state happens later, so it gets a row of its own and the arrow is
  drawn in two pieces (`_Ladder.is_split`). It needs none where the receiver does something else at the time
  of the arrival: the row of its answer, for example, has the state, too.
- In a capture, and where only the receiver's host is observed, one place's times are known. A segment then
  leaves and arrives at the time at which it passed there, and its row has the states of both ends. The ladder
  of a capture says so at its top.
- A segment is called crossing (`_crossing`) where something else happens at the receiver while the segment is
  on its way. If its arrival changes no state, its row says at which time it arrives (``@12.000 ms``).
- A timer, a remark of the program, or a call that sends nothing has a row at its lifeline.
- A silence of a second or more has a row, and so has a long run of ordinary data (`fold`).

What a row says about its segment comes from `caption` (the fields) and `notes` (the explanation).
"""

from typing import Final, NamedTuple

from postel.errors import ArgumentError
from postel.tcp.state import State
from postel.times import NEVER
from postel.view import caption, fold, moments, notes
from postel.view.flow import Change, Expiry, Flow, Remark
from postel.view.moments import Look, Moment
from postel.view.packet import UNKNOWN, Packet
from postel.view.trace import Trace
from postel.view.width import left, plain, right, width, wrap
from postel.wire.address import Endpoint

__all__ = ["render"]

NARROWEST: Final = 72
_TIME: Final = 11  # "999.999 ms"
_STATE: Final = 12  # "SYN-RECEIVED"


class Glyphs(NamedTuple):
    """Characters that a ladder is drawn with."""

    line: str
    to_right: str
    to_left: str
    lost: str
    life: str
    from_left: str
    from_right: str
    timer: str
    gap: str
    dashed: str
    heavy: str


UNICODE: Final = Glyphs("─", "►", "◄", "╳", "│", "├", "┤", "◷", "┆", "╌", "═")
ASCII: Final = Glyphs("-", ">", "<", "X", "|", "|", "|", "*", ":", ".", "=")

BOLD: Final = "1"
DIM: Final = "2"
RED: Final = "31"
GREEN: Final = "32"
YELLOW: Final = "33"
MAGENTA: Final = "35"
CYAN: Final = "36"
_COLOURS: Final[dict[Look, tuple[str, ...]]] = {
    "lost": (RED,),
    "again": (MAGENTA,),
    "reset": (RED, BOLD),
    "opening": (GREEN,),
    "closing": (YELLOW,),
    "data": (),
    "bare": (),
}


def render(
    trace: Trace,
    *,
    width: int = 104,
    language: str = "en",
    connection: int | None = None,
    colour: bool = False,
    ascii_only: bool = False,
    with_notes: bool = True,
    unfold: bool = False,
) -> str:
    """Draw the connections of ``trace`` as text, one ladder below the other.

    - ``width``: columns at the most, `NARROWEST` (72) or more.
    - ``language``: "en" or "zh", for the notes.
    - ``connection``: the number of the only connection to draw, from 1; None draws all.
    - ``colour``: whether to use the colours of a terminal (ANSI escapes).
    - ``ascii_only``: whether to draw with ASCII characters alone.
    - ``with_notes``: whether to explain segments below their rows.
    - ``unfold``: whether a long run of ordinary data has a row for each segment, not one for all.

    Returns the text without a final newline; "no packets" for an empty trace. Raises ArgumentError for a
    width that is too small, a connection that doesn't exist, or an unknown language.

    >>> from postel.view import Trace, ladder
    >>> print(ladder.render(Trace()))
    no packets
    """
    if width < NARROWEST:
        raise ArgumentError("width", width, f"{NARROWEST} columns or more")
    flows = [flow for flow in trace.flows if flow.packets]
    if connection is not None:
        flows = [flow for flow in flows if flow.number == connection]
        if not flows:
            raise ArgumentError("connection", connection, f"1 to {len(trace.flows)}")
    pen = _Pen(ASCII if ascii_only else UNICODE, width, language, colour=colour, with_notes=with_notes)
    start = trace.packets[0].sent_at if trace.packets else 0
    parts = [_Ladder(flow, pen, start, [] if unfold else fold.runs(flow)).text() for flow in flows] or [
        notes.say("nothing", language)
    ]
    if trace.forgotten:
        parts.append(notes.say("forgotten", language, count=trace.forgotten))
    return "\n\n".join(parts)


class _Pen:
    """How to draw: characters, columns, language and colour."""

    def __init__(
        self, glyphs: Glyphs, columns: int, language: str, *, colour: bool, with_notes: bool
    ) -> None:
        self.glyphs = glyphs
        self.columns = columns
        # Columns between the lifelines; the 5 are the two lifelines and three spaces.
        self.inner = columns - _TIME - 2 * _STATE - 5
        self.language = language
        self.colour = colour
        self.with_notes = with_notes

    def paint(self, text: str, *codes: str) -> str:
        """Put ANSI colour codes around a text, if colours are wanted."""
        return f"\033[{';'.join(codes)}m{text}\033[0m" if self.colour and codes and text else text

    def plain(self, text: str) -> str:
        """Replace the characters of a text that ASCII lacks, if the ladder is to be in ASCII.

        This comes before the text is measured, because three dots take more columns than an ellipsis.
        """
        return plain(text) if self.glyphs is ASCII else text

    def row(
        self, when: str, left_state: str, inner: str, right_state: str, ends: tuple[str, str] | None = None
    ) -> str:
        """Make a whole line; ``ends`` are the two characters on the lifelines."""
        one, other = ends or (self.glyphs.life, self.glyphs.life)
        before = right(left_state, _STATE)
        if width(when) > _TIME:  # a time of hours is too wide: drop the space at the end of a text in seconds
            when = when.rstrip()
        between = f"{one}{left(inner, self.inner)}{other}"
        return f"{self.paint(right(when, _TIME), DIM)} {before} {between} {right_state}".rstrip()


class _Ladder:
    """Drawing of one connection, line by line."""

    def __init__(self, flow: Flow, pen: _Pen, start: int, runs: list[fold.Run]) -> None:
        self.flow = flow
        self.runs = runs
        self.pen = pen
        self.start = start
        self.last = NEVER  # time of the row before
        self.shown: dict[Endpoint, State | None] = {end: flow.initial_state(end) for end in flow.ends}
        self.crossing = _crossing(flow)
        self.departures = moments.in_order(flow, runs, _never)
        self.lines: list[str] = []

    def text(self) -> str:
        """Draw all rows."""
        self.head()
        for moment in self.moments():
            self.pause(moment.when)
            what = moment.what
            if isinstance(what, fold.Run):
                self.run(what)
            elif not isinstance(what, Packet):
                self.beside(what, moments.said(moment, self.flow, self.pen.language))
            elif moment.is_arrival:
                self.arrival(what)
            else:
                self.packet(what, moments.said(moment, self.flow, self.pen.language))
        return "\n".join(self.lines)

    def moments(self) -> list[Moment]:
        """List the moments that have a row, in order.

        These are packets, runs, timers, remarks, late arrivals, and calls that no other row shows.
        """
        flow = self.flow
        calls = [
            Moment(change.order, change.when, change) for change in flow.changes if not _is_seen(change, flow)
        ]
        return sorted(
            [*moments.in_order(flow, self.runs, self.is_split), *calls], key=lambda moment: moment.order
        )

    def is_split(self, packet: Packet) -> bool:
        """Whether the packet's arrival has a row of its own, because it changed the receiver's state."""
        if not packet.receiver_changed:
            return False
        return packet.number in self.crossing or (
            packet.arrived_at != packet.sent_at and not self.is_answered(packet)
        )

    def is_answered(self, packet: Packet) -> bool:
        """Whether the receiver's next row has the time of the arrival, and shows the receiver's new state."""
        following = next(
            (
                moment
                for moment in self.departures
                if moment.order > packet.arrival_order and _end_of(moment) == packet.destination
            ),
            None,
        )
        return (
            following is not None
            and following.when == packet.arrived_at
            and _shown_state(following) is packet.receiver_state
        )

    def head(self) -> None:
        """Draw the titles of both ends, and below them their initial states and a capture's note on times."""
        one, other = (self.title(end) for end in self.flow.ends)
        pen = self.pen
        room = pen.columns - _TIME - 1 - width(one) - width(other)
        self.lines.append(
            " " * (_TIME + 1) + pen.paint(one, BOLD) + " " * max(room, 1) + pen.paint(other, BOLD)
        )
        states = [pen.paint(str(self.shown[end] or ""), BOLD) for end in self.flow.ends]
        self.lines.append(pen.row("", states[0], "", states[1]))
        if self.flow.is_captured and pen.with_notes:
            self.below(notes.say("of a capture", pen.language), DIM)

    def title(self, end: Endpoint) -> str:
        """Name and endpoint of an end."""
        return f"{self.flow.names.get(end, '')} {end}".strip()

    def pause(self, when: int) -> None:
        """Draw a row if there was a long silence before ``when``; store ``when`` for the next row."""
        if self.last != NEVER and when - self.last >= fold.PAUSE:
            text = self.pen.plain(
                notes.say(
                    "pause", self.pen.language, length=caption.duration(when - self.last, self.pen.language)
                )
            )
            indent = " " * ((self.pen.inner - width(text)) // 2)
            self.lines.append(
                self.pen.row(
                    "", "", indent + self.pen.paint(text, DIM), "", (self.pen.glyphs.gap, self.pen.glyphs.gap)
                )
            )
        self.last = when

    def news(self, end: Endpoint, state: State | None) -> str:
        """Text of a state to print at an end, and store it as printed; "" if it is printed there already."""
        if state is None or state is self.shown.get(end):
            return ""
        self.shown[end] = state
        return self.pen.paint(str(state), BOLD)

    def packet(self, packet: Packet, said: str) -> None:
        """Draw a packet's row, and below it the fields that had no room and the notes."""
        to_right = packet.source == self.flow.ends[0]
        sender = self.news(packet.source, packet.sender_state)
        receiver = "" if self.is_split(packet) else self.landing(packet)
        first, rest = self.fit([self.pen.plain(piece) for piece in caption.of_packet(packet)])
        states = (sender, receiver) if to_right else (receiver, sender)
        self.lines.append(
            self.pen.row(
                self.clock(packet.sent_at), states[0], self.arrow(first, packet), states[1], self.ends(packet)
            )
        )
        self.below(rest, *_colours(packet))
        if self.pen.with_notes:
            self.below(said, DIM)

    def run(self, run: fold.Run) -> None:
        """Draw one thick arrow for a run of packets; its row has the time of the first packet."""
        glyphs, room = self.pen.glyphs, self.pen.inner
        text = f" {self.pen.plain(run.text(self.pen.language))} "
        shaft = glyphs.heavy * (room - width(text) - 3)
        if run.source == self.flow.ends[0]:
            inner, ends = f"{glyphs.heavy * 2}{text}{shaft}{glyphs.to_right}", (glyphs.from_left, glyphs.life)
        else:
            inner, ends = f"{glyphs.to_left}{glyphs.heavy * 2}{text}{shaft}", (glyphs.life, glyphs.from_right)
        self.lines.append(self.pen.row(self.clock(run.packets[0].sent_at), "", inner, "", ends))
        self.last = run.packets[-1].sent_at

    def landing(self, packet: Packet) -> str:
        """Text beside the receiver's lifeline: a new state, or the time of arrival of a crossing packet."""
        if packet.arrived_at == NEVER:
            return ""
        # If the arrival is later than this row, a row of that time prints the state
        if packet.receiver_changed:
            is_now = packet.arrived_at == packet.sent_at
            return self.news(packet.destination, packet.receiver_state) if is_now else ""
        if packet.number not in self.crossing:
            return ""
        return self.pen.paint("@" + self.clock(packet.arrived_at).strip(), DIM)

    def arrival(self, packet: Packet) -> None:
        """Draw the second piece of an arrow, with the state to which its arrival led."""
        to_right = packet.source == self.flow.ends[0]
        state = self.news(packet.destination, packet.receiver_state)
        glyphs, length = self.pen.glyphs, self.pen.inner // 4
        label = f" #{packet.number} "
        if to_right:
            arrow = glyphs.dashed * length + label + glyphs.dashed * 2 + glyphs.to_right
            inner = " " * (self.pen.inner - width(arrow)) + self.pen.paint(arrow, *_colours(packet))
        else:
            inner = self.pen.paint(
                glyphs.to_left + glyphs.dashed * 2 + label + glyphs.dashed * length, *_colours(packet)
            )
        self.lines.append(
            self.pen.row(
                self.clock(packet.arrived_at), "" if to_right else state, inner, state if to_right else ""
            )
        )

    def ends(self, packet: Packet) -> tuple[str, str]:
        """Characters on the two lifelines. A copy that the network made leaves neither end."""
        glyphs = self.pen.glyphs
        if packet.copy:
            return glyphs.life, glyphs.life
        return (
            (glyphs.from_left, glyphs.life)
            if packet.source == self.flow.ends[0]
            else (glyphs.life, glyphs.from_right)
        )

    def arrow(self, label: str, packet: Packet) -> str:
        """Draw an arrow with its label: ``─ label ──────►`` or ``◄─ label ──────``.

        The arrow stops short where the packet is lost, and ends in dashes where its arrival has a row of its
        own.
        """
        glyphs, room = self.pen.glyphs, self.pen.inner
        line = glyphs.dashed if packet.copy else glyphs.line
        to_right = packet.source == self.flow.ends[0]
        head, missing = glyphs.to_right if to_right else glyphs.to_left, 0
        if packet.lost:
            head, missing = glyphs.lost, max(min(room // 5, room - width(label) - 6), 0)
        elif packet.is_under_way:
            head, missing = glyphs.dashed, max(min(room // 5, room - width(label) - 6), 0)
        elif self.is_split(packet):
            head, missing = glyphs.dashed * max(min(room // 4, room - width(label) - 6), 1), room // 8
        missing = max(min(missing, room - width(label) - 4 - width(head)), 0)
        shaft = room - missing - width(label) - 3 - width(head)
        if to_right:
            return self.pen.paint(f"{line} {label} {line * shaft}{head}", *_colours(packet))
        return " " * missing + self.pen.paint(f"{head}{line} {label} {line * shaft}", *_colours(packet))

    def fit(self, pieces: list[str]) -> tuple[str, str]:
        """Split the packet's fields into those that fit on the arrow and those for the line below."""
        room = self.pen.inner - 6
        taken = 1
        while taken < len(pieces) and width(" ".join(pieces[: taken + 1])) <= room:
            taken += 1
        return " ".join(pieces[:taken]), " ".join(pieces[taken:])

    def below(self, text: str, *colours: str) -> None:
        """Draw a text below a row, between the lifelines."""
        for line in wrap(self.pen.plain(text), self.pen.inner - 4):
            self.lines.append(self.pen.row("", "", "   " + self.pen.paint(line, *colours), ""))

    def beside(self, what: Expiry | Remark | Change, text: str) -> None:
        """Draw a row about one end alone, at its lifeline."""
        end, colour = what.at, DIM if isinstance(what, Change) else CYAN
        if isinstance(what, Expiry):
            text = f"{self.pen.glyphs.timer} {text}"
        shown = self.news(end, what.after if isinstance(what, Change) else what.state)
        clock = self.clock(what.when)
        for line in wrap(self.pen.plain(text), self.pen.inner - 2):
            painted = self.pen.paint(line, colour)
            if end == self.flow.ends[0]:
                self.lines.append(self.pen.row(clock, shown, f" {painted}", ""))
            else:
                self.lines.append(self.pen.row(clock, "", right(f"{painted} ", self.pen.inner), shown))
            clock = shown = ""

    def clock(self, when: int) -> str:
        """Time since the first packet of the trace, as text."""
        return caption.clock(when - self.start)


def _colours(packet: Packet) -> tuple[str, ...]:
    return _COLOURS[moments.look_of(packet)]


def _never(_: Packet) -> bool:
    return False


def _end_of(moment: Moment) -> Endpoint:
    """End at which something happened; of a segment, the one that sent it."""
    what = moment.what
    return what.source if isinstance(what, Packet | fold.Run) else what.at


def _shown_state(moment: Moment) -> State | None:
    """State that the moment's row shows at its own end; None for a run, because its row shows none."""
    what = moment.what
    if isinstance(what, Packet):
        return what.sender_state
    return what.state if isinstance(what, Expiry | Remark) else None


def _crossing(flow: Flow) -> set[int]:
    """Numbers of the packets for which something happens at the receiver while they are on their way.

    These are packets that pass one of the other direction, because each of the two left before the other
    arrived; packets that a later one overtakes; and packets of which the receiver changed its state
    meanwhile, after a call or a timer.
    """
    found: set[int] = set()
    under_way: list[Packet] = []
    for packet in flow.packets:
        under_way = [other for other in under_way if other.arrived_at > packet.sent_at]
        for other in under_way:
            if other.source != packet.source:
                found |= {other.number, packet.number}
            elif UNKNOWN < packet.arrival_order < other.arrival_order:
                found.add(other.number)
        if packet.arrived_at != NEVER:
            under_way.append(packet)
    for packet in flow.packets:
        if any(_comes_between(change, packet) for change in flow.changes) or (
            packet.receiver_changed and _is_passed(packet, flow)
        ):
            found.add(packet.number)
    return found


def _comes_between(change: Change, packet: Packet) -> bool:
    is_meanwhile = change.at == packet.destination and packet.order < change.order < packet.arrival_order
    return is_meanwhile and not isinstance(change.cause, Packet)


def _is_passed(packet: Packet, flow: Flow) -> bool:
    """Whether the receiver sent something after the packet left and before it arrived."""
    return any(
        other.source == packet.destination and packet.order < other.order < packet.arrival_order
        for other in flow.packets
    )


def _is_seen(change: Change, flow: Flow) -> bool:
    """Whether the row of a packet, a timer or a remark shows the change.

    That is the row of the change's cause, or of a segment that the same end sends next, at the same time.
    """
    if change.cause is not None:
        return True
    following = min(
        (packet for packet in flow.packets if packet.order > change.order),
        key=lambda packet: packet.order,
        default=None,
    )
    return following is not None and following.source == change.at and following.sent_at == change.when
