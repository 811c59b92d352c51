"""Captures from anywhere, read and explained: `container` finds the packets, `frame` the segments in them,
`Table` the connections.

::

    pcap, pcapng ── Reader ──► frames ── Table ──► connections ──► a line each, their findings, a ladder of
    one
"""

from postel.view.capture.connection import Connection
from postel.view.capture.container import Reader
from postel.view.capture.table import Table

__all__ = ["Connection", "Reader", "Table"]
