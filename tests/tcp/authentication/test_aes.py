"""AES-128 and AES-CMAC against the examples of FIPS 197 and RFC 4493."""

import doctest

import pytest

from postel.tcp.authentication import aes
from postel.tcp.authentication.aes import cmac, encrypt

KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)  # fmt: skip


@pytest.mark.parametrize(
    ("key", "plain", "cipher"),
    [
        # FIPS 197, appendix B
        (
            "2b7e151628aed2a6abf7158809cf4f3c",
            "3243f6a8885a308d313198a2e0370734",
            "3925841d02dc09fbdc118597196a0b32",
        ),
        # FIPS 197, appendix C.1
        (
            "000102030405060708090a0b0c0d0e0f",
            "00112233445566778899aabbccddeeff",
            "69c4e0d86a7b0430d8cdb78070b4c55a",
        ),
    ],
)
def test_fips_197(key: str, plain: str, cipher: str) -> None:
    assert encrypt(bytes.fromhex(key), bytes.fromhex(plain)).hex() == cipher


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "bb1d6929e95937287fa37d129b756746"),
        (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"),
        (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ],
)
def test_rfc_4493_4(size: int, expected: str) -> None:
    assert cmac(KEY, MESSAGE[:size]).hex() == expected


def test_the_example_in_its_text() -> None:
    assert doctest.testmod(aes).failed == 0
