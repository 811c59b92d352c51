"""Pairs of endpoints as octets: the key of a connection in every table.

Arriving packets have the same octets at a fixed offset (`postel.host.host`): remote address, local address,
remote port, local port.
"""

from postel.wire.address import Endpoint


def key_of(local: Endpoint, remote: Endpoint) -> bytes:
    """Key of the connection between two endpoints."""
    return b"".join(
        (remote.address, local.address, remote.port.to_bytes(2, "big"), local.port.to_bytes(2, "big"))
    )


def destination_of(local_address: bytes, remote: Endpoint) -> bytes:
    """Key of all connections from this address to this remote endpoint: without the local port at its end."""
    return b"".join((remote.address, local_address, remote.port.to_bytes(2, "big")))


def ends_of(key: bytes) -> tuple[Endpoint, Endpoint]:
    """Local and remote endpoint of a key."""
    size = (len(key) - 4) // 2
    local = Endpoint(key[size : 2 * size], int.from_bytes(key[-2:], "big"))
    return local, Endpoint(key[:size], int.from_bytes(key[-4:-2], "big"))


def is_at(key: bytes, local_address: bytes) -> bool:
    """Whether the pair with this key has this local address."""
    size = (len(key) - 4) // 2
    return key[size : 2 * size] == local_address
