"""Linux as the stack under test, in real time: over a TUN, in a network namespace of this machine that has no
name and ends with the thread that made it, however that ends. Nothing leaves it: all there is is a TUN, and
its other end is the script.

::

    script, matcher ── TUN ── kernel's TCP ── sockets ── the thread, which is alone inside
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

TOLERANCE: Final = 20 * MILLISECOND  # a machine that others use too can't be held to less
_LONGEST: Final = 60 * SECOND  # a packet at `*` is waited for
_FAREWELL: Final = 2  # seconds, for a call that hangs
_CLONE_NEWNET: Final = 0x40000000

_SETTINGS: Final = Path("/proc/sys")  # shows each thread its own namespace's
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
    """``opened`` makes the TUN with the kernel's address on it and a route to the script's; it is called
    inside the namespace.

    ``observer`` sees the packets; of states and timers the kernel says nothing. ``skipped`` is told the line
    and text of commands that this kernel has nothing for. Raises LinkError where a right or a device is
    missing.
    """
    inside = Inside()
    made: list[Kernel] = []

    def stack(ends: Ends) -> Kernel:
        try:
            made.append(Kernel(inside, ends, profile, opened, skipped, observer))
        except LinkError as error:
            if error.errno != errno.EINVAL:
                raise
            raise ScriptError(
                1, "", str(error.strerror)
            ) from error  # of these addresses or this MTU: another script's may do
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
    """A thread in a new network namespace, and what is done there. Others may use the sockets that it
    made.
    """

    def __init__(self) -> None:
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
        """Readable when something was done."""
        return self._done

    def clear(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._done, 4096)

    def submit(self, work: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()

        def fulfil() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001  # raised again in the thread that asks
                future.set_exception(error)

        self._work.put(fulfil)
        return future

    def call(self, work: Callable[[], T]) -> T:
        return self.submit(work).result()

    def end(self) -> None:
        self._work.put(None)
        self._thread.join(_FAREWELL)
        if not self._thread.is_alive():  # else it may still tell; the process's end closes them
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
    """The calling thread alone gets a network namespace of its own (`os.unshare` comes with Python 3.12)."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        number = ctypes.get_errno()
        raise LinkError(
            number,
            f"no right to make a network namespace ({os.strerror(number)}): run as root, or give "
            "CAP_SYS_ADMIN",
        )


class Tunnel:
    """The wire: the TUN and the clock. Only TCP and UDP between the two ends count, not what a kernel says to
    its neighbours.
    """

    def __init__(self, link: Link, inside: Inside, ends: Ends, observer: PacketObserver | None) -> None:
        self.sent: deque[Arrived] = deque()
        self.on_step: Callable[[], None] = _nothing
        self._link = link
        self._inside = inside
        self._ends = ends
        self._observer = observer
        self._start = time.monotonic_ns()

    @property
    def now(self) -> int:
        return (time.monotonic_ns() - self._start) // 1000

    def begin(self) -> None:
        """The script's time is 0."""
        self._start = time.monotonic_ns()

    def inject(self, octets: bytes) -> None:
        if self._observer is not None:
            self._observer.packet_arrived(octets, self.now)
        self._link.send(octets, b"", self.now)
        self.pump()

    def pump(self) -> None:
        self._take()
        self.on_step()

    def advance(self, until: int) -> None:
        while self.step(until):
            pass

    def step(self, until: int) -> bool:
        happened = self.wait(until if until < NEVER - 1 else self.now + _LONGEST)
        if happened:
            self.pump()
        return happened

    def wait(self, until: int) -> bool:
        """For a packet, or for a call that returns; not longer than to ``until``."""
        descriptors = [end.fileno() or 0 for end in (self._link, self._inside)]
        ready, _, _ = select.select(descriptors, (), (), max(0, until - self.now) / SECOND)
        self._inside.clear()
        self._take()
        return bool(ready)

    # What KernelSockets asks of its worker

    def submit(self, work: Callable[[], int]) -> Future[int]:
        return self._inside.submit(work)

    def wait_for(self, future: Future[int], patience: int) -> bool:
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
    """The stack: Linux."""

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
        self._inside = inside
        self._link = inside.call(lambda: opened(ends))
        self.network: Tunnel = Tunnel(self._link, inside, ends, observer)
        self.sockets: KernelSockets = KernelSockets(
            self.network, ends.local, ends.remote, profile.nonblocking
        )
        self._skipped = skipped
        self.network.begin()

    def command(self, text: str, line: int) -> None:
        """Nothing is given to a shell: settings are written, questions answered from the kernel's tables, the
        rest is skipped.
        """
        for part in filter(None, map(str.strip, text.split(";"))):
            setting = commands.SYSCTL.match(part)
            question = commands.SOCKSTAT.match(part)
            if question is not None:
                commands.ask(question, self._count, line)
            elif setting is None or not self._set(setting[1], setting[2], line):
                self._skipped(line, part)

    def information(self) -> dict[str, object]:
        return self.sockets.information()

    def describe(self) -> str:
        try:
            told = self.sockets.information()
        except OSError as error:
            return str(error)
        state = state_of(int(str(told["tcpi_state"])))
        return ", ".join(
            [str(state), *[f"{name.removeprefix('tcpi_')}={told[name]}" for name in told if name in _TOLD]]
        )

    def abandon(self) -> None:
        """End whatever call still waits: the thread is to end too."""
        self.sockets.abandon()

    def close(self) -> None:
        self.sockets.close()
        self._link.close()

    def _set(self, name: str, value: str, line: int) -> bool:
        """Whether this kernel has the variable, for a namespace."""
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
    """Local port and state of each of the calling thread's namespace."""
    for table in ("tcp", "tcp6"):
        for line in (_TABLES / table).read_text().splitlines()[1:]:
            _, local, _, number, *_ = line.split()
            state = state_of(int(number, 16)) if int(number, 16) != _NEW_SYN_RECV else State.SYN_RECEIVED
            yield int(local.rpartition(":")[2], 16), state


def _nothing() -> None:
    pass
