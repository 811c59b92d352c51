"""Runs a script: its events, one after another, against a stack.

Theory of operation. Each event has a time. The runner advances the stack's clock to that time, and then:

- gives an inbound packet to the stack;
- compares an outbound packet with the next one that has left the stack, or waits for one. The packet's time
  may differ by a tolerance;
- makes a system call. A call that blocks is tried again whenever something has happened, until it returns.
  The time at which it returns is compared, too;
- carries out a command, or evaluates a code block.

The first difference ends the script with ScriptFailed.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from postel.drill import code, match, octets, rules
from postel.drill.calls import Attempt, Waits
from postel.drill.constants import value
from postel.drill.flow import Flow
from postel.drill.match import Arrived
from postel.drill.profile import Profile
from postel.drill.rules import Cause
from postel.drill.script import (
    ANY,
    Action,
    Anchor,
    Call,
    Code,
    Command,
    Datagram,
    Event,
    Icmp,
    Packet,
    Script,
)
from postel.drill.stack import Ends, Stack
from postel.drill.virtual import Virtual
from postel.errors import ArgumentError, PostelError, ScriptError, ScriptFailed
from postel.sim.witness import Witness
from postel.tcp import seq
from postel.tcp.state import CLOSED
from postel.times import NEVER, SECOND
from postel.wire.address import Endpoint, parse
from postel.wire.segment import ACK, FIN, RST, SYN

TOLERANCE: Final = 4000  # microseconds of tolerance, if the script has no option for it
PATIENCE: Final = 2 * SECOND  # the longest wait for a packet after the time at which it is due
LOCAL_PORT: Final = 8080
REMOTE_PORT: Final = 8080
# The stack's address, the script's, and the prefix length of their network
_ADDRESSES: Final = {
    "ipv4": ("192.168.0.1", "192.0.2.1", 16),
    "ipv6": ("fd3d:fa7b:d17d::1", "2001:db8::1", 64),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a script.

    It has these attributes:
        result: "passed", "failed", or "error" if the script can't be understood, which says nothing about the
            stack.
        line: the number of the line that failed, or 0.
        message: the failure in words.
        failure: the exception.
        state: the connection at the time of the failure, for human readers.
        rule: the rule of the RFCs that applied, if it is known.
    """

    result: str
    line: int = 0
    message: str = ""
    failure: PostelError | None = None
    state: str = ""
    rule: str = ""


def run(script: Script, profile: Profile, *, witness: Witness | None = None) -> Outcome:
    """Run a script against Postel. The outcome is always the same, on any machine.

    ``witness`` is an observer that learns of packets, states and timers.
    """
    return judge(script, lambda ends: Virtual(ends, profile, witness))


def judge(script: Script, stack: Callable[[Ends], Stack]) -> Outcome:
    """Run a script against a stack, which ``stack`` makes for the two ends of the link."""
    runner: Runner | None = None
    try:
        ends = ends_of(script)
        runner = Runner(script, stack(ends), ends)
        runner.run()
    except ScriptFailed as failure:
        state, rule = (runner.describe(), runner.rule(failure)) if runner else ("", "")
        return Outcome("failed", failure.line, str(failure), failure, state, rule)
    except ScriptError as error:
        return Outcome("error", error.line, str(error), error)
    except ArgumentError as error:  # the script asks for a value that isn't allowed on any stack
        return Outcome("error", runner.line if runner else 0, str(error), error)
    except AssertionError as broken:  # an invariant of the stack is broken
        problem = ScriptFailed(runner.line if runner else 0, "invariant", "true", broken)
        return Outcome("failed", problem.line, str(problem), problem)
    return Outcome("passed")


def ends_of(script: Script) -> Ends:
    """Ends of the link: as in the script's options, else by default."""
    local, remote, prefix_length = _ADDRESSES[
        "ipv6" if script.options.get("ip_version") == "ipv6" else "ipv4"
    ]
    return Ends(
        Endpoint(parse(script.options.get("local_ip", local)), LOCAL_PORT),
        Endpoint(parse(script.options.get("remote_ip", remote)), REMOTE_PORT),
        prefix_length,
        _number(script, "mtu", 1500),
        script.options.get("tcp_md5_secret", "").encode(),
    )


class Runner:
    """Runs one script against one stack."""

    def __init__(self, script: Script, stack: Stack, ends: Ends) -> None:
        """Prepare to run a script from its first event."""
        self._script = script
        self._stack = stack
        self._tolerance = max(_number(script, "tolerance_usecs", TOLERANCE), stack.tolerance)
        self._tick = _number(script, "tcp_ts_tick_usecs", 0)
        self._local = ends.local
        self._remote = ends.remote
        self._network = stack.network
        self._network.on_step = self._retry
        self._sockets = stack.sockets
        self._sockets.on_open = self._begin_flow
        self._secret = ends.secret
        self._flow = Flow(self._local, self._remote, self._secret)
        self._flows: dict[tuple[int, int], Flow] = {}
        self._names: dict[str, object] = {}
        self._event: Event | None = None
        self._previous_at = 0
        self._blocked: _Blocked | None = None
        self._cause: Cause | None = None
        self._acknowledged: int | None = None  # the latest ACK of the stack in the packets compared so far
        self._looked_at = 0  # time at which the packet compared last left or should have left

    def run(self) -> None:
        """Run all events. Raises ScriptFailed, ScriptError."""
        for event in self._script.events:
            self._event = event
            due = self._due(event)
            try:
                self._perform(event, due)
            except (ScriptFailed, ScriptError) as problem:
                problem.line = problem.line or event.line
                raise
            self._previous_at = max(self._network.now, due if due < NEVER else 0)
        self._finish_blocked()

    @property
    def line(self) -> int:
        """Line of the current event."""
        return self._event.line if self._event is not None else 0

    def describe(self) -> str:
        """Connection under test, and the packets that no event has expected yet, for human readers."""
        described = self._stack.describe()
        lines = [described] if described else []
        lines += [
            f"sent at {found.sent_at / SECOND:.6f}: {match.text(found, self._flow)}"
            for found in self._network.sent
        ]
        return "\n".join(lines)

    # The rule that applied when the script failed

    def rule(self, failure: ScriptFailed) -> str:
        """Rule of the RFCs for a failure; "" if no rule is known."""
        cause = self._cause
        action = self._event.action if self._event is not None else None
        looks = failure.field in rules.FIELDS or failure.field == "options"
        if (
            cause is not None
            and isinstance(action, Packet)
            and not looks
            and self._looked_at > cause.at + self._tolerance
        ):
            return rules.name_of_timer(action, cause, self._looked_at)
        return rules.name(failure, cause)

    def _caused(self, what: str, flow: Flow, *, window: int = ANY) -> None:
        if isinstance(self._stack, rules.Watched):
            state = CLOSED if what in rules.OPENS else self._stack.state(flow.local, flow.remote)
            is_shut = window == 0 if window != ANY else self._cause is not None and self._cause.window_is_shut
            self._cause = Cause(state, what, self._network.now, is_shut)

    def _kind(self, packet: Packet, flow: Flow) -> str:
        """Word for an inbound segment: "duplicate" if the stack has acknowledged all of it already."""
        if packet.flags & (RST | SYN) or packet.absolute or self._acknowledged is None:
            return rules.kind(packet)
        start = flow.remote_to_live(packet.seq)
        size = packet.length + (packet.flags & FIN != 0)
        is_old = seq.lt(start, self._acknowledged) and seq.le(seq.add(start, size), self._acknowledged)
        return "duplicate" if is_old else rules.kind(packet)

    # Times

    def _due(self, event: Event) -> int:
        when = event.when
        if when.anchor is Anchor.ANY:
            return NEVER
        return when.time + (self._network.now if when.anchor is Anchor.RELATIVE else 0)

    def _allowed(self, due: int) -> int:
        """Tolerance: the script's, or an eighth of the time since the previous event if that is more."""
        return max(self._tolerance, (due - self._previous_at) // 8)

    def _wait(self, event: Event, due: int) -> None:
        """Advance to the event's time ``due``. Raises ScriptFailed if that time is over already."""
        now = self._network.now
        if due == NEVER:
            return
        if now > due + self._allowed(due):
            raise ScriptFailed(
                event.line, "time", _seconds(due), f"{_seconds(now)}, when the event before was over", "time"
            )
        self._network.advance(due)

    # Events

    def _perform(self, event: Event, due: int) -> None:
        action = event.action
        if isinstance(action, Packet | Datagram) and not action.inbound:
            self._expect(action, event, due)
            return
        self._wait(event, due)
        if isinstance(action, Packet):
            flow = self._flow_of(action.destination_port, action.source_port)
            segment = octets.segment(action, flow, event.line)
            self._caused(self._kind(action, flow), flow, window=action.window)
            self._network.inject(segment)
        elif isinstance(action, Datagram):
            self._network.inject(
                octets.datagram(action, self._flow_of(action.destination_port, action.source_port))
            )
        elif isinstance(action, Icmp):
            self._caused("ICMP", self._flow)
            self._network.inject(octets.icmp(action, self._flow, event.line))
        else:
            self._perform_locally(action, event, due)

    def _perform_locally(self, action: Action, event: Event, due: int) -> None:
        if isinstance(action, Call):
            self._call(action, event, due)
        elif isinstance(action, Command):
            self._stack.command(action.text, event.line)
        elif isinstance(action, Code):
            self._names.update(self._stack.information())
            code.execute(action.text, self._names, event.line)

    # Packets

    def _begin_flow(self, local: Endpoint, remote: Endpoint) -> None:
        """Note a connection that `connect` or `listen` begins. Later packets without ports belong to it."""
        self._flow = self._flows[local.port, remote.port] = Flow(local, remote, self._secret)

    def _flow_of(self, local_port: int, remote_port: int) -> Flow:
        """Connection of a packet by the packet's ports; without ports, the newest connection."""
        if local_port == ANY:
            return self._flow
        ports = local_port, remote_port
        if ports not in self._flows:
            ends = self._local._replace(port=local_port), self._remote._replace(port=remote_port)
            self._flows[ports] = Flow(*ends, self._secret)
        return self._flows[ports]

    def _expect(self, packet: Packet | Datagram, event: Event, due: int) -> None:
        latest = self._latest(event, due)
        arrived = self._next(latest + PATIENCE if latest < NEVER else NEVER)
        self._looked_at = max(due if due < NEVER else 0, arrived.sent_at if arrived is not None else 0)
        if arrived is None:
            raise ScriptFailed(event.line, "packet", "this one", "none", "packet")
        flow = self._flow_of(packet.source_port, packet.destination_port)
        if isinstance(packet, Packet):
            self._compare(packet, arrived, flow, event.line)
        else:
            match.check_datagram(packet, arrived, flow, event.line)
        self._check_time(event, due, latest, arrived.sent_at)

    def _compare(self, packet: Packet, arrived: Arrived, flow: Flow, line: int) -> None:
        while len(arrived.segment.data) < packet.length and self._continues(arrived):
            arrived = _joined(arrived, self._network.sent.popleft())
        if arrived.segment.flags & ACK:
            self._acknowledged = arrived.segment.ack
        match.check(packet, arrived, flow, line, tick=self._tick)

    def _latest(self, event: Event, due: int) -> int:
        """End of the event's range of times; if it has no range, its time ``due``."""
        return due if event.when.latest == ANY or due == NEVER else due + event.when.latest - event.when.time

    def _next(self, until: int) -> Arrived | None:
        while not self._network.sent:
            if not self._network.step(until if until < NEVER else NEVER - 1):
                return None
        return self._network.sent.popleft()

    def _continues(self, arrived: Arrived) -> bool:
        """Whether the next packet that left the stack continues the data of ``arrived``."""
        if not self._network.sent or not arrived.segment.data:
            return False
        following = self._network.sent[0].segment
        end = arrived.segment.seq + len(arrived.segment.data) & 0xFFFFFFFF
        return following.seq == end and len(following.data) > 0

    def _check_time(self, event: Event, due: int, latest: int, actual: int) -> None:
        if due == NEVER:
            return
        allowed = self._allowed(due)
        if not due - allowed <= actual <= latest + allowed:
            raise ScriptFailed(event.line, "time", _seconds(due), _seconds(actual), "time")

    # Calls

    def _call(self, call: Call, event: Event, due: int) -> None:
        self._finish_blocked()
        if call.name in rules.CALLS:
            self._caused(call.name, self._flow)
        ends = event.when.ends
        attempt = Attempt(call, may_block=ends != ANY)
        if ends != ANY:
            end = due + ends - event.when.time if event.when.anchor is Anchor.RELATIVE else ends
            self._blocked = _Blocked(attempt, event, due, end)
            self._retry()
            self._network.pump()
            return
        try:
            self._check(attempt, event.line)
        except Waits:
            raise ScriptFailed(
                event.line,
                "result",
                _result(call),
                "it blocks, and the script gives no time for its end",
                "=",
            ) from None
        self._network.pump()

    def _check(self, attempt: Attempt, line: int) -> None:
        """Make a call, and compare its result. Raises Waits if the call still blocks."""
        call = attempt.call
        error = ""
        try:
            result = self._sockets.call(attempt)
        except OSError as raised:
            result = -1
            error = errno.errorcode.get(raised.errno or 0, str(raised))
        expected = value(call.result, {})
        if expected is not ... and expected != result:
            raise ScriptFailed(line, "result", _result(call), f"{result} {error}".strip(), "=")
        if call.error and _number_of(call.error) != _number_of(error):
            raise ScriptFailed(line, "errno", call.error, error or "none", call.error)

    def _retry(self) -> None:
        """Try the blocking call again, because something has happened."""
        blocked = self._blocked
        if blocked is None:
            return
        try:
            self._check(blocked.attempt, blocked.event.line)
        except Waits:
            blocked.attempt.is_repeated = True
            return
        except (ScriptFailed, ScriptError) as problem:
            problem.line = problem.line or blocked.event.line
            raise
        self._blocked = None
        now = self._network.now
        if abs(now - blocked.ends) > max(self._tolerance, (blocked.ends - blocked.due) // 8):
            raise ScriptFailed(
                blocked.event.line, "time of return", _seconds(blocked.ends), _seconds(now), "..."
            )
        self._network.pump()

    def _finish_blocked(self) -> None:
        """Wait for the blocking call before another one is made: a thread makes one call at a time."""
        blocked = self._blocked
        if blocked is None:
            return
        until = blocked.ends + max(self._tolerance, (blocked.ends - blocked.due) // 8)
        while self._blocked is not None and self._network.step(until):
            pass
        if self._blocked is not None:
            raise ScriptFailed(
                blocked.event.line,
                "time of return",
                _seconds(blocked.ends),
                f"still blocked at {_seconds(until)}",
                "...",
            )


@dataclass(slots=True)
class _Blocked:
    """Call that blocks, with the time at which it should return."""

    attempt: Attempt
    event: Event
    due: int
    ends: int


def _joined(first: Arrived, second: Arrived) -> Arrived:
    """Two segments as one, as if the stack hadn't cut the data."""
    first.segment.append(second.segment.data, second.segment.flags)
    return first


def _number(script: Script, name: str, default: int) -> int:
    text = script.options.get(name, str(default))
    if not text.isdigit():
        raise ScriptError(1, f"--{name}={text}", "expected a number")
    return int(text)


def _number_of(name: str) -> int:
    return int(getattr(errno, name, 0))


def _result(call: Call) -> str:
    text = getattr(call.result, "text", call.result)
    return f"{'...' if text is ... else text} {call.error}".strip()


def _seconds(time: int) -> str:
    return f"{time / SECOND:.6f} s"
