"""Port numbers as arguments of commands."""

from argparse import ArgumentTypeError


def port(text: str) -> int:
    """Read a port number, 1 to 65535."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 0xFFFF):
        raise ArgumentTypeError(f"port is {text!r}; allowed: 1 to 65535")
    return int(text)
