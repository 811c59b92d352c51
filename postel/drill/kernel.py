"""Linux as the stack under test, in real time, over a TUN device.

The TUN is in a network namespace of its own. The namespace has no name, and ends with the thread that made
it, however the thread ends. The TUN is its only device, so no packet leaves the namespace. The script is at
the other end of the TUN::

    script, matcher ── TUN ── kernel's TCP ── sockets ── thread inside the namespace
"""

import ctypes
import errno
import os
import re
import select
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Final, TypeVar

from postel.drill import commands
from postel.drill.kernel_sockets import KernelSockets
from postel.drill.match import Arrived
from postel.drill.profile import Profile
from postel.drill.runner import Outcome, judge
from postel.drill.script import Script
from postel.drill.stack import Ends
from postel.errors import LinkError, ScriptError
from postel.links import Link
from postel.links.observer import PacketObserver
from postel.sockets.tcpinfo import state_of
from postel.tcp.state import State
from postel.times import MILLISECOND, NEVER, SECOND
from postel.wire import segment, udp

TOLERANCE: Final = 20 * MILLISECOND  # a machine with other work can't keep to a smaller tolerance
_LONGEST: Final = 60 * SECOND  # the longest wait for a packet that may come at any time (`*`)
_FAREWELL: Final = 2  # seconds to wait at the end for a call that hasn't returned
_CLONE_NEWNET: Final = 0x40000000

_SETTINGS: Final = Path("/proc/sys")  # shows each thread the settings of its own namespace
_TABLES: Final = Path("/proc/thread-self/net")
_VARIABLE: Final = re.compile(r"net\.ipv[46]\.[\w.]+")
_NEW_SYN_RECV: Final = 12

_TOLD: Final = (
    "tcpi_rto",
    "tcpi_snd_mss",
    "tcpi_rcv_mss",
    "tcpi_unacked",
    "tcpi_retrans",
    "tcpi_rtt",
    "tcpi_snd_cwnd",
    "tcpi_total_retrans",
)

Opened = Callable[[Ends], Link]
T = TypeVar("T")


def run(
    script: Script,
    profile: Profile,
    opened: Opened,
    *,
    skipped: Callable[[int, str], None],
    observer: PacketObserver | None = None,
) -> Outcome:
    """Run a script against the kernel.

    ``opened`` makes the TUN, with the kernel's address and a route to the script's address; it is called
    inside the namespace. ``observer`` is called for each packet; the kernel doesn't report states and timers.
    ``skipped`` is called with the line and text of each command that this kernel has no equivalent for.
    Raises LinkError if a privilege or a device is missing.
    """
    inside = Inside()
    made: list[Kernel] = []

    def stack(ends: Ends) -> Kernel:
        try:
            made.append(Kernel(inside, ends, profile, opened, skipped, observer))
        except LinkError as error:
            if error.errno != errno.EINVAL:
                raise
            # The addresses or the MTU of this script aren't possible; those of another script may be
            raise ScriptError(1, "", str(error.strerror)) from error
        return made[0]

    try:
        return judge(script, stack)
    finally:
        for kernel in made:
            kernel.abandon()
        inside.end()
        for kernel in made:
            kernel.close()


class Inside:
    """Thread in a new network namespace, which makes calls there. Other threads may use its sockets."""

    def __init__(self) -> None:
        """Start the thread, and wait until it is in the namespace. Raises LinkError."""
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._done, self._tell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = Thread(target=self._live, name="inside", daemon=True)
        self._entered: Future[None] = Future()
        self._thread.start()
        try:
            self._entered.result()
        except BaseException:
            self.end()
            raise

    def fileno(self) -> int:
        """File descriptor that becomes readable when a call has ended."""
        return self._done

    def clear(self) -> None:
        """Make `fileno` unreadable again."""
        with suppress(BlockingIOError):
            os.read(self._done, 4096)

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Let the thread call ``work``. Returns a future for the result."""
        future: Future[T] = Future()

        def fulfil() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that asks
                future.set_exception(error)

        self._work.put(fulfil)
        return future

    def call(self, work: Callable[[], T]) -> T:
        """Let the thread call ``work``, and return the result."""
        return self.submit(work).result()

    def end(self) -> None:
        """End the thread, and with it the namespace."""
        self._work.put(None)
        self._thread.join(_FAREWELL)
        # If the thread still lives it may write to these; then the end of the process closes them
        if not self._thread.is_alive():
            os.close(self._done)
            os.close(self._tell)

    def _live(self) -> None:
        try:
            _unshare()
        except OSError as error:
            self._entered.set_exception(error)
            return
        self._entered.set_result(None)
        for work in iter(self._work.get, None):
            work()
            with suppress(BlockingIOError):
                os.write(self._tell, b".")


def _unshare() -> None:
    """Give the calling thread a network namespace of its own (`os.unshare` exists from Python 3.12 on)."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        number = ctypes.get_errno()
        raise LinkError(
            number,
            f"no right to make a network namespace ({os.strerror(number)}): run as root, or give "
            "CAP_SYS_ADMIN",
        )


class Tunnel:
    """Link and clock of a script: a TUN device, in real time.

    Only TCP and UDP packets between the two ends count. The kernel also sends others, such as router
    solicitations.
    """

    def __init__(self, link: Link, inside: Inside, ends: Ends, observer: PacketObserver | None) -> None:
        """Use ``link``. A file descriptor of ``inside`` ends a wait when a call ends."""
        self.sent: deque[Arrived] = deque()
        self.on_step: Callable[[], None] = _nothing
        self._link = link
        self._inside = inside
        self._ends = ends
        self._observer = observer
        self._start = time.monotonic_ns()

    @property
    def now(self) -> int:
        """Time in microseconds since `begin`."""
        return (time.monotonic_ns() - self._start) // 1000

    def begin(self) -> None:
        """Set the script's time to 0."""
        self._start = time.monotonic_ns()

    def inject(self, octets: bytes) -> None:
        """Send a packet to the kernel."""
        if self._observer is not None:
            self._observer.packet_arrived(octets, self.now)
        self._link.send(octets, b"", self.now)
        self.pump()

    def pump(self) -> None:
        """Take packets that have left the kernel, and call ``on_step``."""
        self._take()
        self.on_step()

    def advance(self, until: int) -> None:
        """Wait until the time ``until``, and take packets meanwhile."""
        while self.step(until):
            pass

    def step(self, until: int) -> bool:
        """Wait for a packet or the end of a call, but not beyond the time ``until``.

        Returns whether one of them came.
        """
        happened = self.wait(until if until < NEVER - 1 else self.now + _LONGEST)
        if happened:
            self.pump()
        return happened

    def wait(self, until: int) -> bool:
        """Wait for a packet or the end of a call, but not beyond the time ``until``."""
        descriptors = [end.fileno() or 0 for end in (self._link, self._inside)]
        ready, _, _ = select.select(descriptors, (), (), max(0, until - self.now) / SECOND)
        self._inside.clear()
        self._take()
        return bool(ready)

    # The interface `Worker` of kernel_sockets

    def submit(self, work: Callable[[], int]) -> Future[int]:
        """Let the thread inside the namespace call ``work``."""
        return self._inside.submit(work)

    def wait_for(self, future: Future[int], patience: int) -> bool:
        """Wait for the end of a call, at most ``patience`` microseconds. Returns whether it has ended."""
        until = self.now + patience
        while not future.done() and self.now < until:
            self.wait(until)
        return future.done()

    def _take(self) -> None:
        while octets := self._link.receive(self.now):
            if not self._counts(octets):
                continue
            if self._observer is not None:
                self._observer.packet_sent(octets, self.now)
            self.sent.append(Arrived(octets, self.now))

    def _counts(self, octets: bytes) -> bool:
        local, remote = self._ends.local.address, self._ends.remote.address
        protocol_at, addresses_at = (9, 12) if octets[0] >> 4 == 4 else (6, 8)
        addresses = octets[addresses_at : addresses_at + 2 * len(local)]
        return octets[protocol_at] in (segment.PROTOCOL, udp.PROTOCOL) and addresses == local + remote


class Kernel:
    """Linux as the stack under test."""

    tolerance = TOLERANCE

    def __init__(
        self,
        inside: Inside,
        ends: Ends,
        profile: Profile,
        opened: Opened,
        skipped: Callable[[int, str], None],
        observer: PacketObserver | None,
    ) -> None:
        """Open the link inside the namespace, and set the script's time to 0."""
        self._inside = inside
        self._link = inside.call(lambda: opened(ends))
        self.network: Tunnel = Tunnel(self._link, inside, ends, observer)
        self.sockets: KernelSockets = KernelSockets(
            self.network, ends.local, ends.remote, profile.nonblocking
        )
        self._skipped = skipped
        self.network.begin()

    def command(self, text: str, line: int) -> None:
        """Carry out a command without a shell.

        Settings are written below /proc/sys, questions are answered from the kernel's tables, and other
        commands are skipped.
        """
        for part in filter(None, map(str.strip, text.split(";"))):
            setting = commands.SYSCTL.match(part)
            question = commands.SOCKSTAT.match(part)
            if question is not None:
                commands.ask(question, self._count, line)
            elif setting is None or not self._set(setting[1], setting[2], line):
                self._skipped(line, part)

    def information(self) -> dict[str, object]:
        """Fields of `tcp_info` of the newest connection."""
        return self.sockets.information()

    def describe(self) -> str:
        """State of the newest connection, for human readers."""
        try:
            told = self.sockets.information()
        except OSError as error:
            return str(error)
        state = state_of(int(str(told["tcpi_state"])))
        return ", ".join(
            [str(state), *[f"{name.removeprefix('tcpi_')}={told[name]}" for name in told if name in _TOLD]]
        )

    def abandon(self) -> None:
        """End each call that still waits, so that the thread of the namespace can end."""
        self.sockets.abandon()

    def close(self) -> None:
        """Close sockets and link."""
        self.sockets.close()
        self._link.close()

    def _set(self, name: str, value: str, line: int) -> bool:
        """Write a setting of the namespace. Raises ScriptError if the kernel refuses the value.

        Returns False where this kernel lacks the setting, and for settings outside net.ipv4 and net.ipv6.
        """
        if not _VARIABLE.fullmatch(name):
            return False
        try:
            self._inside.call(lambda: (_SETTINGS / name.replace(".", "/")).write_text(value))
        except FileNotFoundError:
            return False
        except OSError as error:
            raise ScriptError(
                line, f"{name}={value}", f"the kernel refuses this ({error.strerror})"
            ) from error
        return True

    def _count(self, state: State, port: int) -> int:
        if state is State.CLOSED:
            return self.sockets.closed()
        return self._inside.call(
            lambda: sum(found is state and port in (0, local) for local, found in _connections())
        )


def _connections() -> Iterator[tuple[int, State]]:
    """Iterate over local port and state of each connection in the namespace of the calling thread."""
    for table in ("tcp", "tcp6"):
        for line in (_TABLES / table).read_text().splitlines()[1:]:
            _, local, _, number, *_ = line.split()
            state = state_of(int(number, 16)) if int(number, 16) != _NEW_SYN_RECV else State.SYN_RECEIVED
            yield int(local.rpartition(":")[2], 16), state


def _nothing() -> None:
    pass
