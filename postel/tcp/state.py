"""The eleven states and every legal transition between them (RFC 9293, 3.3.2, figure 5, and its notes).

`Tcb.enter` refuses a pair of states that isn't in ``EDGES``. The state diagram is drawn from this table, and
the exhaustive test of states and segments walks it. The ids are those of the requirements. Transitions with
an F are drawn in the RFC's figure 5; those with an N come from its notes, its text, or RFC 1122, 5961, 1337
and 6191. N45, which holds a pair in TIME-WAIT after an abort, is an option that Postel doesn't take (D-11).
"""

from enum import Enum
from typing import Final


class State(Enum):
    """State of a connection (RFC 9293, 3.3.2). The value, and ``str()``, is the RFC's spelling."""

    CLOSED = "CLOSED"
    LISTEN = "LISTEN"
    SYN_SENT = "SYN-SENT"
    SYN_RECEIVED = "SYN-RECEIVED"
    ESTABLISHED = "ESTABLISHED"
    FIN_WAIT_1 = "FIN-WAIT-1"
    FIN_WAIT_2 = "FIN-WAIT-2"
    CLOSE_WAIT = "CLOSE-WAIT"
    CLOSING = "CLOSING"
    LAST_ACK = "LAST-ACK"
    TIME_WAIT = "TIME-WAIT"

    def __str__(self) -> str:
        """Name of the state in the RFC's spelling: "SYN-SENT"."""
        return str(self.value)


# Constants of the module, because a look-up of `State.X` takes three times as long.
CLOSED: Final = State.CLOSED
LISTEN: Final = State.LISTEN
SYN_SENT: Final = State.SYN_SENT
SYN_RECEIVED: Final = State.SYN_RECEIVED
ESTABLISHED: Final = State.ESTABLISHED
FIN_WAIT_1: Final = State.FIN_WAIT_1
FIN_WAIT_2: Final = State.FIN_WAIT_2
CLOSE_WAIT: Final = State.CLOSE_WAIT
CLOSING: Final = State.CLOSING
LAST_ACK: Final = State.LAST_ACK
TIME_WAIT: Final = State.TIME_WAIT

# The table is a text, because mypyc turns a literal with 67 tuples into one function of 29,000 lines of C,
# for which a C compiler needs minutes.
#
# id | from | what happens | what is done | to
_TABLE: Final = """
F1  | CLOSED       | passive OPEN                              | create TCB                     | LISTEN
F2  | CLOSED       | active OPEN                               | create TCB, send SYN           | SYN_SENT
F3  | LISTEN       | CLOSE                                     | delete TCB                     | CLOSED
F4  | LISTEN       | SEND (remote known)                       | send SYN                       | SYN_SENT
F5  | LISTEN       | rcv SYN                                   | send SYN,ACK                   | SYN_RECEIVED
F6  | SYN_SENT     | CLOSE                                     | delete TCB                     | CLOSED
F7  | SYN_SENT     | rcv SYN (no ACK)                          | send SYN,ACK                   | SYN_RECEIVED
F8  | SYN_SENT     | rcv SYN,ACK                               | send ACK                       | ESTABLISHED
F9  | SYN_RECEIVED | rcv RST, passive                          | flush                          | LISTEN
F10 | SYN_RECEIVED | rcv ACK of SYN                            |                                | ESTABLISHED
F11 | SYN_RECEIVED | CLOSE                                     | send FIN                       | FIN_WAIT_1
F12 | ESTABLISHED  | CLOSE                                     | send FIN                       | FIN_WAIT_1
F13 | ESTABLISHED  | rcv FIN                                   | send ACK                       | CLOSE_WAIT
F14 | FIN_WAIT_1   | rcv ACK of FIN                            |                                | FIN_WAIT_2
F15 | FIN_WAIT_1   | rcv FIN                                   | send ACK                       | CLOSING
F16 | FIN_WAIT_2   | rcv FIN                                   | send ACK, start 2MSL           | TIME_WAIT
F17 | CLOSING      | rcv ACK of FIN                            | start 2MSL                     | TIME_WAIT
F18 | CLOSE_WAIT   | CLOSE                                     | send FIN                       | LAST_ACK
F19 | LAST_ACK     | rcv ACK of FIN                            | delete TCB                     | CLOSED
F20 | TIME_WAIT    | 2MSL timeout                              | delete TCB                     | CLOSED
N1  | FIN_WAIT_1   | rcv FIN that also acks our FIN            | send ACK, start 2MSL           | TIME_WAIT
N2  | LISTEN       | active OPEN                               | send SYN                       | SYN_SENT
N3  | SYN_SENT     | rcv RST with acceptable ACK               | signal reset/refused           | CLOSED
N4  | SYN_RECEIVED | rcv RST, active                           | signal refused                 | CLOSED
N5  | SYN_RECEIVED | rcv in-window SYN, passive                | drop half-open                 | LISTEN
N6  | SYN_RECEIVED | rcv ACK of SYN with FIN                   | send ACK                       | CLOSE_WAIT
N7  | SYN_SENT     | rcv SYN,ACK with FIN                      | send ACK                       | CLOSE_WAIT
N8  | ESTABLISHED  | rcv exact RST                             | signal reset                   | CLOSED
N9  | FIN_WAIT_1   | rcv exact RST                             | signal reset                   | CLOSED
N10 | FIN_WAIT_2   | rcv exact RST                             | signal reset                   | CLOSED
N11 | CLOSE_WAIT   | rcv exact RST                             | signal reset                   | CLOSED
N12 | CLOSING      | rcv exact RST                             | delete TCB                     | CLOSED
N13 | LAST_ACK     | rcv exact RST                             | delete TCB                     | CLOSED
N14 | TIME_WAIT    | rcv RST, rfc1337 off                      | delete TCB                     | CLOSED
N15 | TIME_WAIT    | rcv RST, rfc1337 on                       | ignore                         | TIME_WAIT
N16 | TIME_WAIT    | rcv FIN again                             | send ACK, restart 2MSL         | TIME_WAIT
N17 | TIME_WAIT    | rcv acceptable new SYN                    | new ISS, send SYN,ACK          | SYN_RECEIVED
N18 | LISTEN       | ABORT                                     | delete TCB                     | CLOSED
N19 | SYN_SENT     | ABORT                                     | delete TCB, no RST             | CLOSED
N20 | SYN_RECEIVED | ABORT                                     | send RST                       | CLOSED
N21 | ESTABLISHED  | ABORT                                     | send RST                       | CLOSED
N22 | FIN_WAIT_1   | ABORT                                     | send RST                       | CLOSED
N23 | FIN_WAIT_2   | ABORT                                     | send RST                       | CLOSED
N24 | CLOSE_WAIT   | ABORT                                     | send RST                       | CLOSED
N25 | CLOSING      | ABORT                                     | no RST                         | CLOSED
N26 | LAST_ACK     | ABORT                                     | no RST                         | CLOSED
N27 | TIME_WAIT    | ABORT                                     | no RST                         | CLOSED
N28 | SYN_SENT     | R2 / user timeout, or hard ICMP           | signal timed out / unreachable | CLOSED
N29 | SYN_RECEIVED | R2 / user timeout, active                 | signal timed out               | CLOSED
N30 | SYN_RECEIVED | R2, passive                               | delete child silently          | LISTEN
N31 | ESTABLISHED  | R2 / user timeout / keep-alive failure    | signal timed out               | CLOSED
N32 | FIN_WAIT_1   | R2 / user timeout                         | signal timed out               | CLOSED
N33 | CLOSE_WAIT   | R2 / user timeout / keep-alive failure    | signal timed out               | CLOSED
N34 | CLOSING      | R2 / user timeout                         | delete TCB                     | CLOSED
N35 | LAST_ACK     | R2 / user timeout                         | delete TCB                     | CLOSED
N36 | FIN_WAIT_2   | orphan idle timeout or keep-alive failure | delete TCB                     | CLOSED
N37 | ESTABLISHED  | close with unread data (half-duplex)      | send RST                       | CLOSED
N38 | CLOSE_WAIT   | close with unread data (half-duplex)      | send RST                       | CLOSED
N39 | FIN_WAIT_1   | text after half-duplex close              | send RST                       | CLOSED
N40 | FIN_WAIT_2   | text after half-duplex close              | send RST                       | CLOSED
N41 | FIN_WAIT_1   | rcv text, not FIN                         | send ACK                       | FIN_WAIT_1
N42 | CLOSING      | rcv duplicate FIN                         | send ACK                       | CLOSING
N43 | LAST_ACK     | rcv duplicate FIN                         | send ACK                       | LAST_ACK
N44 | CLOSE_WAIT   | rcv duplicate FIN                         | send ACK                       | CLOSE_WAIT
N46 | SYN_RECEIVED | rcv bad ACK                               | send RST                       | SYN_RECEIVED
N47 | SYN_SENT     | rcv bad ACK                               | send RST                       | SYN_SENT
N48 | LISTEN       | rcv ACK                                   | send RST                       | LISTEN
"""


def _edges() -> tuple[tuple[str, State, str, str, State], ...]:
    """Return the rows of the table as tuples."""
    edges: list[tuple[str, State, str, str, State]] = []
    for line in _TABLE.strip().splitlines():
        name, before, event, action, after = [cell.strip() for cell in line.split("|")]
        edges.append((name, State[before], event, action, State[after]))
    return tuple(edges)


EDGES: Final = _edges()


def _successors() -> dict[State, tuple[State, ...]]:
    """Return for each state the states that may follow it."""
    table: dict[State, tuple[State, ...]] = {}
    for _, before, _, _, after in EDGES:
        table[before] = (*table.get(before, ()), after)
    return table


SUCCESSORS: Final = _successors()
