"""Report of a failing test: how to run it again, the tasks that waited, the faults, and the connections."""

import re
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest

from postel.sim import Simulation
from postel.sim.units import duration_text
from postel.view import ladder, pcapng
from postel.view.flow import Flow
from postel.view.trace import Trace

_MOST_CONNECTIONS: Final = 3
_MOST_ROWS: Final = 60  # limit of the rows of a ladder
_FOLDER: Final = ".postel"


def sections(simulation: Simulation, item: pytest.Item, *, is_searched: bool) -> list[tuple[str, str]]:
    """Titles and texts for ``report.sections`` of pytest."""
    found = [("postel: run it again", again(simulation, item))]
    if simulation.account:
        found.append(
            (f"postel: what waited at {duration_text(simulation.now)}", "\n".join(simulation.account))
        )
    if simulation.faults_then or simulation.scheduled:
        found.append(("postel: faults", faults(simulation)))
    trace = simulation.world.observer
    if isinstance(trace, Trace) and trace.packets:
        found.append(("postel: connections", connections(trace)))
        file = capture(trace, simulation, item, is_searched=is_searched)
        if file is not None:
            found.append(("postel: packets", f"{file} has all of them, for Wireshark"))
    return found


def again(simulation: Simulation, item: pytest.Item) -> str:
    """Command that runs the test with its seed."""
    name = re.sub(r"\[seed=\d+\]|-seed=\d+|seed=\d+-", "", item.nodeid)
    faults = (
        f' --postel-faults "{"; ".join(map(str, simulation.scheduled))}"'
        if item.config.getoption("--postel-faults")
        else ""
    )
    return f"pytest '{name}' --postel-seed {simulation.seed}{faults}"


def faults(simulation: Simulation) -> str:
    """Lines with the faults that were active when the run ended, and all that the test scheduled."""
    lines = [f"active: {fault}" for fault in simulation.faults_then]
    return "\n".join(
        lines
        + [f"scheduled: {fault}" for fault in simulation.scheduled if fault not in simulation.faults_then]
    )


def connections(trace: Trace) -> str:
    """Ladders of up to three connections: the open ones first, then the latest."""
    flows = sorted((flow for flow in trace.flows if flow.packets), key=_interest, reverse=True)
    drawn = [_cut(ladder.render(trace, connection=flow.number)) for flow in flows[:_MOST_CONNECTIONS]]
    if len(flows) > _MOST_CONNECTIONS:
        drawn.append(f"… and {len(flows) - _MOST_CONNECTIONS} further connections")
    return "\n\n".join(drawn)


def capture(trace: Trace, simulation: Simulation, item: pytest.Item, *, is_searched: bool) -> Path | None:
    """Write the packets to a file, and return its path.

    The file is that of the option ``--postel-pcapng``, else one in the folder ``.postel``. While a search
    runs, only the option makes a file.
    """
    chosen = item.config.getoption("--postel-pcapng")
    if chosen is None and is_searched:
        return None
    file = (
        Path(chosen)
        if chosen
        else _folder(item.config.rootpath) / f"{_file_name(item.nodeid)}-{simulation.seed}.pcapng"
    )
    with file.open("wb") as out:
        pcapng.write(trace, out, epoch=_microseconds(simulation.epoch))
    return file


def _folder(root: Path) -> Path:
    folder = root / _FOLDER
    if not folder.exists():
        folder.mkdir()
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    return folder


def _file_name(node: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "-", node.rpartition("/")[2]).strip("-")[:100]


def _microseconds(epoch: datetime) -> int:
    return int(epoch.timestamp() * 1_000_000)


def _interest(flow: Flow) -> tuple[bool, int]:
    """Sort key of connections: one that isn't closed is of more interest than one that is."""
    is_open = any(str(state) not in ("CLOSED", "TIME-WAIT") for state in flow.states.values())
    return is_open, flow.packets[-1].sent_at


def _cut(drawing: str) -> str:
    """Drawing of at most 60 rows: of a longer one, its first 20 and its last 40 rows."""
    rows = drawing.splitlines()
    if len(rows) <= _MOST_ROWS:
        return drawing
    left = f"    … {len(rows) - _MOST_ROWS} rows, which the capture has …"
    return "\n".join([*rows[: _MOST_ROWS // 3], left, *rows[-2 * _MOST_ROWS // 3 :]])
