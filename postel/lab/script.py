"""Run of an experiment as a packetdrill script, which ``postel drill`` passes.

The script has what one host's user did, which packets came to it, and which it must send. A script can tell
of one TCP connection on the stack as it is; other runs, and what packetdrill has no words for, are refused.
"""

from collections.abc import Iterator
from dataclasses import fields
from typing import Final

from postel import drill
from postel.drill.match import Arrived, flags_text
from postel.drill.profile import PROFILES
from postel.errors import ArgumentError, ScriptError
from postel.lab.scene import Call, Machine, Scene
from postel.tcp.config import DEFAULT, Config
from postel.times import NEVER, SECOND
from postel.view.flow import Flow
from postel.view.packet import UNKNOWN, Packet
from postel.wire.segment import ABSENT, ACK, URG, Segment

_CLOCK: Final = 100  # timestamp of each side's first segment
_PROFILE: Final = PROFILES["rfc"]
_MARKS: Final = ("", "[ect1] ", "[ect0] ", "[ce] ")
_FD: Final = 3
_CHILD: Final = 4  # descriptor that accept returns
_SOCKET: Final = f"socket(..., SOCK_STREAM, IPPROTO_TCP) = {_FD}"


def write(scene: Scene, host: str, title: str) -> str:
    """Return the script of a host's side; raises `ArgumentError` where the run can't be written as one."""
    machine = next((found for found in (scene.client, scene.server) if found.name == host), None)
    flows = [flow for flow in scene.trace.flows if any(packet.segment for packet in flow.packets)]
    if machine is None or len(flows) != 1 or len(flows) != len(scene.trace.flows):
        raise ArgumentError("--pkt", scene.title, "a run of a single TCP connection")
    text = "\n".join([f"// {title}", *_lines(scene, machine, flows[0])]) + "\n"
    try:
        outcome = drill.run(drill.parse(text), _PROFILE)
    except ScriptError as error:
        outcome = drill.Outcome("error", error.line, str(error))
    if outcome.result != "passed":
        raise ArgumentError(
            "--pkt",
            scene.title,
            f"a run that a packetdrill script can express (line {outcome.line}: {outcome.message})",
        )
    return text


def _lines(scene: Scene, machine: Machine, flow: Flow) -> Iterator[str]:
    """Yield the lines of the script after its title."""
    yield f"--mtu={scene.mtu}"
    yield from _settings(machine.config)
    writer = _Writer(machine, flow)
    events = [
        (call.order, True, call.when, writer.call(call)) for call in scene.calls if call.host == machine.name
    ]
    for packet in flow.packets:
        if packet.sender == machine.name and not packet.copy:
            events.append((packet.order, False, packet.sent_at, [writer.outbound(packet)]))
        elif packet.receiver == machine.name and packet.arrived_at < NEVER and not packet.damaged:
            events.append((packet.arrival_order, False, packet.arrived_at, [writer.inbound(packet)]))
    at_zero = False
    # A call comes after the packet that was last before it.
    for *_, when, lines in sorted(events, key=lambda event: event[:2]):
        for line in lines:
            if when and not at_zero:
                yield "0.000000 `true`"
            at_zero = True
            yield f"{when / SECOND:.6f} {line}"


def _settings(config: Config) -> Iterator[str]:
    """Yield the settings that differ from the default, as commands that set a system's variables."""
    known = {
        names[0]: (sysctl, unit) for sysctl, (names, unit) in _PROFILE.sysctls.items() if len(names) == 1
    }
    for name in [
        field.name for field in fields(Config) if getattr(config, field.name) != getattr(DEFAULT, field.name)
    ]:
        if name not in known:
            raise ArgumentError("--pkt", name, "settings that a packetdrill script can make")
        sysctl, unit = known[name]
        value = getattr(config, name)
        meaning = {ours: theirs for theirs, ours in _PROFILE.meanings.get(sysctl, {}).items()}
        yield f"0.000000 `sysctl {sysctl}={meaning[value] if value in meaning else int(value) // unit}`"


class _Writer:
    """Writer of calls and segments as packetdrill has them.

    Sequence numbers count from each side's first, as the trace has them; timestamps count from `_CLOCK`.
    """

    def __init__(self, machine: Machine, flow: Flow) -> None:
        self.machine = machine
        self._clocks: dict[str, int] = {}
        self._is_active = any(flow.names.get(end) == machine.name for end in flow.ends[:1])

    @property
    def _fd(self) -> int:
        return _FD if self._is_active else _CHILD

    def call(self, call: Call) -> list[str]:
        """Return the lines of a call; none where packetdrill needs none."""
        fd = self._fd
        if call.error is not None:
            raise ArgumentError("--pkt", call.name, "a run in which every call succeeds")
        if call.name == "send":
            urgent = (
                f"send({fd}, ..., {call.count}, MSG_OOB)"
                if call.is_urgent
                else f"write({fd}, ..., {call.count})"
            )
            return [f"{urgent} = {call.count}"]
        return {
            "listen": [_SOCKET, f"bind({_FD}, ..., ...) = 0", f"listen({_FD}, {call.count}) = 0"],
            "connect": [
                _SOCKET,
                f"fcntl({_FD}, F_SETFL, O_RDWR|O_NONBLOCK) = 0",
                f"connect({_FD}, ..., ...) = -1 EINPROGRESS",
            ],
            "accept": [f"accept({_FD}, ..., ...) = {_CHILD}"],
            "read": [f"read({fd}, ..., {max(call.count, 1)}) = {call.count}"],
            "shutdown": [f"shutdown({fd}, SHUT_WR) = 0"],
            "close": [f"close({fd}) = 0"],
            "abort": [
                f"setsockopt({fd}, SOL_SOCKET, SO_LINGER, {{onoff=1, linger=0}}, 8) = 0",
                f"close({fd}) = 0",
            ],
        }.get(call.name, [])

    def outbound(self, packet: Packet) -> str:
        """Return a segment that the host must send."""
        return "> " + self._segment(packet)

    def inbound(self, packet: Packet) -> str:
        """Return a segment that comes to the host."""
        return "< " + self._segment(packet)

    def _segment(self, packet: Packet) -> str:
        segment = packet.segment
        if segment is None or packet.seq < 0 or (segment.flags & ACK and packet.ack < 0):
            raise ArgumentError("--pkt", f"#{packet.number}", "a segment of the connection in the script")
        size = len(segment.data)
        text = f"{_MARKS[segment.ecn]}{flags_text(segment.flags)} {packet.seq}:{packet.seq + size}({size})"
        if packet.ack != UNKNOWN:
            text += f" ack {packet.ack}"
        text += f" win {segment.window}"
        if segment.flags & URG:
            text += f" urg {segment.urgent}"
        options = [
            self._option(option.name, option.numbers, option.value.hex(), packet)
            for option in Arrived(packet.octets, 0).options
        ]
        return f"{text} <{','.join(options)}>" if options else text

    def _option(self, name: str, numbers: tuple[int, ...], value: str, packet: Packet) -> str:
        if name == "TS" and packet.segment is not None:
            return self._timestamps(packet.segment, packet)
        if name == "sack":
            return "sack " + " ".join(f"{left}:{right}" for left, right in packet.sack)
        return " ".join([name, *map(str, numbers), *([value] if value else [])])

    def _timestamps(self, segment: Segment, packet: Packet) -> str:
        """Return the Timestamps option. A RST without a connection has no clock, so its value is 0."""
        value = (
            0
            if segment.tsval == 0
            else segment.tsval - self._clocks.setdefault(packet.sender, segment.tsval) + _CLOCK
        )
        told = self._clocks.get(packet.receiver, ABSENT)
        echo = segment.tsecr - told + _CLOCK if segment.tsecr and told != ABSENT else 0
        if min(value, echo) < 0:
            raise ArgumentError("--pkt", f"#{packet.number}", "a segment of the connection in the script")
        return f"TS val {value} ecr {echo}"
