"""AES-128 encryption (FIPS 197), and AES-CMAC, a message authentication code made of it (RFC 4493).

RFC 5926 makes AES-CMAC a MUST for TCP-AO, and Python's standard library has no AES. This implementation is
slow: a full segment takes some ten milliseconds. Its time isn't constant: which table entries are read
depends on the key, so a program on the same machine that measures memory accesses may learn of the key. Use
HMAC-SHA-1 where you can choose.

>>> encrypt(bytes(range(16)), bytes.fromhex("00112233445566778899aabbccddeeff")).hex()  # FIPS 197, C.1
'69c4e0d86a7b0430d8cdb78070b4c55a'
"""

from typing import Final

BLOCK: Final = 16  # octets of a block and of a key
_ROUNDS: Final = 10


def _doubled(octet: int) -> int:
    """Return an octet times x in the field of the cipher (FIPS 197, 4.2.1)."""
    return octet << 1 ^ (0x11B if octet & 0x80 else 0)


def _substitutions() -> bytes:
    """Return the S-box (FIPS 197, 5.1.1).

    Each entry is the inverse of an octet in the field, found among the powers of 3, under an affine map.
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
# ShiftRows as a permutation of the state, which is stored column by column
_ROWS_SHIFTED: Final = tuple([(at + 4 * (at % 4)) % BLOCK for at in range(BLOCK)])


def _round_keys(key: bytes) -> list[bytes]:
    """Return the eleven round keys (FIPS 197, 5.2)."""
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
    """Return the bitwise exclusive or of two strings of octets of the same length."""
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(len(a), "big")


def _encrypt(keys: list[bytes], block: bytes) -> bytes:
    """Encrypt one block with round keys (FIPS 197, 5.1)."""
    state = _xor(block, keys[0])
    for key in keys[1:]:
        state = state.translate(_BOX)
        state = bytes([state[at] for at in _ROWS_SHIFTED])
        state = _xor(state if key is keys[_ROUNDS] else _mixed(state), key)
    return state


def _mixed(state: bytes) -> bytes:
    """Return the state after MixColumns (FIPS 197, 5.1.3)."""
    mixed = bytearray(BLOCK)
    for column in range(0, BLOCK, 4):
        every = state[column] ^ state[column + 1] ^ state[column + 2] ^ state[column + 3]
        for row in range(4):
            octet = state[column + row]
            mixed[column + row] = octet ^ every ^ _doubled(octet ^ state[column + (row + 1) % 4])
    return bytes(mixed)


def encrypt(key: bytes, block: bytes) -> bytes:
    """Encrypt one block of 16 octets with a key of 16 octets."""
    return _encrypt(_round_keys(key), block)


def cmac(key: bytes, message: bytes) -> bytes:
    """Return the AES-CMAC of a message, 16 octets (RFC 4493, 2.4)."""
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
    """Return a block doubled in the field of 128 bits (RFC 4493, 2.3)."""
    number = int.from_bytes(block, "big") << 1
    return (number & (1 << 128) - 1 ^ (0x87 if number >> 128 else 0)).to_bytes(BLOCK, "big")
