"""In a Jupyter notebook a `Trace` draws itself; so do these. After ``%load_ext postel.view.notebook``
connections do, too.

The core knows nothing of pictures, so a `Connection` can't have the method that a notebook asks for: the
extension tells the notebook.
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
    """Figure 5 of RFC 9293; of a trace, once for each of its connections, with the way that each end took."""

    def __init__(self, trace: Trace | None = None) -> None:
        self._flows = trace.flows if trace is not None else []

    def _repr_svg_(self) -> str:
        return diagram.render(self._flows)


class Portrait:
    """A connection as it is when the notebook asks: its state in the diagram, its variables, and a line as
    `ss -ti` has it.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def _repr_html_(self) -> str:
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


# An IPython shell, which need not be installed to import this
def load_ipython_extension(shell: Any) -> None:  # noqa: ANN401
    """What ``%load_ext`` calls."""
    shell.display_formatter.formatters["text/html"].for_type(Connection, _html)


def _html(connection: Connection) -> str:
    return Portrait(connection)._repr_html_()
