"""Long runs of data: what one row may stand for, and what it may not."""

import re
from typing import Any

from postel.sim import World, dropping
from postel.tcp.events import Acceptable, Event, Readable
from postel.times import MILLISECOND, SECOND
from postel.view import Trace, fold, ladder
from postel.wire.segment import ACK
from tests.view.stage import Stage

OCTETS = 300_000


def transfer(*lost: int) -> Trace:
    trace = Trace()
    world = World(observer=trace)

    def sink(subject: Any, event: Event, now: int) -> None:
        if isinstance(event, Acceptable):
            subject.accept()
        elif isinstance(event, Readable):
            subject.receive(1 << 20, now)

    near, far = world.host("near", "10.0.0.1/24"), world.host("far", "10.0.0.2/24", application=sink)
    world.path(near, far, delay=20 * MILLISECOND, bandwidth=10_000_000)
    for number in lost:
        world.rules.append(dropping(number))
    far.listen(9, world.now)
    connection = near.connect("10.0.0.2", 9, world.now)
    world.run(100 * MILLISECOND)
    rest = OCTETS
    while rest:
        rest -= connection.send(bytes(rest), world.now)
        world.run(world.now + 20 * MILLISECOND)
    world.run(world.now + 2 * SECOND)
    return trace


def exchange(*lengths: int, gap: int = 20) -> Stage:
    """After the handshake one segment of each length from the left, acknowledged."""
    stage, sent = Stage().handshake(), 1
    for number, length in enumerate(lengths):
        stage.crosses(stage.left, stage.packet(stage.left, ACK, sent, 1, b"\0" * length), 30 + gap * number)
        sent += length
        stage.crosses(stage.right, stage.packet(stage.right, ACK, 1, sent), 40 + gap * number)
    return stage


def test_two_hundred_segments_and_more_stay_legible() -> None:
    trace = transfer()
    packets = len(trace.flows[0].packets)
    assert packets > 200
    assert ladder.render(trace).count("\n") < 40
    assert ladder.render(trace, unfold=True).count("\n") > packets


def test_the_row_counts_segments_and_octets_and_says_how_far_they_are_acknowledged() -> None:
    stage = exchange(*[1000] * 12)
    (run,) = fold.runs(stage.trace.flows[0])
    assert (len(run.data), run.octets, run.acknowledged) == (12, 12_000, 12_001)
    text = ladder.render(stage.trace)
    assert "├══ … #4–#27: 12 data segments, 12 KB, acknowledged ═" in text
    assert "len=1000" not in text
    assert "12 个数据报文段，12 KB，均已确认" in ladder.render(stage.trace, language="zh")
    assert "|== ... #4-#27: 12 data segments" in ladder.render(stage.trace, ascii_only=True)


def test_nothing_is_folded_twice_or_left_out() -> None:
    for trace in (transfer(), transfer(30, 60)):
        unfolded = set(re.findall(r"─ #(\d+)", ladder.render(trace, unfold=True)))
        folded = ladder.render(trace)
        runs = [(int(first), int(last)) for first, last in re.findall(r"#(\d+)–#(\d+)", folded)]
        singles = re.findall(r"─ #(\d+)", folded)
        shown = [*map(int, singles), *[number for first, last in runs for number in range(first, last + 1)]]
        assert sorted(shown) == sorted(map(int, unfolded))


def test_a_loss_stays_in_sight() -> None:
    text = ladder.render(transfer(30))
    assert "lost on the way" in text
    assert "retransmission of #30" in text
    assert text.count("data segments") >= 2


def test_a_few_segments_have_room_each() -> None:
    assert fold.runs(exchange(*[1000] * 11).trace.flows[0]) == []


def test_a_silence_a_timer_and_the_other_direction_end_a_run() -> None:
    assert fold.runs(exchange(*[1000] * 20, gap=1100).trace.flows[0]) == []
    stage = exchange(*[1000] * 11)
    stage.expires(stage.left, "persist", 260)
    stage.crosses(stage.left, stage.packet(stage.left, ACK, 11_001, 1, b"\0"), 270)
    assert fold.runs(stage.trace.flows[0]) == []
    stage = exchange(*[1000] * 11)
    stage.crosses(stage.right, stage.packet(stage.right, ACK, 1, 11_001, b"\0"), 270)
    stage.crosses(stage.left, stage.packet(stage.left, ACK, 11_001, 2, b"\0"), 290)
    assert fold.runs(stage.trace.flows[0]) == []


def test_from_the_other_end_and_without_an_answer() -> None:
    stage = Stage().handshake()
    for number in range(12):
        stage.crosses(
            stage.right, stage.packet(stage.right, ACK, 1 + 10 * number, 1, b"\0" * 10), 30 + number
        )
    text = ladder.render(stage.trace)
    assert "│◄══ … #4–#15: 12 data segments, 120 B ═" in text
