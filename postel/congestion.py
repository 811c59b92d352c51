"""Congestion control to choose, and to bring your own: the interface of controllers, those that are here, and their names.

`Congestion` is the class to subclass; its docstring is the contract between a controller and a connection. ``Config(congestion=Mine)``
uses it, and so does ``Config(congestion="mine")`` and every command line, once `register` has given it a name.
`postel.testing.check_congestion` finds a wrong one.
"""

from postel.tcp.congestion import ARBITRARILY_HIGH, Congestion, Sample, initial_window
from postel.tcp.congestion.bbr import BBR
from postel.tcp.congestion.cubic import Cubic
from postel.tcp.congestion.registry import register, registered
from postel.tcp.congestion.reno import Reno
from postel.tcp.congestion.xorshift import Xorshift

__all__ = [
    "ARBITRARILY_HIGH",
    "BBR",
    "Congestion",
    "Cubic",
    "Reno",
    "Sample",
    "Xorshift",
    "initial_window",
    "register",
    "registered",
]
