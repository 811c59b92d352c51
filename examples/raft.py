"""Raft: three servers agree on a log while hosts crash and the network splits (Ongaro and Ousterhout, 2014).

Leader election, log replication and what must survive a crash, in plain asyncio: each server is a coroutine
that opens connections by name. `test_raft` holds under any faults. `test_truncating` has a bug, in
`Truncating` below, that a search finds and makes small::

    postel sim examples/raft.py::test_truncating --seeds 1..1000
"""

import asyncio
import json
import random
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from postel.sim import Simulation
from postel.times import SECOND

NAMES = ["red", "green", "blue"]
PORT = 7000
HEARTBEAT = 0.5  # seconds between two messages of a leader that has nothing new to say
PATIENCE = 2.0  # a server stands for election after one to two of these without a word from a leader
CALL = 0.3  # seconds until a call that has no answer is given up, together with its connection
FOLLOWER, CANDIDATE, LEADER = "follower", "candidate", "leader"

Message = dict[str, Any]


@dataclass
class Disk:
    """Persistent state, which survives a crash: a server writes it before it answers (figure 2)."""

    term: int = 0
    vote: str = ""  # the candidate that got it in this term
    # The term and the command of each entry; index 0 isn't used
    log: list[tuple[int, str]] = field(default_factory=lambda: [(0, "")])


class History:
    """What all servers did, for the test: it checks what Raft promises at each step."""

    def __init__(self) -> None:
        self.disks = {name: Disk() for name in NAMES}
        self.leaders: dict[int, str] = {}
        self.entries: dict[int, tuple[int, str]] = {}

    def elected(self, term: int, name: str) -> None:
        other = self.leaders.setdefault(term, name)
        assert other == name, f"two leaders in term {term}: {other} and {name}"

    def applied(self, index: int, entry: tuple[int, str], name: str) -> None:
        other = self.entries.setdefault(index, entry)
        assert other == entry, f"entry {index} was {other}, and is {entry} on {name}"

    def check_majority(self) -> None:
        """What was committed, most servers have on their disks."""
        for index, entry in self.entries.items():
            having = [name for name, disk in self.disks.items() if disk.log[index : index + 1] == [entry]]
            assert is_majority(len(having)), f"entry {index} {entry} was committed, and only {having} have it"


class Server:
    """One server from its start to its crash."""

    def __init__(self, name: str, history: History) -> None:
        self.name = name
        self.disk = history.disks[name]
        self.history = history
        self.peers = [peer for peer in NAMES if peer != name]
        self.role = FOLLOWER
        self.leader = ""
        self.has_heard = False  # from a leader or a candidate, since the last look
        self.committed = 0
        self.votes: set[str] = set()
        self.next = dict.fromkeys(self.peers, 1)  # the entry that each peer gets next
        self.match = dict.fromkeys(self.peers, 0)  # the last entry that each peer is known to have
        self.news = {peer: asyncio.Event() for peer in self.peers}
        self.waiting: dict[int, asyncio.Future[bool]] = {}  # clients, by the index of their entry

    async def run(self) -> None:
        async with await asyncio.start_server(self.serve, port=PORT), asyncio.TaskGroup() as tasks:
            for peer in self.peers:
                tasks.create_task(self.talk(peer))
            tasks.create_task(self.watch())

    # Terms and roles

    def remember_vote(self, vote: str) -> None:
        self.disk.vote = vote

    def saw(self, term: int) -> None:
        """A later term ends what this server was."""
        if term > self.disk.term:
            self.disk.term = term
            self.remember_vote("")
            self.follow("")

    def follow(self, leader: str) -> None:
        self.role, self.leader = FOLLOWER, leader
        for future in self.waiting.values():
            if not future.done():
                future.set_result(False)
        self.waiting.clear()

    async def watch(self) -> None:
        """Stand for election when there was silence."""
        while True:
            await asyncio.sleep(random.uniform(PATIENCE, 2 * PATIENCE))
            if self.role != LEADER and not self.has_heard:
                self.stand()
            self.has_heard = False

    def stand(self) -> None:
        self.saw(self.disk.term + 1)
        self.role = CANDIDATE
        self.remember_vote(self.name)
        self.votes = {self.name}
        self.tell_peers()

    def lead(self) -> None:
        self.history.elected(self.disk.term, self.name)
        self.role, self.leader = LEADER, self.name
        self.next = dict.fromkeys(self.peers, len(self.disk.log))
        self.match = dict.fromkeys(self.peers, 0)
        self.tell_peers()

    # Calls to peers

    def tell_peers(self) -> None:
        for event in self.news.values():
            event.set()

    async def talk(self, peer: str) -> None:
        """One connection to ``peer``, opened again whenever it breaks or is silent."""
        while True:
            writer = None
            with suppress(OSError, EOFError):
                async with asyncio.timeout(CALL):
                    reader, writer = await asyncio.open_connection(peer, PORT)
                while True:
                    request = self.request(peer)
                    if request:
                        self.answered(peer, request, await call(reader, writer, request))
                    await self.wait_for_news(peer)
            if writer is not None:
                writer.close()
            await asyncio.sleep(HEARTBEAT)

    async def wait_for_news(self, peer: str) -> None:
        """Or for the time of the next heartbeat."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None if self.role == FOLLOWER else HEARTBEAT):
                await self.news[peer].wait()
        self.news[peer].clear()

    def request(self, peer: str) -> Message | None:
        log = self.disk.log
        about = {"from": self.name, "term": self.disk.term}
        if self.role == CANDIDATE and peer not in self.votes:
            return {**about, "kind": "vote", "last": len(log) - 1, "last_term": log[-1][0]}
        if self.role == LEADER:
            before = self.next[peer] - 1
            entries = log[before + 1 :]
            return {
                **about,
                "kind": "append",
                "before": before,
                "before_term": log[before][0],
                "entries": entries,
                "committed": self.committed,
            }
        return None

    def answered(self, peer: str, request: Message, reply: Message) -> None:
        self.saw(reply["term"])
        if request["term"] != self.disk.term:
            return
        if self.role == CANDIDATE and reply.get("granted"):
            self.votes.add(peer)
            if is_majority(len(self.votes)):
                self.lead()
        elif self.role == LEADER and "match" in reply:
            self.match[peer] = max(self.match[peer], reply["match"])
            self.next[peer] = self.match[peer] + 1
            self.commit_what_most_have()
        elif self.role == LEADER and "length" in reply:  # the peer's log is shorter, or differs there
            self.next[peer] = max(1, min(self.next[peer] - 1, reply["length"]))
            self.news[peer].set()

    # Calls of peers and clients

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            while True:
                request = json.loads(await reader.readuntil())
                writer.write(line(await self.answer(request)))
                await writer.drain()
        writer.close()

    async def answer(self, request: Message) -> Message:
        if request["kind"] == "put":
            return await self.put(request["command"])
        self.saw(request["term"])
        answered = self.vote(request) if request["kind"] == "vote" else self.append(request)
        return {"term": self.disk.term, **answered}

    def vote(self, request: Message) -> Message:
        """For one candidate in each term, and only if its log has all that is committed (5.2, 5.4.1)."""
        log, candidate = self.disk.log, request["from"]
        is_current = (request["last_term"], request["last"]) >= (log[-1][0], len(log) - 1)
        granted = request["term"] == self.disk.term and self.disk.vote in ("", candidate) and is_current
        if granted:
            self.remember_vote(candidate)
            self.has_heard = True
        return {"granted": granted}

    def append(self, request: Message) -> Message:
        """Make the log as the leader's, from the last entry on which both agree (5.3)."""
        log, before = self.disk.log, request["before"]
        if request["term"] < self.disk.term:
            return {}
        if self.role != FOLLOWER or self.leader != request["from"]:
            self.follow(request["from"])
        self.has_heard = True
        if before >= len(log) or log[before][0] != request["before_term"]:
            return {"length": min(len(log), before)}
        self.merge(before, [(term, command) for term, command in request["entries"]])
        self.history.check_majority()
        last = before + len(request["entries"])
        self.commit(min(request["committed"], last))
        return {"match": last}

    def merge(self, before: int, entries: list[tuple[int, str]]) -> None:
        """Delete only what follows an entry that differs: the request may be an old one, which comes late."""
        log = self.disk.log
        for index, entry in enumerate(entries, before + 1):
            if index < len(log) and log[index][0] != entry[0]:
                del log[index:]
            if index == len(log):
                log.append(entry)

    async def put(self, command: str) -> Message:
        if self.role != LEADER:
            return {"done": False, "leader": self.leader}
        self.disk.log.append((self.disk.term, command))
        self.tell_peers()
        future = self.waiting[len(self.disk.log) - 1] = asyncio.get_running_loop().create_future()
        return {"done": await future, "leader": self.leader}

    # The log

    def commit_what_most_have(self) -> None:
        """Entries of this term alone: those of earlier ones are committed with them (5.4.2)."""
        for index in range(len(self.disk.log) - 1, self.committed, -1):
            having = 1 + sum(match >= index for match in self.match.values())
            if is_majority(having) and self.disk.log[index][0] == self.disk.term:
                self.commit(index)
                self.tell_peers()
                return

    def commit(self, index: int) -> None:
        while self.committed < index:
            self.committed += 1
            self.history.applied(self.committed, self.disk.log[self.committed], self.name)
            future = self.waiting.pop(self.committed, None)
            if future is not None and not future.done():
                future.set_result(True)


def is_majority(count: int) -> bool:
    return 2 * count > len(NAMES)


def line(message: Message) -> bytes:
    return json.dumps(message).encode() + b"\n"


async def call(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Message, patience: float = CALL
) -> Message:
    writer.write(line(request))
    async with asyncio.timeout(patience):
        answer: Message = json.loads(await reader.readuntil())
    return answer


async def put_all(commands: list[str]) -> None:
    """A client: each command to the leader, again and again until it is in the log (perhaps twice)."""
    leader = NAMES[0]
    for command in commands:
        while True:
            reply: Message = {"done": False, "leader": ""}
            with suppress(OSError, EOFError):
                async with asyncio.timeout(CALL):
                    reader, writer = await asyncio.open_connection(leader, PORT)
                try:
                    reply = await call(reader, writer, {"kind": "put", "command": command}, 4 * CALL)
                finally:
                    writer.close()
            if reply["done"]:
                await asyncio.sleep(HEARTBEAT)
                break
            leader = reply["leader"] or random.choice(NAMES)
            await asyncio.sleep(HEARTBEAT)


class Truncating(Server):
    """The bug: "TCP keeps the order". This server believes each request, and deletes what is after it."""

    def merge(self, before: int, entries: list[tuple[int, str]]) -> None:
        self.disk.log[before + 1 :] = entries


async def agree(world: Simulation, kind: type[Server]) -> None:
    """Let a client write while faults strike the servers; afterwards each server must have all entries."""
    history = History()
    for name in NAMES:
        world.host(name).run(run_server, kind, name, history)
    client = world.host("client")
    for name, other in combinations([*NAMES, "client"], 2):
        world.path(name, other, delay="10ms", jitter="5ms")
    faults = world.random_faults(NAMES, count=12, within="8s", longest="4s", kinds=["partition", "crash"])
    commands = [f"command {number}" for number in range(8)]
    await client.run(put_all, commands)
    last = max(fault.ends_at for fault in faults) if faults else 0
    await asyncio.sleep(max(0, last - world.now) / SECOND)
    await client.run(put_all, ["the last"])
    await asyncio.sleep(2 * HEARTBEAT + CALL)
    for name, disk in history.disks.items():
        assert disk.log == history.disks[NAMES[0]].log, f"{name} differs from {NAMES[0]}"
        assert {*commands, "the last"} <= {command for _, command in disk.log}


async def run_server(kind: type[Server], name: str, history: History) -> None:
    await kind(name, history).run()


async def test_raft(world: Simulation) -> None:
    await agree(world, Server)


async def test_truncating(world: Simulation) -> None:
    await agree(world, Truncating)
