"""Pictures in a Jupyter notebook.

A `Trace`, a `StateDiagram` and a `Portrait` draw themselves when a cell ends with one of them. After
``%load_ext postel.view.notebook`` a `Connection` does, too. The core has no code for pictures, so a
`Connection` lacks the method ``_repr_html_`` that notebooks call; the extension registers a function instead.
"""

from typing import Any

from postel.tcp.connection import Connection
from postel.tcp.state import CLOSED
from postel.view import status
from postel.view.svg import diagram
from postel.view.svg.element import element, escaped
from postel.view.trace import Trace

__all__ = ["Portrait", "StateDiagram", "load_ipython_extension"]


class StateDiagram:
    """State diagram (RFC 9293, figure 5) with marks at the states that each end of a connection passed."""

    def __init__(self, trace: Trace | None = None) -> None:
        """Show the connections of ``trace``; without a trace, the diagram has no marks."""
        self._flows = trace.flows if trace is not None else []

    def _repr_svg_(self) -> str:
        """Draw the diagram as SVG, when the notebook asks."""
        return diagram.render(self._flows)


class Portrait:
    """Connection as it is at the time of drawing: state diagram, variables, and a line like ``ss -ti``."""

    def __init__(self, connection: Connection) -> None:
        """Take the connection to show."""
        self.connection = connection

    def _repr_html_(self) -> str:
        """Draw the connection as HTML, when the notebook asks."""
        found = self.connection
        ends = element("strong", escaped(f"{found.local} → {found.remote}"))
        rows = [
            element("tr", element("th", name, style="text-align:left"), element("td", str(value)))
            for name, value in found.variables().items()
        ]
        line = "" if found.state is CLOSED else element("code", escaped(status.text(found.status())))
        parts = [diagram.of_state(found.state), element("table", *rows)]
        return element(
            "div", ends, element("div", *parts, style="display:flex;gap:32px;align-items:start"), line
        )


def load_ipython_extension(shell: Any) -> None:  # noqa: ANN401 - IPython need not be installed to import this
    """Make connections draw themselves; IPython calls this for ``%load_ext postel.view.notebook``."""
    shell.display_formatter.formatters["text/html"].for_type(Connection, _html)


def _html(connection: Connection) -> str:
    return Portrait(connection)._repr_html_()
