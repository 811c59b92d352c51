"""Every state × every kind of segment × where it lies in the window × what it acknowledges: one line each, in
table.txt.

The file is read like code: a change in it is a change of behaviour. ``SNAPSHOT=write`` in the environment
writes it anew.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from postel.tcp.state import SUCCESSORS
from postel.testing.states import EVERY, IRS, ISS, Scene
from postel.times import NEVER
from postel.wire.segment import ACK, FIN, RST, SYN, URG

TABLE = Path(__file__).with_name("table.txt")
TEXT = b"hello"

KINDS: dict[str, tuple[int, bytes]] = {
    "none": (0, b""),
    "SYN": (SYN, b""),
    "SYN,FIN": (SYN | FIN, b""),
    "SYN,ACK": (SYN | ACK, b""),
    "ACK": (ACK, b""),
    "ACK+text": (ACK, TEXT),
    "URG,ACK+text": (URG | ACK, TEXT),
    "FIN": (FIN, b""),
    "FIN,ACK": (FIN | ACK, b""),
    "RST": (RST, b""),
    "RST,ACK": (RST | ACK, b""),
}
UNSYNCHRONIZED = ("CLOSED", "LISTEN", "SYN-SENT")


def places(scene: Scene, name: str) -> dict[str, int]:
    """Of SEG.SEQ; where nothing is known of the peer's numbers, one place is like another."""
    if name in UNSYNCHRONIZED:
        return {"any": 0}
    edge = scene.nxt + scene.tcb.rcv.wnd
    irs = {"irs": 0} if name.startswith("SYN-RECEIVED") else {}
    return {"left": scene.nxt - 10, **irs, "at": scene.nxt, "ahead": scene.nxt + 100, "right": edge + 10}


def acks(scene: Scene, flags: int) -> dict[str, int | None]:
    """Of SEG.ACK: all that was sent, one less (in FIN-WAIT-1 all but our FIN), one too many."""
    if not flags & ACK:
        return {"": None}
    return {"all": scene.max, "less": scene.max - 1, "beyond": scene.max + 1}


def cells() -> Iterator[tuple[str, str, str, str]]:
    for name, make in EVERY.items():
        for kind, (flags, _) in KINDS.items():
            scene = make()
            for place in places(scene, name):
                for ack in acks(scene, flags):
                    yield name, kind, place, ack


def play(name: str, kind: str, place: str, ack: str, **numbers: int) -> Scene:
    """The scene after the segment, with its answer in ``sent`` and its events not yet taken."""
    scene = EVERY[name](**numbers)
    scene.watch.changes.clear()
    flags, text = KINDS[kind]
    seq = places(scene, name)[place]
    scene.hears(flags, text, seq=seq, ack=acks(scene, flags)[ack], urgent=3 if flags & URG else 0)
    return scene


def line(name: str, kind: str, place: str, ack: str, **numbers: int) -> str:
    scene = play(name, kind, place, ack, **numbers)
    answers = "; ".join(map(scene.text, scene.sent)) or "-"
    after = str(scene.state) if str(scene.state) != name.removesuffix(", active") else "="
    return f"{kind:13} {place:6} {ack:7} {after:13} {answers:28} {' '.join(scene.events())}".rstrip()


def table(**numbers: int) -> str:
    lines: list[str] = []
    before = ""
    for name, kind, place, ack in cells():
        if name != before:
            lines += [
                "",
                f"== {name} ==",
                "segment       seq    ack     state after   answer                       events",
            ]
            before = name
        lines.append(line(name, kind, place, ack, **numbers))
    return "\n".join(lines[1:]) + "\n"


def test_the_table_is_as_reviewed() -> None:
    found = table()
    if os.environ.get("SNAPSHOT") == "write":
        TABLE.write_text(found)
    assert found == TABLE.read_text()


@pytest.mark.label("RFC9293-3.4-modulo")
@pytest.mark.parametrize(
    ("iss", "irs"), [(1, 1), (0x7FFFFFFE, 0x7FFFFFFA), (0xFFFFFFFF, 0), (0x80000000, 0xFFFFFFFF)]
)
@pytest.mark.soak
def test_the_table_is_the_same_wherever_the_numbers_begin(iss: int, irs: int) -> None:
    assert table(iss=iss, irs=irs) == table(iss=ISS, irs=IRS)


def test_every_change_of_state_is_an_edge() -> None:
    for cell in cells():
        scene = play(*cell)
        for before, after in scene.watch.changes:
            assert after in SUCCESSORS[before], cell


def test_no_segment_leaves_a_timer_on_a_closed_connection() -> None:
    for cell in cells():
        scene = play(*cell)
        if str(scene.state) in ("CLOSED", "LISTEN"):
            assert scene.connection.next_timeout() == NEVER, cell


def test_one_segment_is_answered_by_one_at_most() -> None:
    for cell in cells():
        assert len(play(*cell).sent) <= 1, cell


@pytest.mark.label("EP-PRE-9", "BAD-RST-5")
def test_ep_pre_9_a_reset_is_never_answered_by_a_reset() -> None:
    for name, kind, place, ack in cells():
        if "RST" in kind:
            scene = play(name, kind, place, ack)
            assert not any(segment.flags & RST for segment in scene.sent), (name, kind, place, ack)


def test_only_a_few_segments_end_a_connection() -> None:
    """From a synchronized state: a RST at RCV.NXT, and the ACK of our last FIN."""
    for name, kind, place, ack in cells():
        if name in UNSYNCHRONIZED or str(play(name, kind, place, ack).state) != "CLOSED":
            continue
        is_reset = "RST" in kind and place == "at"
        is_last_ack = name == "LAST-ACK" and ack == "all"
        assert is_reset or is_last_ack, (name, kind, place, ack)
