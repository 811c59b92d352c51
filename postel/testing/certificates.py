"""Certificates for TLS in tests.

They are made in a millisecond, and have the same sizes in each run, so that handshakes have, too.
"""

import datetime as dt
import ssl
import tempfile
from pathlib import Path
from random import Random
from typing import Final

from postel.errors import ArgumentError, CallError

__all__ = ["Certificates"]

# OpenSSL compares this date with the machine's time, not with the world's
_FIRST: Final = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_LAST: Final = dt.datetime(2099, 12, 31, tzinfo=dt.UTC)


class Certificates:
    """Certificate for ``names`` (names of hosts, or addresses), and the authority that signed it.

    Both follow from ``seed``. The keys are Ed25519, because all signatures of that kind have 64 octets.
    Signatures of ECDSA, the usual choice, vary by some octets, and with them the packets of a run.
    ``certificate``, ``key`` and ``authority`` are octets in the PEM format.

    >>> certificates = Certificates("server")
    >>> certificates.server().num_tickets
    0
    """

    def __init__(self, *names: str, seed: int = 0) -> None:
        """Make the certificates.

        Raises ArgumentError without any name, and CallError without the package cryptography (``pip install
        postel[test]``).
        """
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
        """Make a TLS context for servers. It sends no session tickets, because the sizes of these vary."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            self.write(folder)
            context.load_cert_chain(Path(folder) / "certificate.pem", Path(folder) / "key.pem")
        context.num_tickets = 0
        return context

    def client(self) -> ssl.SSLContext:
        """Make a TLS context for clients, which trusts the authority of these certificates and no other."""
        return ssl.create_default_context(cadata=self.authority.decode())

    def write(self, folder: str | Path) -> dict[str, str]:
        """Write three files into ``folder``, for programs that read files.

        They are ``certificate.pem``, ``key.pem`` and ``authority.pem``.
        Returns the paths by the names "certificate", "key" and "authority".
        """
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
