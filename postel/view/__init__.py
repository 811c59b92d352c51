"""Views of what happened: recorders of connections and packets, and what can be made of a recording.

- `Trace` records a run. `Observers` puts several observers in the place of one. `LoggingObserver` writes log
  records.
- `ladder` draws a trace as text, `pcapng` writes it for Wireshark, `Trace.to_json` gives it as JSON, and
  `notebook` shows pictures in Jupyter.
- `chart` draws congestion control over time, and `status` writes one connection as ``ss -ti`` does.
- `capture` reads captures that other programs wrote, and explains them.
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
