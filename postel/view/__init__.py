"""What happened, made visible: a `Trace` records, and `ladder`, `pcapng` and its own `to_json` show."""

from postel.view.trace import Trace

__all__ = ["Trace"]
