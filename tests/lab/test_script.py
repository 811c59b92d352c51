"""Runs as packetdrill scripts, which pass."""

import pytest

from postel import drill
from postel.drill.profile import PROFILES
from postel.errors import ArgumentError
from postel.lab import Interference, claims, run, script
from postel.lab.scene import Scene

# What a script can't say: several connections, datagrams, a restart, data on a handshake, a stack that isn't
# Postel, a congestion controller.
SILENT = {
    "random-isn",
    "wrong-ack",
    "backlog-full",
    "old-duplicates",
    "six-flags",
    "socket-pair",
    "udp-no-handshake",
    "url-to-page",
    "syn-flood",
    "cookies-cost",
    "many-time-waits",
    "close-wait-stays",
    "head-of-line",
    "paws",
    "slow-start",
    "congestion-avoidance",
    "fast-retransmit",
    "fast-recovery",
}


def written(scene: Scene) -> list[str]:
    texts = []
    for host in ("client", "server"):
        try:
            texts.append(script.write(scene, host, "a run"))
        except ArgumentError:
            continue
    return texts


@pytest.mark.parametrize("name", claims())
def test_the_first_run_of_a_claim_is_a_script_that_passes(name: str) -> None:
    texts = written(run(name).scenes[0])
    assert bool(texts) == (name not in SILENT)
    for text in texts:
        assert drill.run(drill.parse(text), PROFILES["rfc"]).result == "passed"


def test_a_script_says_what_was_chosen_and_lost() -> None:
    (scene,) = run("four-way", Interference.read(drop="4", settings=["msl=30s", "timestamps=off"])).scenes
    text = script.write(scene, "client", "postel lab run four-way")
    assert text.startswith(
        "// postel lab run four-way\n--mtu=1500\n0.000000 `sysctl net.inet.tcp.msl=30000`\n"
    )
    assert "`sysctl net.ipv4.tcp_timestamps=0`" in text
    assert text.count("> F. 1:1(0) ack 1 ") == 2
    assert text.count("< F. ") == 1


def test_a_script_fails_where_the_stack_does_something_else() -> None:
    (scene,) = run("four-way").scenes
    text = script.write(scene, "client", "a run").replace("> F. 1:1(0)", "> F. 2:2(0)")
    assert drill.run(drill.parse(text), PROFILES["rfc"]).result == "failed"


@pytest.mark.parametrize("setting", ["paws_idle=1d", "window_scaling=off"])
def test_choices_that_packetdrill_cannot_make(setting: str) -> None:
    (scene,) = run("three-way", Interference.read(settings=[setting])).scenes
    if setting == "paws_idle=1d":
        with pytest.raises(ArgumentError, match="settings that a packetdrill script can make"):
            script.write(scene, "client", "a run")
    else:
        assert "tcp_window_scaling=0" in script.write(scene, "client", "a run")
