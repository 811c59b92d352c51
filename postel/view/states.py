"""State diagram in text, with marks at the states that each end passed.

Each end has a letter, A or B, and its steps have numbers. The marks stand beside the states (``A1`` at the
state that A entered with its first step), and below the diagram each step has a line that says what led to
it. The words of the steps come from `EDGES`, the table of legal transitions by which the state machine runs
(RFC 9293, 3.3.2, figure 5).
"""

from typing import Final

from postel.tcp.state import EDGES, State
from postel.times import MILLISECOND, SECOND
from postel.view.flow import Change, Expiry, Flow
from postel.view.packet import Packet
from postel.view.trace import Trace
from postel.view.width import left, width

# Line of each state's name, and the column of the name's middle. CLOSED stands twice, at the top and at the
# bottom, as in figure 5 of RFC 9293.
_PLACES: Final = {
    State.CLOSED: (0, 38),
    State.LISTEN: (2, 26),
    State.SYN_RECEIVED: (4, 14),
    State.SYN_SENT: (4, 62),
    State.ESTABLISHED: (6, 38),
    State.FIN_WAIT_1: (8, 18),
    State.CLOSE_WAIT: (8, 62),
    State.FIN_WAIT_2: (10, 6),
    State.CLOSING: (10, 30),
    State.LAST_ACK: (10, 62),
    State.TIME_WAIT: (12, 18),
}
_END: Final = (12, 62)  # line and middle column of the second CLOSED
_WAYS: Final = {
    1: "                          ┌───────────┴───────────────────────┐",
    3: "              ┌───────────┴──────────┐                        │",
    5: "              └───────────┬──────────┴────────────────────────┘",
    7: "                  ┌───────┴───────────────────────────────────┐",
    9: "      ┌───────────┴───────────┐                               │",
    11: "      └───────────┬───────────┘                               │",
}
_CALLS: Final = ("OPEN", "CLOSE", "ABORT", "SEND")
_TO_ASCII: Final = str.maketrans("┌┐└┘┴┬─│→", "++++++-|>")


def render(trace: Trace, *, ascii_only: bool = False) -> str:
    """Draw one diagram for each connection of the trace that has changes of state."""
    parts = [_of_flow(flow, trace) for flow in trace.flows if flow.changes]
    text = "\n\n".join(parts)
    return text.translate(_TO_ASCII) if ascii_only else text


def _of_flow(flow: Flow, trace: Trace) -> str:
    start = trace.packets[0].sent_at if trace.packets else 0
    marks: dict[State, list[str]] = {}
    lines: list[str] = []
    for letter, end in zip("AB", flow.ends, strict=True):
        lines.append(f"{letter}  {flow.names.get(end, '')} {end}".rstrip())
        steps = [change for change in flow.changes if change.at == end]
        initial = flow.initial_state(end)
        if initial is not None:
            marks.setdefault(initial, []).append(f"{letter}0")
        for number, change in enumerate(steps, 1):
            marks.setdefault(change.after, []).append(f"{letter}{number}")
            lines.append(f"  {letter}{number:<3}{_clock(change.when - start):>12}  {step(change)}")
    return "\n".join([*_diagram(marks), "", *lines])


def _diagram(marks: dict[State, list[str]]) -> list[str]:
    rows = [_WAYS.get(number, "") for number in range(13)]
    for state, (row, middle) in sorted(_PLACES.items(), key=lambda place: place[1]):
        found = marks.get(state, [])
        if state is State.CLOSED:
            found = [mark for mark in found if mark.endswith("0")]
        rows[row] = _put(rows[row], middle, _label(state, found))
    ended = [mark for mark in marks.get(State.CLOSED, []) if not mark.endswith("0")]
    rows[_END[0]] = _put(rows[_END[0]], _END[1], _label(State.CLOSED, ended))
    return rows


def _label(state: State, marks: list[str]) -> str:
    return f"[{state}: {' '.join(marks)}]" if marks else str(state)


def _put(row: str, middle: int, text: str) -> str:
    """Add a text to a row: centred on the column ``middle``, or further right if the row is longer."""
    begin = max(middle - width(text) // 2, width(row.rstrip()) + 1 if row.strip() else 0)
    return left(row.rstrip(), begin) + text


def step(change: Change) -> str:
    """Text of one step, such as ``CLOSED → SYN-SENT: active OPEN / create TCB, send SYN``.

    If a segment caused the step, the number of its packet follows the event.
    """
    _, event, action = edge(change)
    by = f" (#{change.cause.number})" if isinstance(change.cause, Packet) else ""
    return f"{change.before} → {change.after}: {event}{by}{' / ' + action if action else ''}"


def edge(change: Change) -> tuple[str, str, str]:
    """Id, event and action of the transition in `EDGES` that a change of state took.

    Where several edges join the same two states, the one that fits the change's cause is taken. Where no edge
    joins them, the three texts are empty.
    """
    found = [
        (name, event, action)
        for name, before, event, action, after in EDGES
        if (before, after) == (change.before, change.after)
    ]
    return min(found, key=lambda words: not _is_like(change, words[1]), default=("", "", ""))


def _is_like(change: Change, event: str) -> bool:
    if isinstance(change.cause, Packet):
        return "rcv" in event
    if isinstance(change.cause, Expiry):
        return "timeout" in event
    return any(call in event for call in _CALLS)


def _clock(when: int) -> str:
    return f"{when / MILLISECOND:.3f} ms" if when < SECOND else f"{when / SECOND:.3f} s "
