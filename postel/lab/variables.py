"""Table of the variables of RFC 9293, 3.3.1, after each segment of a run."""

from collections.abc import Iterator
from typing import Final, TypedDict

from postel.lab.front import Note
from postel.lab.scene import Scene
from postel.view.packet import UNKNOWN, Packet
from postel.wire.segment import flags_text

_COLUMNS: Final = (
    "SND.UNA",
    "SND.NXT",
    "SND.WND",
    "SND.UP",
    "SND.WL1",
    "SND.WL2",
    "RCV.NXT",
    "RCV.WND",
    "RCV.UP",
)
_ARROWS: Final = {True: "◄", False: "►"}


def render(scene: Scene, *, ascii_only: bool = False) -> str:
    """Return the table as text.

    Numbers count from ISS and IRS. A variable that a connection doesn't know yet, or that it doesn't have any
    more, is blank. The line of a SYN that leaves shows ISS itself.
    """
    found = rows(scene)
    if not found:
        return ""
    names = max(len(row["host"]) for row in found)
    head = " " * (names + 19) + "".join(f"{name:>8}" for name in _COLUMNS)
    text = "\n".join([head, *[_line(row, names) for row in found]])
    return text.replace("◄", "<").replace("►", ">") if ascii_only else text


def _line(row: "Row", names: int) -> str:
    """Return one line of the table."""
    cells = "".join(f"{row['variables'].get(name, ''):>8}" for name in _COLUMNS)
    segment = f"{_ARROWS[row['arrived']]} #{row['number']:<4} {row['flags']:10}"
    return f"{row['host']:{names}} {segment}{cells}{_first(row)}".rstrip()


def _first(row: "Row") -> str:
    """Return the initial sequence number for the line of a SYN that leaves, else ""."""
    return (
        f"  ISS={row['variables']['ISS']}"
        if "SYN" in row["flags"] and not row["arrived"] and row["variables"]
        else ""
    )


class Row(TypedDict):
    """Line of the table: a segment that left or ``arrived`` at a host, and the variables after it."""

    host: str
    arrived: bool
    number: int
    flags: str
    variables: dict[str, int]


def rows(scene: Scene) -> list[Row]:
    """Return the table as plain data, for JSON."""
    return [
        {
            "host": note.host,
            "arrived": note.arrived,
            "number": packet.number,
            "flags": flags_text(packet.segment.flags),
            "variables": note.variables,
        }
        for note, packet in noted(scene)
        if packet.segment is not None
    ]


def noted(scene: Scene) -> Iterator[tuple[Note, Packet]]:
    """Yield each note with the packet that it is about.

    The nth note of a departure belongs to the nth packet that left, the nth note of an arrival to the nth
    that arrived.
    """
    departures = iter([packet for packet in scene.trace.packets if not packet.copy])
    arrivals = iter(
        sorted(
            (packet for packet in scene.trace.packets if packet.arrival_order != UNKNOWN),
            key=lambda found: found.arrival_order,
        )
    )
    for note in scene.notes:
        packet = next(arrivals if note.arrived else departures, None)
        if packet is not None:
            yield note, packet
