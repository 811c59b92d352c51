"""RFC 791, 3.1: what this host enters into the options of an echo."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.times import MILLISECOND
from postel.wire.address import parse
from postel.wire.record_route import updated

OWN, OTHER = parse("10.0.0.1").hex(), parse("10.0.0.2").hex()
NOW = 0x1234 * MILLISECOND + 999
STAMP = "80001234"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", ""),
        ("01010101", ""),
        ("94040000", ""),  # router alert
        ("07070400000000", f"070708{OWN}00"),
        ("070b04" + "00" * 8, f"070b08{OWN}00000000" + "00"),
        (f"070b08{OTHER}00000000", f"070b0c{OTHER}{OWN}00"),
        (f"070b0c{OTHER}{OTHER}", f"070b0c{OTHER}{OTHER}00"),  # full
        ("07060400000000", "0706040000000000"[:12] + "0000"),  # no room for a whole address
        ("070703" + "00" * 4, ""),  # a pointer that no option has
        ("0702", ""),
        ("01" + "070704" + "00" * 4, f"070708{OWN}00"),
        ("440c0500" + "00" * 8, f"440c0900{STAMP}00000000"),
        (f"440c0900{STAMP}00000000", f"440c0d00{STAMP}{STAMP}"),
        (f"440c0d00{STAMP}{STAMP}", f"440c0d10{STAMP}{STAMP}"),  # full: the overflow counts
        (f"440c0df0{STAMP}{STAMP}", f"440c0df0{STAMP}{STAMP}"),  # as far as it can
        ("440c0501" + "00" * 8, f"440c0d01{OWN}{STAMP}"),
        ("44080501" + "00" * 4, "44080511" + "00" * 4),  # no room for both
        (f"440c0503{OWN}00000000", f"440c0d03{OWN}{STAMP}"),
        (f"440c0503{OTHER}00000000", f"440c0503{OTHER}00000000"),
        (f"44080503{OWN}", f"44080503{OWN}"),
        ("440c0502" + "00" * 8, "440c0502" + "00" * 8),
        ("440c0400" + "00" * 8, ""),
        ("440305", ""),
        ("070704" + "00" * 4 + "44080500" + "00" * 4, f"070708{OWN}44080900{STAMP}00"),
        ("0007070400000000", ""),  # behind the end
    ],
)
def test_what_comes_back(options: str, expected: str) -> None:
    assert updated(bytes.fromhex(options), bytes.fromhex(OWN), NOW).hex() == expected


@given(
    st.lists(
        st.builds(
            lambda kind, rest: bytes((kind, len(rest) + 2)) + rest,
            st.sampled_from([7, 68, 148]),
            st.binary(max_size=38),
        )
    )
)
def test_any_list_that_can_be_followed(options: list[bytes]) -> None:
    kept: list[bytes] = []
    for option in options:
        if sum(map(len, kept)) + len(option) <= 40:
            kept.append(option)
    octets = b"".join(kept)
    result = updated(octets, bytes.fromhex(OWN), NOW)
    assert len(result) % 4 == 0
    assert len(result) <= len(octets) + 3
