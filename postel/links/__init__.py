"""Links: objects that carry the IP packets of a host into the kernel, within the process, or anywhere else.

::

    left, right = postel.links.pair()           # both ends of a wire in this process
    link = postel.links.attach_tun("postel0")   # a TUN device of Linux

Links can be put around other links: `Recorder` writes a capture, `Delayed`, `Shaped` and `Faulty` make the
way slow or lossy, `Observed` calls an observer.

For a carrier of your own, write a subclass of `Link`. `postel.links.contract` says what its methods do, and
`postel.testing.check_link` tests them. For a transport that calls you with each packet, `PushedLink` is
enough.
"""

from postel.errors import LinkClosed, LinkDown, LinkError
from postel.host.routes import Routes
from postel.links.contract import Link, Offloading
from postel.links.held import Delayed, Faulty, Shaped, Side
from postel.links.memory import MemoryLink, OffloadingMemoryLink, pair
from postel.links.observer import Observed, PacketObserver
from postel.links.pushed import PushedLink
from postel.links.recorder import PacketFile, Recorder
from postel.links.tun import OffloadingTun, Tun, attach_tun, inherit_tun
from postel.wire.parcel import Parcel

__all__ = [
    "Delayed",
    "Faulty",
    "Link",
    "LinkClosed",
    "LinkDown",
    "LinkError",
    "MemoryLink",
    "Observed",
    "Offloading",
    "OffloadingMemoryLink",
    "OffloadingTun",
    "PacketFile",
    "PacketObserver",
    "Parcel",
    "PushedLink",
    "Recorder",
    "Routes",
    "Shaped",
    "Side",
    "Tun",
    "attach_tun",
    "inherit_tun",
    "pair",
]
