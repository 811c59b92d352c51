"""Captures that any program wrote, read and explained: `Reader` finds packets, `Table` connections.

::

    pcap, pcapng ── Reader ──► frames ── Table ──► connections ──► a line each, findings, a ladder of one

The command ``postel explain`` uses this package. A program uses it so:

>>> import io
>>> from postel.view.capture import Reader, Table
>>> found = []
>>> reader, table = Reader(io.BytesIO()), Table(found.append)  # or: open("capture.pcap", "rb")
>>> for octets, frames in reader.chunks():
...     table.take(octets, frames)
>>> table.finish()
>>> len(found), str(reader.damage)
(0, 'broken at octet 0: it is empty')
"""

from postel.view.capture.connection import Connection
from postel.view.capture.container import Reader
from postel.view.capture.table import Table

__all__ = ["Connection", "Reader", "Table"]
