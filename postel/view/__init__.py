"""What happened, made visible: a `Trace` records, and `ladder`, `pcapng` and its own `to_json` show; a
`LoggingObserver` logs.
"""

from postel.view import capture, chart, ladder, notebook, pcapng, status
from postel.view.log import LoggingObserver
from postel.view.several import Observers
from postel.view.trace import Trace

__all__ = [
    "LoggingObserver",
    "Observers",
    "Trace",
    "capture",
    "chart",
    "ladder",
    "notebook",
    "pcapng",
    "status",
]
