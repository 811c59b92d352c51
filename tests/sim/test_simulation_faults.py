"""Programs on computers under faults at random: the same schedule gives the same run, and a client that tries
again gets its answer.
"""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from postel.sim import Fault, Simulation
from postel.testing.faulty_exchange import Chronicle
from postel.times import SECOND

ENDS = ["client", "server", "*"]
KINDS = ["partition", "hold", "crash", "pause", "slow", "path", "clock"]
SETTINGS = {"slow": {"each": "5ms"}, "path": {"loss": 0.3, "delay": "200ms"}, "clock": {"by": "1h"}}


@st.composite
def any_fault(draw: st.DrawFn) -> Fault:
    kind = draw(st.sampled_from(KINDS))
    sided = kind in ("partition", "hold", "path")
    return Fault(
        kind,  # type: ignore[arg-type]
        draw(st.sampled_from(ENDS)),
        draw(st.sampled_from(ENDS)) if sided else (),
        both=draw(st.booleans()) if sided else True,
        at=draw(st.integers(0, 8 * SECOND)),
        length=draw(st.integers(0, 4 * SECOND)),
        settings=SETTINGS.get(kind, {}),
    )


async def serve() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write((await reader.read()).upper())
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(shout, port=7)
    await server.serve_forever()


async def ask(question: bytes) -> bytes:
    """The answer, however often it takes to ask."""
    while True:
        try:
            async with asyncio.timeout(3):
                reader, writer = await asyncio.open_connection("server", 7)
                try:
                    writer.write(question)
                    writer.write_eof()
                    answer = await reader.read()
                finally:
                    writer.close()
            if answer == question.upper():
                return answer
        except OSError:  # TimeoutError is one
            pass
        await asyncio.sleep(0.5)


def played(faults: list[Fault]) -> tuple[str, list[bytes]]:
    """The digest of all that happened, and the answers."""
    chronicle = Chronicle()
    with Simulation(seed=1, observer=chronicle) as simulation:
        server, client = simulation.host("server"), simulation.host("client")
        simulation.path(server, client, delay="10ms")
        server.run(serve)
        simulation.apply(faults)

        async def main() -> list[bytes]:
            asked = [client.run(ask, b"question %d " % number * 1000) for number in range(3)]
            await asyncio.sleep(12)
            return [await one for one in asked]

        answers = simulation.run(main())
        assert simulation.active_faults() == []
    return chronicle.digest(), answers


@given(faults=st.lists(any_fault(), max_size=5))
def test_a_client_that_tries_again_gets_its_answer_and_each_run_is_the_same(faults: list[Fault]) -> None:
    digest, answers = played(faults)
    assert answers == [b"QUESTION %d " % number * 1000 for number in range(3)]
    assert played(faults) == (digest, answers)
