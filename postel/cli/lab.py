"""Try what tutorials say of TCP on the real stack, and show what happens.

Without arguments the command lists the claims. It can try one of them, or all::

    postel lab run stale-syn
    postel lab run all

It finds claims by the words that people use, in English or Chinese::

    postel lab --find "syn flood"

The user can interfere, by the numbers that the ladder prints, and look closer::

    postel lab run four-way --drop 5 --set msl=30s --view states --view tcb

Exit status 1 means that a verdict differs from the one in the list, or that no claim is about the words of
``--find``.
"""

import argparse
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

from postel import lab
from postel.cli.network import interference
from postel.cli.network.recording import (
    can_encode,
    columns,
    json_text,
    preferred_language,
    show,
    speakable,
    unfolding,
)
from postel.errors import ArgumentError
from postel.lab import Report, script, variables
from postel.lab.scene import Scene
from postel.view import header, notes, pcapng, states, timeline, trace_json
from postel.view.svg import diagram
from postel.view.svg import ladder as picture
from postel.view.width import left, plain, width, wrap
from postel.web import page

_NARROWEST: Final = 60  # smallest width of text, in columns
_ALL: Final = "all"
_VIEWS: Final = ("ladder", "states", "tcb", "bytes", "timeline")
_INTERFERING: Final = ("drop", "dup", "delay", "corrupt", "reorder", "loss")
_EXAMPLES: Final = {"en": "TIME_WAIT, SYN flood, Nagle", "zh": "TIME_WAIT、SYN 洪泛、粘包"}
_MARKS: Final = {True: "✓", False: "✗"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to ``parser``."""
    _language(parser)
    parser.add_argument(
        "--find",
        metavar="WORDS",
        help='list only the claims about these words, in English or Chinese, such as "syn flood"',
    )
    commands = parser.add_subparsers(dest="action", metavar="run", help="try one of the claims, or all")
    one = commands.add_parser("run", help="try a claim", description="Try a claim on the real stack.")
    one.add_argument("claim", metavar=f"CLAIM|{_ALL}", help="name of a claim in the list, or all")
    _language(one)
    interference.arguments(one)
    _look_closer(one.add_argument_group("look closer"))


def _look_closer(look: argparse._ActionsContainer) -> None:
    """Add the arguments that choose views of the runs and files to write."""
    look.add_argument(
        "--view",
        action="append",
        choices=_VIEWS,
        help="view of a run, may be given again; default: the claim's",
    )
    look.add_argument("--only", metavar="N", type=int, default=0, help="show only this run of several")
    look.add_argument(
        "--packet",
        metavar="N",
        type=int,
        default=0,
        help="packet for --view bytes; default: the first with data",
    )
    unfolding(look)
    look.add_argument(
        "--html", metavar="PAGE", help="write a page to step through the runs, which needs no other file"
    )
    look.add_argument(
        "--svg",
        metavar="FILE",
        help="write the ladder as a picture, or with --view states the diagram; further runs into FILE-2, …",
    )
    look.add_argument(
        "--pcapng",
        metavar="FILE",
        help="write the packets for Wireshark, with comments; further runs into FILE-2, …",
    )
    look.add_argument(
        "--pkt", metavar="FILE", help="write the first run, or that of --only, as a packetdrill script"
    )
    look.add_argument(
        "--side",
        choices=("client", "server"),
        default="client",
        help="end that the script tests; default %(default)s",
    )
    look.add_argument("--json", action="store_true", help="print everything as JSON on standard output")


def _language(parser: argparse.ArgumentParser) -> None:
    languages = (*notes.LANGUAGES, "both")
    parser.add_argument(
        "--lang",
        choices=languages,
        default=argparse.SUPPRESS,
        help=f"language; default {preferred_language()}",
    )


def run(options: argparse.Namespace) -> int:
    """List the claims, or try one or all.

    Returns 1 if a verdict differs from the one in the list, or if no claim is about the words to find.
    """
    languages = _languages(getattr(options, "lang", preferred_language()))
    if options.find is not None:
        return _find(options, languages)
    if options.action is None:
        _list(languages)
        return 0
    told = interference.read(options)
    chosen = list(lab.claims()) if options.claim == _ALL else [lab.claim(options.claim).id]
    reports = [_narrowed(lab.run(name, told), options.only) for name in chosen]
    _write(reports, options, languages)
    if options.json:
        print(json_text({"claims": [_as_data(report) for report in reports]}, sys.stdout, indent=1))
    elif options.claim == _ALL:
        _tell_all(reports, languages)
    else:
        _tell(reports[0], options, languages)
        _tell_absent(reports[0], told, languages[0])
    return int(not all(report.agrees for report in reports))


def _narrowed(report: Report, only: int) -> Report:
    """Report with only the run that the options name, or the report as it is."""
    if not only:
        return report
    if not 1 <= only <= len(report.scenes):
        raise ArgumentError("--only", only, f"the number of a run, 1 to {len(report.scenes)}")
    return replace(report, scenes=[report.scenes[only - 1]])


def _languages(wanted: str) -> list[str]:
    """Languages that the terminal can show; the first one is the ladder's."""
    both = [preferred_language(), *notes.LANGUAGES] if wanted == "both" else [wanted]
    return list(dict.fromkeys(speakable(language, sys.stdout) for language in both))


def _say(key: str, language: str, **values: object) -> str:
    return lab.words()[key][language].format(**values)


def _print(text: str) -> None:
    """Print a text, in ASCII where the terminal lacks its characters."""
    print(text if can_encode(text, sys.stdout) else plain(text))


def _room() -> int:
    return max(columns(sys.stdout), _NARROWEST)


# The list of claims


def _list(languages: list[str]) -> None:
    names = max(map(len, lab.claims()))
    verdicts = max(width(_say(str(claim.verdict), languages[0])) for claim in lab.claims().values())
    indent = names + verdicts + 6
    group = ""
    for claim in lab.claims().values():
        if claim.group != group:
            group = claim.group
            print(
                ("\n" if claim.id != next(iter(lab.claims())) else "")
                + " / ".join(_say(group, language) for language in languages)
            )
        lines = [line for language in languages for line in wrap(claim.text[language], _room() - indent)]
        print(f"  {claim.id:{names}}  {left(_say(str(claim.verdict), languages[0]), verdicts)}  {lines[0]}")
        for line in lines[1:]:
            print(" " * indent + line)
    print(f"\n{_say('hint', languages[0], name='stale-syn')}")


def _find(options: argparse.Namespace, languages: list[str]) -> int:
    """List the claims about the words of ``--find``, each in a line. Returns 1 if there is none."""
    if options.action is not None:
        raise ArgumentError("--find", options.find, "without run: it lists claims")
    found = lab.find(options.find)
    if not found:
        text = _say("none found", languages[0], words=repr(options.find), examples=_EXAMPLES[languages[0]])
        _print("\n".join(wrap(text, _room())))
        return 1
    names = max(len(claim.id) for claim in found)
    verdicts = max(width(_say(str(claim.verdict), languages[0])) for claim in found)
    room = _room() - names - verdicts - 4
    for claim in found:
        verdict = left(_say(str(claim.verdict), languages[0]), verdicts)
        _print(f"{claim.id:{names}}  {verdict}  {_first_line(claim.text[languages[0]], room)}")
    _print("\n" + _say("hint", languages[0], name=found[0].id))
    return 0


def _first_line(text: str, room: int) -> str:
    """Return the first line of a text that is ``room`` columns wide at most, with "…" if more follows."""
    if width(text) <= room:
        return text
    return wrap(text, room - 2)[0] + " …"


def _tell_all(reports: list[Report], languages: list[str]) -> None:
    names = max(len(report.claim.id) for report in reports)
    marks = _MARKS if can_encode("✓✗", sys.stdout) else {True: "+", False: "!"}
    for report in reports:
        found = (
            ""
            if report.agrees
            else f"  {_say('found', languages[0])}: {_say(str(report.verdict), languages[0])}"
        )
        print(
            f"{marks[report.agrees]} {report.claim.id:{names}}  "
            f"{_say(str(report.claim.verdict), languages[0])}{found}"
        )
    agreed = sum(report.agrees for report in reports)
    print(f"\n{_say('agreed', languages[0], count=agreed, total=len(reports))}")


# One claim


def _tell(report: Report, options: argparse.Namespace, languages: list[str]) -> None:
    claim = report.claim
    ascii_only = not can_encode("─►╳│├◷“", sys.stdout)
    _paragraph("claim", [claim.text[language] for language in languages], languages[0])
    for number, scene in enumerate(report.scenes, options.only or 1):
        print()
        if claim.runs:
            title = " / ".join(claim.runs[scene.title][language] for language in languages)
            _print(_say("run", languages[0], number=number, title=title) + "\n")
        for place, view in enumerate(options.view or claim.views):
            print(end="\n" if place else "")
            _show(view, scene, options, languages[0], ascii_only=ascii_only)
    print()
    _paragraph("look", [claim.look[language] for language in languages], languages[0])
    _paragraph("verdict", [report.conclusion(language) for language in languages], languages[0])
    _paragraph("rfc", [claim.rfc], languages[0])
    _paragraph("again", [_again(options, claim.id)], languages[0])


def _tell_absent(report: Report, told: lab.Interference, language: str) -> None:
    """Report each packet number in the options that no run reached."""
    most = max(scene.world.packets for scene in report.scenes)
    for number in sorted(told.verdicts):
        if number > most:
            print(f"postel: {_say('absent', language, number=number, most=most)}", file=sys.stderr)


def _paragraph(key: str, texts: list[str], language: str) -> None:
    """Print a heading, and lines of text to the right of it."""
    column = (
        max(width(_say(heading, language)) for heading in ("claim", "look", "verdict", "rfc", "again")) + 2
    )
    heading = _say(key, language)
    for text in texts:
        for line in wrap(text, _room() - column):
            _print(left(heading, column) + line)
            heading = ""


def _show(view: str, scene: Scene, options: argparse.Namespace, language: str, *, ascii_only: bool) -> None:
    if view == "ladder":
        show(scene.trace, language, sys.stdout, unfold=options.unfold)
        return
    makers = {
        "states": partial(states.render, scene.trace, ascii_only=ascii_only),
        "tcb": partial(variables.render, scene, ascii_only=ascii_only),
        "bytes": partial(_bytes, scene, options.packet, ascii_only=ascii_only),
        "timeline": partial(timeline.render, scene.trace, width=_room(), ascii_only=ascii_only),
    }
    print(makers[view]() or _say("nothing", language))


def _bytes(scene: Scene, number: int, *, ascii_only: bool) -> str:
    packets = [packet for packet in scene.trace.packets if not packet.copy]
    wanted = [packet for packet in packets if packet.number == number] if number else _interesting(scene)
    if not wanted:
        raise ArgumentError("--packet", number, f"the number of a packet, 1 to {len(packets)}")
    return header.render(wanted[0], ascii_only=ascii_only)


def _interesting(scene: Scene) -> list[Any]:
    """Packets with data, or all packets where none has data."""
    packets = scene.trace.packets
    return [packet for packet in packets if packet.segment is not None and packet.segment.data] or packets


def _again(options: argparse.Namespace, claim: str) -> str:
    words = ["postel", "lab", "run", claim]
    for name in _INTERFERING:
        if value := getattr(options, name):
            words += [f"--{name}", value]
    for setting in options.set:
        words += ["--set", setting]
    if options.seed != 1:
        words += ["--seed", str(options.seed)]
    return shlex.join(words)


# Files


def _write(reports: list[Report], options: argparse.Namespace, languages: list[str]) -> None:
    if options.html:
        commands = [_again(options, report.claim.id) for report in reports]
        chosen = getattr(options, "lang", "both")
        # A page can show Chinese even where the terminal can't.
        language = preferred_language() if chosen == "both" else chosen
        text = page.of(reports, language, commands=commands, unfold=options.unfold)
        with _opened("--html", Path(options.html)) as file:
            file.write(text.encode())
    if options.svg:
        for path, scene in _paths(reports, Path(options.svg)):
            with _opened("--svg", path) as file:
                file.write(_picture(scene, options, languages).encode())
    if options.pcapng:
        for path, scene in _paths(reports, Path(options.pcapng)):
            with _opened("--pcapng", path) as file:
                pcapng.write(scene.trace, file, language=languages[0])
    if options.pkt:
        if options.claim == _ALL:
            raise ArgumentError("--pkt", options.pkt, "only with a single claim")
        text = script.write(reports[0].scenes[0], options.side, _again(options, options.claim))
        with _opened("--pkt", Path(options.pkt)) as file:
            file.write(text.encode())


def _picture(scene: Scene, options: argparse.Namespace, languages: list[str]) -> str:
    if options.view and options.view[0] == "states":
        return diagram.render(scene.trace.flows)
    return picture.render(scene.trace.flows, language=languages[0], unfold=options.unfold)


def _paths(reports: list[Report], path: Path) -> Iterator[tuple[Path, Scene]]:
    """Path of a file, and scene, for each run of a report.

    Each run gets its own file, because in a common capture Wireshark would show the packets of the second run
    as retransmissions of packets of the first run.
    """
    for report in reports:
        stem = path.stem if len(reports) == 1 else f"{path.stem}-{report.claim.id}"
        for number, scene in enumerate(report.scenes, 1):
            yield path.with_stem(stem if number == 1 else f"{stem}-{number}"), scene


def _opened(option: str, path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise ArgumentError(option, str(path), f"a file that can be written ({error.strerror})") from error


def _as_data(report: Report) -> dict[str, Any]:
    claim = report.claim
    return {
        "claim": claim.id,
        "group": claim.group,
        "text": {language: claim.text[language] for language in notes.LANGUAGES},
        "look": {language: claim.look[language] for language in notes.LANGUAGES},
        "note": {language: claim.note[language] for language in notes.LANGUAGES},
        "rfc": claim.rfc,
        "verdict": str(claim.verdict),
        "found": str(report.verdict),
        "agrees": report.agrees,
        "runs": [
            {
                "title": scene.title,
                "connections": trace_json.of_flows(scene.trace.flows),
                "variables": variables.rows(scene),
            }
            for scene in report.scenes
        ],
    }
