"""Two endpoints as octets: a connection's key in every table, as its segments carry it at a fixed place when
they arrive.
"""

from postel.wire.address import Endpoint


def key_of(local: Endpoint, remote: Endpoint) -> bytes:
    return b"".join(
        (remote.address, local.address, remote.port.to_bytes(2, "big"), local.port.to_bytes(2, "big"))
    )


def destination_of(local_address: bytes, remote: Endpoint) -> bytes:
    """The key of connections from this address to this remote endpoint, without the local port at its end."""
    return b"".join((remote.address, local_address, remote.port.to_bytes(2, "big")))


def ends_of(key: bytes) -> tuple[Endpoint, Endpoint]:
    """Local and remote."""
    size = (len(key) - 4) // 2
    local = Endpoint(key[size : 2 * size], int.from_bytes(key[-2:], "big"))
    return local, Endpoint(key[:size], int.from_bytes(key[-4:-2], "big"))


def is_at(key: bytes, local_address: bytes) -> bool:
    """Whether this is the key of a pair with this local address."""
    size = (len(key) - 4) // 2
    return key[size : 2 * size] == local_address
