"""What a notebook is shown."""

from collections.abc import Callable
from typing import Any

from postel import Host
from postel.tcp.connection import Connection
from postel.tcp.state import CLOSED, SYN_SENT
from postel.view import Trace, notebook
from postel.view.notebook import Portrait, StateDiagram
from tests.view.test_ladder import whole_life


def connecting(trace: Trace | None = None) -> tuple[Host, Connection]:
    host = Host("10.0.0.1/24", secret=b"secret", observer=trace)
    connection = host.connect("10.0.0.2", 80, 0)
    packet = host.next_packet(0)
    if trace is not None and packet is not None:
        trace.packet_sent(packet, 0)
    return host, connection


def test_a_trace_draws_its_ladder() -> None:
    trace = Trace()
    connecting(trace)
    drawn = trace._repr_svg_()
    assert drawn.startswith("<svg")
    assert "SYN-SENT" in drawn


def test_a_state_diagram_with_and_without_a_way() -> None:
    assert "taken" not in StateDiagram()._repr_svg_().partition("</style>")[2]
    assert 'class="way taken"' in StateDiagram(whole_life())._repr_svg_()


def test_a_connection_is_drawn_as_it_is_now() -> None:
    _, connection = connecting()
    portrait = Portrait(connection)
    text = portrait._repr_html_()
    assert connection.state is SYN_SENT
    assert 'lit" data-state="SYN-SENT"' in text
    assert '<th style="text-align:left">SND.NXT</th><td>1</td>' in text
    connection.abort(1)
    assert connection.state is CLOSED
    assert 'lit" data-state="CLOSED"' in portrait._repr_html_()
    assert "SND.NXT" not in portrait._repr_html_()


class Formatter:
    """As IPython has them: asked what it knows of a type."""

    def __init__(self) -> None:
        self.known: dict[type, Callable[[Any], str]] = {}

    def for_type(self, kind: type, function: Callable[[Any], str]) -> None:
        self.known[kind] = function


class Shell:
    def __init__(self) -> None:
        self.display_formatter = self
        self.formatters = {"text/html": Formatter()}


def test_the_extension_tells_the_notebook_how_connections_are_drawn() -> None:
    shell = Shell()
    notebook.load_ipython_extension(shell)
    _, connection = connecting()
    assert "SYN-SENT" in shell.formatters["text/html"].known[type(connection)](connection)
