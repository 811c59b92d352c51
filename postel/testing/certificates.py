"""TLS for tests: certificates that are made in a millisecond, and whose handshakes have the same sizes in
every run.
"""

import datetime as dt
import ssl
import tempfile
from pathlib import Path
from random import Random
from typing import Final

from postel.errors import ArgumentError, CallError

__all__ = ["Certificates"]

_FIRST: Final = dt.datetime(
    2000, 1, 1, tzinfo=dt.UTC
)  # OpenSSL compares them with the machine's time, not with the world's
_LAST: Final = dt.datetime(2099, 12, 31, tzinfo=dt.UTC)


class Certificates:
    """A certificate for ``names`` (and addresses), of an authority of its own; both are decided by ``seed``.

    The keys are Ed25519, whose signatures have 64 octets; those of ECDSA, which is the usual choice, vary by
    some octets, and with them the packets of a run. ``certificate``, ``key`` and ``authority`` are PEM.
    Raises CallError without the package cryptography (``pip install postel[test]``).

    >>> certificates = Certificates("server")
    >>> certificates.server().num_tickets
    0
    """

    def __init__(self, *names: str, seed: int = 0) -> None:
        if not names:
            raise ArgumentError("names", names, "at least one name or address")
        try:
            from postel.testing import certificate_making as making  # noqa: PLC0415 - of an extra
        except ImportError as error:
            raise CallError(
                "certificates need the package cryptography; allowed: pip install postel[test]"
            ) from error
        dice = Random(f"{seed}/certificates")
        authority, signer = making.authority(dice.randbytes(32), _FIRST, _LAST)
        certificate, key = making.issued(names, dice.randbytes(32), authority, signer, _FIRST, _LAST)
        self.names: tuple[str, ...] = names
        self.authority: bytes = making.pem(authority)
        self.certificate: bytes = making.pem(certificate)
        self.key: bytes = making.pem_key(key)

    def server(self) -> ssl.SSLContext:
        """A context for servers. It sends no session tickets, for their sizes vary too."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            self.write(folder)
            context.load_cert_chain(Path(folder) / "certificate.pem", Path(folder) / "key.pem")
        context.num_tickets = 0
        return context

    def client(self) -> ssl.SSLContext:
        """A context for clients, which trusts this authority and no other."""
        return ssl.create_default_context(cadata=self.authority.decode())

    def write(self, folder: str | Path) -> dict[str, str]:
        """Write them to ``certificate.pem``, ``key.pem`` and ``authority.pem`` in ``folder``, for programs
        that take files. Returns the paths by these names, without the ending."""
        found: dict[str, str] = {}
        for name, octets in (
            ("certificate", self.certificate),
            ("key", self.key),
            ("authority", self.authority),
        ):
            path = Path(folder) / f"{name}.pem"
            path.write_bytes(octets)
            found[name] = str(path)
        return found
