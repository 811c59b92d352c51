"""RFC 6056."""

from itertools import islice, pairwise

import pytest

from postel.host.ports import HIGHEST, LOWEST, Ports

LOCAL, REMOTE = b"\x0a\0\0\1", b"\x0a\0\0\2"


def first(ports: Ports, remote: bytes = REMOTE, port: int = 80):
    return next(ports.candidates(LOCAL, remote, port))


@pytest.mark.label("RFC6056-3.2")
def test_rfc6056_3_2_every_port_of_the_range_once():
    candidates = list(Ports(b"secret").candidates(LOCAL, REMOTE, 80))
    assert sorted(candidates) == list(range(LOWEST, HIGHEST + 1))


@pytest.mark.label("RFC6056-3.3")
def test_rfc6056_3_3_one_destination_gets_one_port_after_another():
    ports = Ports(b"secret")
    numbers = [first(ports) for _ in range(100)]
    assert [(b - a) % (HIGHEST - LOWEST + 1) for a, b in pairwise(numbers)] == [1] * 99


@pytest.mark.label("RFC6056-3.3")
def test_rfc6056_3_3_destinations_and_secrets_start_anywhere():
    starts = {first(Ports(b"secret"), port=port) for port in range(200)} | {first(Ports(bytes([n]))) for n in range(200)}
    assert len(starts) > 380


def test_the_same_secret_gives_the_same_ports():
    assert list(islice(Ports(b"x").candidates(LOCAL, REMOTE, 1), 9)) == list(islice(Ports(b"x").candidates(LOCAL, REMOTE, 1), 9))


def test_destinations_rarely_share_a_counter():
    ports = Ports(b"secret")
    before = [first(ports, port=port) for port in range(1, 50)]
    for _ in range(1000):
        first(ports, port=9999)
    after = [first(ports, port=port) for port in range(1, 50)]
    assert sum((b - a) % (HIGHEST - LOWEST + 1) == 1 for a, b in zip(before, after, strict=True)) > 40
