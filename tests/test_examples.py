"""The applications that the pages show survive hostile peers: a test does to each what a peer may do
in one burst.
"""

import asyncio
import inspect
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from postel import Host, aio
from postel.links import pair
from postel.tcp.connection import Connection
from tests.test_documents import ROOT, blocks, name_of

PAGES = [
    ROOT / "docs" / "asyncio.md",
    ROOT / "docs" / "how-to.md",
    ROOT / "docs" / "testing.md",
    ROOT / "docs" / "tutorial.md",
]
Act = Callable[[Connection], object]
TEXT, FIN, RST = (
    lambda connection: connection.send(b"some text", 0),
    lambda connection: connection.close(0),
    lambda connection: connection.abort(0),
)
BURSTS: dict[str, tuple[Act, ...]] = {
    "text and RST": (TEXT, RST),
    "text, FIN and RST": (TEXT, FIN, RST),
    "FIN and RST": (FIN, RST),
    "RST": (RST,),
    "text, text and RST": (TEXT, TEXT, RST),
    "nothing at all": (),
}


def examples(parameters: list[str]) -> list[Any]:
    """Every function of the pages with these parameters, which its program defines, called as a library would
    call it.
    """
    found = []
    for page in PAGES:
        for line, block in blocks(page, "python"):
            names: dict[str, Any] = {"__name__": "shown"}
            if any(
                f"({', '.join(parameters)})" in row and row.startswith(("def ", "async def "))
                for row in block.splitlines()
            ):
                exec(compile(block, f"{name_of(page)}:{line}", "exec"), names)
                made = [value for value in names.values() if inspect.isfunction(value)]
                found += [
                    (page, line, made_one)
                    for made_one in made
                    if list(inspect.signature(made_one).parameters) == parameters
                ]
    return [pytest.param(function, id=f"{name_of(page)}:{line}") for page, line, function in found]


APPLICATIONS = examples(["subject", "event", "now"])
HANDLERS = examples(["reader", "writer"])


def drained(host: Host) -> list[bytes]:
    packets = []
    while (packet := host.next_packet(0)) is not None:
        packets.append(packet)
    return packets


def peers() -> tuple[Host, Host]:
    return Host("10.0.0.1/24", secret=b"near"), Host("10.0.0.2/24", secret=b"far")


def exchange(near: Host, far: Host) -> None:
    for sender, receiver in ((near, far), (far, near)) * 3:
        for packet in drained(sender):
            receiver.packet_arrives(packet, 0)


def burst(near: Host, connection: Connection, acts: tuple[Act, ...]) -> list[bytes]:
    packets = []
    for act in acts:
        act(connection)
        packets += drained(near)
    return packets


def test_there_are_examples() -> None:
    assert len(APPLICATIONS) >= 4
    assert len(HANDLERS) >= 3


@pytest.mark.parametrize(("name", "told_first"), list(product(BURSTS, [True, False])))
@pytest.mark.parametrize("application", APPLICATIONS)
def test_an_application_survives(application: Callable[..., None], name: str, *, told_first: bool) -> None:
    """``told_first``: whether it hears of the connection before the burst, or of everything at once."""
    near, far = peers()
    far.listen(7, 0)
    connection = near.connect("10.0.0.2", 7, 0)
    exchange(near, far)
    while told_first and (told := far.next_event()) is not None:
        application(*told, 0)
    for packet in burst(near, connection, BURSTS[name]):
        far.packet_arrives(packet, 0)
    for _ in range(3):
        while (told := far.next_event()) is not None:
            application(*told, 0)
        exchange(near, far)


@pytest.mark.parametrize("name", BURSTS)
@pytest.mark.parametrize("handler", HANDLERS)
def test_a_handler_survives(handler: Callable[..., Any], name: str) -> None:
    async def main() -> list[dict[str, Any]]:
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        near, far = peers()
        left, right = pair()
        async with aio.attach(far, right) as network:
            await network.start_server(handler, port=7)
            connection = near.connect("10.0.0.2", 7, 0)
            for _ in range(3):
                for packet in drained(near):
                    left.send(packet, b"", 0)
                await asyncio.sleep(0.01)
                while packet := left.receive(0):
                    near.packet_arrives(packet, 0)
            for packet in burst(near, connection, BURSTS[name]):
                left.send(packet, b"", 0)
            await asyncio.sleep(0.02)
        left.close()
        return complaints

    assert asyncio.run(main()) == []


def test_the_pages_say_so() -> None:
    for page in (ROOT / "docs" / "how-to.md", ROOT / "docs" / "reference.md"):
        text = Path(page).read_text(encoding="utf-8").replace("\n", " ")
        assert "event tells of the past" in text, page
        assert "`release(now)`" in text, page
