"""Run packetdrill scripts against Postel, in virtual time.

For a folder all scripts in it are run, in parallel::

    postel drill tests/scripts --profile freebsd --define STANDARD

Scripts can also run against this machine's kernel, in real time, in a network namespace of their own; that
needs root::

    postel drill --against kernel --profile linux script.pkt

Exit status 1 means that a script failed or couldn't be understood.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from postel import drill
from postel.cli.network import device
from postel.drill import Outcome, Profile, kernel, report
from postel.drill.script import Script
from postel.drill.stack import Ends
from postel.errors import ArgumentError, ScriptError
from postel.links import Tun
from postel.view import ladder, pcapng
from postel.view.trace import Trace
from postel.wire.address import Interface

_SUFFIX: Final = ".pkt"
_LADDER: Final = 104  # width of a ladder, in columns
_DEFAULT_PROFILE: Final = "rfc"
_STACKS: Final = ("postel", "kernel")
_DEVICE: Final = "drill0"
# Scripts for each further worker process: 1 process below 20 scripts, 2 from 20 on, 3 from 40 on
_FEW: Final = 20


@dataclass(frozen=True, slots=True)
class Result:
    """Result of one script: "passed", "failed" or "error", with the line and what is wrong there."""

    path: str
    result: str
    line: int
    message: str
    detail: str  # text for people: the script's line with its caret, the rule, the state, the ladder
    rule: str = ""  # rule of an RFC by which Postel acted, or "" if the rule isn't known


@dataclass(frozen=True, slots=True)
class Choices:
    """Options that each script runs with."""

    profile: str
    defined: tuple[str, ...]
    pcapng: str
    against: str


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    parser.add_argument(
        "paths", metavar="SCRIPT|DIR", nargs="+", help="scripts, and folders of scripts (*.pkt)"
    )
    parser.add_argument(
        "-j", "--jobs", metavar="N", type=int, default=0, help="processes to use; default: one per processor"
    )
    parser.add_argument(
        "--profile",
        choices=Profile.names(),
        default="",
        help="stack that the scripts are for; default: the name of their folder, else rfc",
    )
    parser.add_argument(
        "--define",
        metavar="NAME",
        action="append",
        default=[],
        help="define NAME for #ifdef; may be given again",
    )
    parser.add_argument(
        "--against",
        choices=_STACKS,
        default="postel",
        help="stack to test; default: postel; kernel needs root",
    )
    parser.add_argument("--pcapng", metavar="DIR", default="", help="folder for a capture of each script")
    parser.add_argument("--junit", metavar="FILE", help="file for the results as JUnit's XML")
    parser.add_argument("--json", action="store_true", help="print the results as JSON on standard output")


def run(options: argparse.Namespace) -> int:
    """Run all scripts, and print the results. Returns 1 where not all passed."""
    if options.jobs < 0:
        raise ArgumentError("--jobs", options.jobs, "1 or more")
    scripts = _found(options.paths)
    if options.pcapng:
        Path(options.pcapng).mkdir(parents=True, exist_ok=True)
    choices = Choices(options.profile, tuple(options.define), options.pcapng, options.against)
    # One process by default against the kernel, because scripts in real time would disturb one another.
    jobs = options.jobs or int(options.against == "kernel")
    results = list(_all(scripts, choices, jobs, shows_progress=not options.json and sys.stderr.isatty()))
    if options.junit:
        _write_junit(results, Path(options.junit))
    if options.json:
        fields = ("path", "result", "line", "message", "rule")
        print(
            json.dumps(
                {"scripts": [{name: asdict(result)[name] for name in fields} for result in results]}, indent=1
            )
        )
    else:
        _tell(results)
    return int(any(result.result != "passed" for result in results))


def _found(paths: list[str]) -> list[str]:
    scripts: list[str] = []
    for path in map(Path, paths):
        if path.is_dir():
            scripts += sorted(str(found) for found in path.rglob(f"*{_SUFFIX}"))
        elif path.is_file():
            scripts.append(str(path))
        else:
            raise ArgumentError("SCRIPT", str(path), "a file or a folder that exists")
    if not scripts:
        raise ArgumentError("DIR", " ".join(paths), f"a folder with *{_SUFFIX} in it")
    return scripts


def _all(scripts: list[str], choices: Choices, jobs: int, *, shows_progress: bool) -> Iterator[Result]:
    jobs = min(jobs or os.cpu_count() or 1, 1 + len(scripts) // _FEW)
    work = partial(one, choices=choices)
    if jobs == 1:
        yield from _with_progress(map(work, scripts), len(scripts), shows=shows_progress)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from _with_progress(pool.map(work, scripts, chunksize=8), len(scripts), shows=shows_progress)


def _with_progress(results: Iterator[Result], total: int, *, shows: bool) -> Iterator[Result]:
    for number, result in enumerate(results, 1):
        if shows:
            done = 40 * number // total
            end = "\r" if number < total else "\r\x1b[K"
            print(f"[{'#' * done}{'.' * (40 - done)}] {number}/{total}", end=end, file=sys.stderr, flush=True)
        yield result


# One script


def one(path: str, choices: Choices) -> Result:
    """Run one script."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
        script = drill.parse(text, path=path, defined=choices.defined)
    except OSError as error:
        return Result(path, "error", 0, error.strerror or str(error), "")
    except ScriptError as error:
        return Result(path, "error", error.line, str(error), report.explain(_line(text, error.line), error))
    trace = Trace()
    outcome = _performed(script, choices, trace)
    if choices.pcapng:
        _capture(trace, Path(path), Path(choices.pcapng))
    return Result(
        path, outcome.result, outcome.line, outcome.message, _detail(text, outcome, trace), outcome.rule
    )


def _performed(script: Script, choices: Choices, trace: Trace) -> Outcome:
    profile = Profile.named(choices.profile or _folder(script.path))
    if choices.against == "kernel":
        return kernel.run(
            script, profile, _opened, skipped=partial(_tell_skipped, script.path), observer=trace
        )
    return drill.run(script, profile, witness=trace)


def _folder(path: str) -> str:
    """Name of the profile: that of the script's folder if there is such a profile, else the default."""
    name = Path(path).resolve().parent.name
    return name if name in Profile.names() else _DEFAULT_PROFILE


def _capture(trace: Trace, path: Path, folder: Path) -> None:
    name = "_".join(path.with_suffix(".pcapng").parts[-3:]).lstrip("/_")
    with (folder / name).open("wb") as file:
        pcapng.write(trace, file)


def _opened(ends: Ends) -> Tun:
    """Open the device for the kernel, with a route that sends all packets of the kernel there."""
    tun = device.opened(_DEVICE, [Interface(ends.local.address, ends.prefix_length)], mtu=ends.mtu)
    device.ip("-4" if len(ends.local.address) == 4 else "-6", "route", "add", "default", "dev", _DEVICE)
    return tun


def _tell_skipped(path: str, line: int, command: str) -> None:
    print(f"{path}:{line}: skipped: {command}", file=sys.stderr)


def _detail(text: str, outcome: Outcome, trace: Trace) -> str:
    if outcome.failure is None:
        return ""
    parts = [report.explain(_line(text, outcome.line), outcome.failure, outcome.rule), outcome.state]
    if outcome.result == "failed" and trace.packets:
        parts.append(ladder.render(trace, width=_LADDER))
    return "\n\n".join(part for part in parts if part)


def _line(text: str, number: int) -> str:
    lines = text.split("\n")
    return lines[number - 1] if 0 < number <= len(lines) else ""


# Results of all scripts


def _tell(results: list[Result]) -> None:
    for result in results:
        if result.result != "passed":
            print(f"{result.path}:{result.line}: {result.result}: {result.message}")
            print("".join(f"    {line}\n" for line in result.detail.splitlines()))
    for folder, counts in sorted(_by_folder(results).items()):
        print(f"{_counted(counts)}  {folder}")
    print(f"{_counted(Counter(result.result for result in results))}  in all")


def _by_folder(results: list[Result]) -> dict[str, Counter[str]]:
    folders: dict[str, Counter[str]] = {}
    for result in results:
        folders.setdefault(str(Path(result.path).parent), Counter())[result.result] += 1
    return folders


def _counted(counts: Counter[str]) -> str:
    return f"{counts['passed']:5} passed {counts['failed']:5} failed {counts['error']:5} not understood"


def _write_junit(results: list[Result], path: Path) -> None:
    counts = Counter(result.result for result in results)
    suite = ET.Element(
        "testsuite",
        name="postel drill",
        tests=str(len(results)),
        failures=str(counts["failed"]),
        errors=str(counts["error"]),
    )
    for result in results:
        case = ET.SubElement(
            suite, "testcase", classname=str(Path(result.path).parent), name=Path(result.path).name
        )
        if result.result != "passed":
            kind = "failure" if result.result == "failed" else "error"
            rule = f" ({result.rule})" if result.rule else ""
            ET.SubElement(
                case, kind, message=f"line {result.line}: {result.message}{rule}"
            ).text = _printable(result.detail)
    try:
        ET.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise ArgumentError("--junit", str(path), f"a file that can be written ({error.strerror})") from error


def _printable(text: str) -> str:
    """Remove the control characters that XML can't hold."""
    return "".join(character for character in text if character >= " " or character in "\n\t")
