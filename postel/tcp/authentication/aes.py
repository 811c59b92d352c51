"""AES-128 (FIPS 197), encryption alone, and the MAC that is made of it, AES-CMAC (RFC 4493).

Here because RFC 5926 makes it a MUST and the standard library has no AES. It is slow, some ten milliseconds
for a full segment, and not constant in time: a program that measures its look-ups on the same machine may
learn of the key. Where there is a choice, take HMAC-SHA-1.

>>> encrypt(bytes(range(16)), bytes.fromhex("00112233445566778899aabbccddeeff")).hex()  # FIPS 197, C.1
'69c4e0d86a7b0430d8cdb78070b4c55a'
"""

from typing import Final

BLOCK: Final = 16  # octets, of a key too
_ROUNDS: Final = 10


def _doubled(octet: int) -> int:
    """Times x in the field of the cipher (FIPS 197, 4.2.1)."""
    return octet << 1 ^ (0x11B if octet & 0x80 else 0)


def _substitutions() -> bytes:
    """The S-box (FIPS 197, 5.1.1): the inverse in the field, found among the powers of 3, and an affine
    map.
    """
    powers = [1]
    while len(powers) < 255:
        powers.append(powers[-1] ^ _doubled(powers[-1]))
    box = bytearray(256)
    box[0] = 0x63
    for exponent, octet in enumerate(powers):
        inverse = powers[-exponent % 255]
        spread = inverse ^ inverse << 1 ^ inverse << 2 ^ inverse << 3 ^ inverse << 4
        box[octet] = (spread ^ spread >> 8) & 0xFF ^ 0x63
    return bytes(box)


_BOX: Final = _substitutions()
_ROWS_SHIFTED: Final = tuple(
    [(at + 4 * (at % 4)) % BLOCK for at in range(BLOCK)]
)  # the state stands column by column


def _round_keys(key: bytes) -> list[bytes]:
    """FIPS 197, 5.2."""
    keys = [key]
    constant = 1
    for _ in range(_ROUNDS):
        last = keys[-1]
        word = (last[13:16] + last[12:13]).translate(_BOX)
        word = bytes((word[0] ^ constant,)) + word[1:]
        made = b""
        for at in range(0, BLOCK, 4):
            word = _xor(word, last[at : at + 4])
            made += word
        keys.append(made)
        constant = _doubled(constant)
    return keys


def _xor(a: bytes, b: bytes) -> bytes:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(len(a), "big")


def _encrypt(keys: list[bytes], block: bytes) -> bytes:
    state = _xor(block, keys[0])
    for key in keys[1:]:
        state = state.translate(_BOX)
        state = bytes([state[at] for at in _ROWS_SHIFTED])
        state = _xor(state if key is keys[_ROUNDS] else _mixed(state), key)
    return state


def _mixed(state: bytes) -> bytes:
    """FIPS 197, 5.1.3: MixColumns."""
    mixed = bytearray(BLOCK)
    for column in range(0, BLOCK, 4):
        every = state[column] ^ state[column + 1] ^ state[column + 2] ^ state[column + 3]
        for row in range(4):
            octet = state[column + row]
            mixed[column + row] = octet ^ every ^ _doubled(octet ^ state[column + (row + 1) % 4])
    return bytes(mixed)


def encrypt(key: bytes, block: bytes) -> bytes:
    """One block of 16 octets, with a key of 16."""
    return _encrypt(_round_keys(key), block)


def cmac(key: bytes, message: bytes) -> bytes:
    """RFC 4493, 2.4: 16 octets."""
    keys = _round_keys(key)
    subkey = _subkey(_encrypt(keys, bytes(BLOCK)))
    last = max(0, len(message) - 1) // BLOCK * BLOCK
    end = message[last:]
    if len(end) < BLOCK:
        subkey = _subkey(subkey)
        end = end + b"\x80" + bytes(BLOCK - 1 - len(end))
    mac = bytes(BLOCK)
    for at in range(0, last, BLOCK):
        mac = _encrypt(keys, _xor(mac, message[at : at + BLOCK]))
    return _encrypt(keys, _xor(mac, _xor(end, subkey)))


def _subkey(block: bytes) -> bytes:
    """RFC 4493, 2.3: doubled in the field of 128 bits."""
    number = int.from_bytes(block, "big") << 1
    return (number & (1 << 128) - 1 ^ (0x87 if number >> 128 else 0)).to_bytes(BLOCK, "big")
