"""Grammar of packetdrill scripts: events with their times, calls, commands and code.

`postel.drill.segments` has the grammar of packets.
"""

from collections.abc import Collection
from typing import Final

from postel.drill.cursor import Cursor
from postel.drill.lexer import TOO_DEEP, tokens
from postel.drill.script import (
    ANY,
    Action,
    Anchor,
    Call,
    Code,
    Command,
    Either,
    Event,
    Function,
    Name,
    Script,
    When,
)
from postel.drill.segments import packet
from postel.errors import ScriptError

OPTIONS: Final = (
    "ip_version",
    "local_ip",
    "remote_ip",
    "mtu",
    "tolerance_usecs",
    "tcp_ts_tick_usecs",
    "tcp_md5_secret",
)


def parse(text: str, *, path: str = "", defined: Collection[str] = ()) -> Script:
    """Script in ``text``. Raises ScriptError with the line and the word that can't be understood.

    ``defined`` has the names that ``#ifdef`` finds defined.
    """
    script = Script(path)
    cursor = Cursor(tokens(text, defined))
    while cursor.token.kind == "option":
        name, _, value = cursor.token.text.strip().removeprefix("--").partition("=")
        if name not in OPTIONS:
            raise ScriptError(cursor.line, f"--{name}", "this option isn't known")
        cursor.next()
        script.options[name] = value.partition("//")[0].strip()
    while not cursor.at_end:
        try:
            script.events.append(_event(cursor))
        except RecursionError:
            raise ScriptError(cursor.line, "", TOO_DEEP) from None
    if script.events and script.events[0].when.anchor is Anchor.ABSOLUTE and script.events[0].when.time != 0:
        raise ScriptError(script.events[0].line, "", "the first event must be at 0")
    return script


def _event(cursor: Cursor) -> Event:
    line = cursor.line
    if cursor.token.kind in ("command", "code"):  # an event without a time happens at once
        return Event(line, When(Anchor.RELATIVE), _action(cursor))
    when = _when(cursor)
    return Event(line, when, _action(cursor))


def _when(cursor: Cursor) -> When:
    if cursor.takes("*"):
        return When(Anchor.ANY)
    anchor = Anchor.RELATIVE if cursor.takes("+") else Anchor.ABSOLUTE
    time = cursor.seconds()
    latest = ends = ANY
    if cursor.takes("~"):
        cursor.takes("+")
        latest = cursor.seconds()
    elif cursor.takes("..."):
        cursor.takes("+")
        ends = cursor.seconds()
    if ANY < max(latest, ends) < time:
        raise cursor.refusal("this time is before the one to its left")
    return When(anchor, time, latest, ends)


def _action(cursor: Cursor) -> Action:
    kind = cursor.token.kind
    if kind == "command":
        return Command(" ".join(cursor.next().text[1:-1].split()))
    if kind == "code":
        return Code(cursor.next().text[2:-2])
    if cursor.sees("<", ">"):
        return packet(cursor)
    if kind == "word":
        return _call(cursor)
    raise cursor.refusal("expected a packet, a call, a command or code")


# Calls


def _call(cursor: Cursor) -> Call:
    name = cursor.word()
    cursor.expect("(")
    arguments = _list(cursor, ")")
    cursor.expect("=")
    result = _expression(cursor)
    error = ""
    if cursor.token.kind == "word" and cursor.token.text.startswith("E"):
        error = cursor.word()
    note = ""
    while cursor.sees("("):
        note = _note(cursor)
    return Call(name, arguments, result, error, note)


def _list(cursor: Cursor, end: str) -> tuple[object, ...]:
    items: list[object] = []
    while not cursor.takes(end):
        items.append(_expression(cursor))
        if not cursor.sees(end):
            cursor.expect(",")
    return tuple(items)


def _expression(cursor: Cursor) -> object:
    parts = [_part(cursor)]
    while cursor.takes("|"):
        parts.append(_part(cursor))
    return parts[0] if len(parts) == 1 else Either(tuple(parts))


def _part(cursor: Cursor) -> object:
    token = cursor.token
    if cursor.takes("..."):
        return ...
    if token.kind == "string":
        return cursor.next().text[1:-1]
    if token.kind == "decimal":
        return float(cursor.next().text)
    if cursor.takes("["):
        return list(_list(cursor, "]"))
    if cursor.takes("{"):
        return _structure(cursor)
    if token.kind == "word":
        name = cursor.word()
        return Function(name, _list(cursor, ")")) if cursor.takes("(") else Name(name)
    return cursor.number()


def _structure(cursor: Cursor) -> object:
    """Read a structure such as ``{onoff=1, linger=0}`` as a dict, or without names, ``{1, 0}``, as a tuple.

    In ``msg_iov(2)=…`` the 2 becomes the field ``msg_iov(count)``.
    """
    fields: dict[str, object] = {}
    items: list[object] = []
    while not cursor.takes("}"):
        if cursor.token.kind == "word" and cursor.ahead(1).text == "(" and cursor.ahead(4).text == "=":
            name = cursor.word()
            cursor.expect("(")
            fields[f"{name}(count)"] = _expression(cursor)
            cursor.expect(")")
            cursor.expect("=")
            fields[name] = _expression(cursor)
        elif cursor.token.kind == "word" and cursor.ahead(1).text in ("=", ":"):
            name = cursor.word()
            cursor.next()
            fields[name] = _expression(cursor)
        else:
            items.append(_expression(cursor))
        if not cursor.sees("}"):
            cursor.expect(",")
    return fields or tuple(items)


def _note(cursor: Cursor) -> str:
    """Read a remark for human readers, such as ``(Operation now in progress)``."""
    words = []
    depth = 0
    while True:
        if cursor.at_end:
            raise cursor.refusal("expected ')'")
        depth += cursor.sees("(") - cursor.sees(")")
        words.append(cursor.next().text)
        if depth == 0:
            return " ".join(words[1:-1])
