"""The options of SYNs are read once for each list, whatever its timestamps say."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postel.errors import WireError
from postel.view.capture.offers import read_offer
from postel.wire import options
from postel.wire.segment import ABSENT

LINUX = bytes.fromhex("020405b4 0402 080a 0000000a 00000014 01 030307")
MACOS = bytes.fromhex("020405b4 01 030306 0101 080a 0000000a 00000014 0402 0000")
PARTS = st.sampled_from(
    [
        bytes.fromhex("020405b4"),
        bytes.fromhex("0204080a"),
        bytes.fromhex("0402"),
        bytes.fromhex("030307"),
        bytes.fromhex("080a0000000a00000014"),
        bytes.fromhex("080a"),
        bytes.fromhex("2206"),
        bytes.fromhex("01"),
        bytes.fromhex("00"),
        bytes.fromhex("0a"),
    ]
)


def fields(offer: options.Bearer) -> tuple[object, ...]:
    """All that counts of an offer."""
    has_timestamps = offer.tsval != ABSENT
    return has_timestamps, offer.mss, offer.window_scale, offer.sack_permitted, offer.sack, offer.other


@given(st.lists(PARTS, max_size=12).map(b"".join), st.integers(0, 40))
@example(LINUX, 12)
@example(LINUX, 40)
@example(MACOS, 18)
def test_an_offer_is_that_of_its_own_octets(octets: bytes, captured: int) -> None:
    octets = octets[:captured]
    expected = options.Bearer()
    with suppress(WireError):
        options.read(octets, 0, len(octets), expected, syn=True)
    for _ in range(2):
        assert fields(read_offer(octets)) == fields(expected)


@pytest.mark.parametrize(("octets", "at"), [(LINUX, 8), (MACOS, 12)])
def test_offers_that_differ_in_their_timestamps_are_one(octets: bytes, at: int) -> None:
    other = octets[:at] + bytes(8) + octets[at + 8 :]
    assert read_offer(other) is read_offer(octets)
