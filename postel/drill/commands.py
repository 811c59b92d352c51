"""Shell commands of scripts that concern a stack: they change settings, or ask for its connections.

No shell runs. The commands are recognised by their text.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from postel.drill.network import Network
from postel.drill.profile import FastOpenSide, Profile
from postel.errors import ArgumentError, ScriptError, ScriptFailed
from postel.tcp.config import Config
from postel.tcp.state import State

SYSCTL: Final = re.compile(r"(?:/sbin/)?sysctl(?:\s+-\w+)*\s+([\w.]+)\s*=\s*\"?(\S+?)\"?$")
SOCKSTAT: Final = re.compile(
    r"sockstat\b(?P<options>[^|]*)(?:\|\s*grep packetdril\w*\s*)?"
    r"\|\s*grep -c (?P<state>\w+)\s*\|\s*grep (?P<count>\d+)$"
)
_PORT: Final = re.compile(r"-p\s+(\d+)")
_DROP: Final = re.compile(r"tcpdrop\s+-s\s+(\w+)$")
_FORGET: Final = re.compile(r"ip tcp_metrics flush")
_HARMLESS: Final = re.compile(r"(?:\S*/)?defaults\.sh\b|true$|kldstat\b|setkey\b|kldload\b|sleep 0$")

_SIDES: Final[dict[str, FastOpenSide]] = {"fast_open_client": "client", "fast_open_server": "server"}
STATES: Final = {
    "CLOSED": State.CLOSED, "LISTEN": State.LISTEN, "SYN_SENT": State.SYN_SENT,
    "SYN_RCVD": State.SYN_RECEIVED,
    "SYN_RECEIVED": State.SYN_RECEIVED, "SYN_RECV": State.SYN_RECEIVED, "ESTABLISHED": State.ESTABLISHED,
    "FIN_WAIT_1": State.FIN_WAIT_1, "FIN_WAIT1": State.FIN_WAIT_1, "FIN_WAIT_2": State.FIN_WAIT_2,
    "FIN_WAIT2": State.FIN_WAIT_2,
    "CLOSE_WAIT": State.CLOSE_WAIT, "CLOSING": State.CLOSING, "LAST_ACK": State.LAST_ACK,
    "TIME_WAIT": State.TIME_WAIT,
}  # fmt: skip


def execute(command: str, profile: Profile, config: Config, network: Network, line: int) -> Config:
    """Carry out a command. Returns the settings after the command.

    Raises ScriptFailed if a question has another answer than that in the script, and ScriptError for an
    unknown command.
    """
    for part in command.split(";"):
        config = _one(part.strip(), profile, config, network, line) if part.strip() else config
    return config


def _one(command: str, profile: Profile, config: Config, network: Network, line: int) -> Config:
    setting = SYSCTL.match(command)
    if setting is not None:
        return _set(setting[1], setting[2], profile, config, network, line)
    question = SOCKSTAT.match(command)
    drop = _DROP.match(command)
    if question is not None:
        ask(question, network.count, line)
    elif drop is not None:
        network.forget(_state(drop[1], line))
    elif _FORGET.search(command):
        network.host.forget_cookies()
    elif not _HARMLESS.search(command):
        raise ScriptError(line, command, "this command isn't known")
    return config


def _set(name: str, value: str, profile: Profile, config: Config, network: Network, line: int) -> Config:
    if name not in profile.sysctls:
        raise ScriptError(line, name, f"this variable isn't known to the profile {profile.name}")
    if not value.isdigit():
        raise ScriptError(line, value, "expected a number")
    if value not in profile.fixed.get(name, (value,)):
        raise ScriptError(line, f"{name}={value}", f"Postel only has {' or '.join(profile.fixed[name])}")
    meanings = profile.meanings.get(name, {value: int(value)})
    if value not in meanings:
        raise ScriptError(line, f"{name}={value}", f"Postel knows {', '.join(meanings)}")
    fields, unit = profile.sysctls[name]
    for bit, field in enumerate(fields):
        if field in _SIDES:
            network.allow_fast_open(_SIDES[field], allowed=int(value) >> bit & 1 != 0)
        else:
            meant = meanings[value]
            config = _changed(config, field, meant * unit if isinstance(meant, int) else meant, line)
    return config


def _changed(config: Config, field: str, value: int | str, line: int) -> Config:
    """Settings with another value of ``field``. For a boolean, ``!`` before its name means the opposite."""
    name = field.removeprefix("!")
    changes: dict[str, Any] = {
        name: (value != 0) != (name != field) if isinstance(getattr(config, name), bool) else value
    }
    try:
        return replace(config, **changes)
    except ArgumentError as error:
        raise ScriptError(line, str(value), str(error)) from error


def ask(question: re.Match[str], count: Callable[[State, int], int], line: int) -> None:
    """Compare a number of connections in a script with ``count(state, port)``, where port 0 means any port.

    Raises ScriptFailed if the numbers differ.
    """
    port = _PORT.search(question["options"])
    actual = count(_state(question["state"], line), int(port[1]) if port else 0)
    # The script's second grep finds the digits anywhere in the first one's count, as it does in a shell
    if question["count"] not in str(actual):
        raise ScriptFailed(
            line, f"connections in {question['state']}", question["count"], actual, question["count"]
        )


def _state(word: str, line: int) -> State:
    if word not in STATES:
        raise ScriptError(line, word, "this isn't a state of TCP")
    return STATES[word]
