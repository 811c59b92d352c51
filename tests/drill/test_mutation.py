"""The runner can fail: every script that passes fails once any field that it checks is changed."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from postel.drill import Profile, parse, run
from tests.drill.suites import FREEBSD, OWN, classes

EVERY = 23  # of the suite's scripts: a sample of each kind
SAMPLE = [
    FREEBSD / name for name in sorted(name for name, kind in classes().items() if kind != "optional")[::EVERY]
]
OWN_SAMPLE = [path for number, path in enumerate(OWN) if path.parent.name != "cells" or number % 9 == 0]
TIME = r"(?P<time>\s*[+*]?\s*[\d.]*(?:~\+[\d.]+)?)\s*>\s*(?P<network>(?:(?:\[\w+\]|\(.*?\))\s*)?(?:\d+\s*>\s*\d+\s+)?)"  # noqa: E501
OUT = re.compile(TIME + r"(?P<flags>[A-Z.0-7]+)\s+(?P<rest>.*)")
DATAGRAM = re.compile(TIME + r"udp \((?P<length>\d+)\)")


def mutants(line: str) -> Iterator[tuple[str, str]]:
    """The field, and the line with another value in it."""
    text = line.partition("//")[0].rstrip()
    packet = OUT.fullmatch(text)
    datagram = DATAGRAM.fullmatch(text)
    if packet is not None:
        yield from mutants_of_packet(packet)
    elif datagram is not None:
        yield "length", f"{datagram['time']} > {datagram['network']}udp ({int(datagram['length']) + 1})"
    elif "(" in line and re.match(r"\s*[+\d]", line) and "<" not in line:
        yield from mutants_of_call(line)


def mutants_of_packet(packet: re.Match[str]) -> Iterator[tuple[str, str]]:
    time, network, flags, rest = packet["time"], packet["network"], packet["flags"], packet["rest"]
    head = f"{time} > {network}"
    yield "flags", f"{head}{flags.replace('U', '') if 'U' in flags else flags + 'U'} {rest}"
    yield (
        "flags",
        f"{head}{flags.replace('.', '') or '-'} {rest}" if "." in flags else f"{head}{flags}. {rest}",
    )
    has_ack = re.search(r"\back\b", rest) is not None
    yield (
        "ack",
        f"{head}{flags} "
        + (re.sub(r"\back\s+(\d+)", raised, rest) if has_ack else rest.replace(")", ") ack 1", 1)),
    )
    if "S" not in flags and "..." not in rest.partition("(")[0]:
        yield (
            "seq",
            f"{head}{flags} "
            + re.sub(r"(\d+):(\d+)", lambda m: f"{int(m[1]) + 1}:{int(m[2]) + 1}", rest, count=1),
        )
    yield (
        "length",
        f"{head}{flags} "
        + re.sub(r":(\d+)\((\d+)\)", lambda m: f":{int(m[1]) + 1}({int(m[2]) + 1})", rest, count=1),
    )
    if "win" in rest:
        yield "window", f"{head}{flags} " + re.sub(r"win\s+(\d+)", raised, rest)
    if "<...>" not in rest:
        yield (
            "options",
            f"{head}{flags} "
            + (rest.replace(">", ",nop,nop,nop,nop>") if "<" in rest else rest + " <nop,nop,nop,nop>"),
        )
    if "<" in rest and "<...>" not in rest:
        yield "options", f"{head}{flags} " + rest.partition("<")[0]
    if "[" in network:
        yield "mark", f"{time} > {'[ect0]' if 'ect0' not in network else '[noecn]'} {flags} {rest}"
    if "~" not in time and "*" not in time:
        shifted = re.sub(r"[\d.]+", lambda m: f"{1.3 * float(m[0]) + 0.9}", time)
        yield "time", f"{shifted} > {network}{flags} {rest}"


def mutants_of_call(line: str) -> Iterator[tuple[str, str]]:
    error = re.search(r"= -1 (E\w+)", line)
    if error is not None:
        yield "errno", line.replace(error[1], "EDOM", 1)
        yield "result", line.replace("= -1", "= 0").replace(error[1], "")
    elif "socket(" not in line and "accept(" not in line:
        yield "result", re.sub(r"=\s*(0x\w+|\d+)(?!.*=\s*\d)", lambda m: f"= {int(m[1], 0) + 1}", line)
    if "getsockopt(" in line and "[E" not in line:
        yield "value", re.sub(r"\[(\d+)\]", lambda m: f"[{int(m[1]) + 1}]", line, count=1)
    elif "getsockopt(" in line:
        yield "value", re.sub(r"\[E\w+\]", "[EDOM]", line, count=1)


def raised(match: re.Match[str]) -> str:
    return match[0].replace(match[1], str(int(match[1]) + 1))


@pytest.mark.parametrize("path", [*OWN_SAMPLE, *SAMPLE], ids=lambda path: path.stem)
def test_a_script_with_one_wrong_field_fails(path: Path) -> None:
    profile = Profile.named("rfc" if path in OWN else "freebsd")
    text = path.read_text(encoding="utf-8")
    if run(parse(text, defined=("STANDARD",)), profile).result != "passed":
        pytest.skip("it doesn't pass as it is")
    defined = {event.line for event in parse(text, defined=("STANDARD",)).events}
    lines = text.split("\n")
    survivors = []
    for number, line in enumerate(lines):
        if number + 1 not in defined:
            continue
        for field, mutant in mutants(line):
            changed = [*lines[:number], mutant, *lines[number + 1 :]]
            found = run(parse("\n".join(changed), defined=("STANDARD",)), profile)
            if found.result != "failed":
                survivors.append((field, mutant, found.result))
    assert survivors == []
