"""Names of controllers: those that are known from the start, and those that users add."""

from dataclasses import replace
from typing import Any

import pytest

from postel import congestion
from postel.congestion import BBR, Congestion, Cubic, Reno, register, registered
from postel.errors import ArgumentError
from postel.tcp.config import DEFAULT, Config


class Mine(Reno):
    pass


class Other(Reno):
    pass


@pytest.mark.parametrize(("name", "controller"), [("bbr", BBR), ("cubic", Cubic), ("reno", Reno)])
def test_known_from_the_start(name: str, controller: type[Congestion]) -> None:
    assert name in registered()
    assert Config(congestion=name).congestion is controller
    assert replace(DEFAULT, congestion=name).controller is controller
    assert Config(congestion=name) == Config(congestion=controller)


def test_a_name_of_ones_own() -> None:
    register("registered-here", Mine)
    assert "registered-here" in registered()
    assert Config(congestion="registered-here").congestion is Mine
    register("registered-here", Mine)


def test_a_class_that_is_defined_anew_replaces_the_one_before() -> None:
    first, second = (type("Anew", (Reno,), {}) for _ in range(2))
    register("anew", first)
    before = Config(congestion="anew")
    register("anew", second)
    assert Config(congestion="anew").congestion is second
    assert before.congestion is first


def test_a_name_that_is_taken() -> None:
    register("taken", Mine)
    with pytest.raises(
        ArgumentError, match="name is 'taken'; allowed: a name that doesn't stand for Mine already"
    ):
        register("taken", Other)
    assert Config(congestion="taken").congestion is Mine


def test_an_unknown_name_is_told_the_known() -> None:
    with pytest.raises(
        ArgumentError, match=r"congestion is 'no-such'; allowed: one of .*bbr, cubic, .*reno.*, or a subclass"
    ):
        Config(congestion="no-such")


@pytest.mark.parametrize("name", ["", "Mine", "1st", "-mine", "my own", "mine\n", "ß", "mine=1", 5, None])
def test_what_no_command_line_carries_is_no_name(name: Any) -> None:
    with pytest.raises(ArgumentError, match="name is "):
        register(name, Mine)


@pytest.mark.parametrize("controller", [int, None, "reno", Reno(1460, 14600)])
def test_what_is_no_class_of_controllers_gets_no_name(controller: Any) -> None:
    with pytest.raises(ArgumentError, match="controller is "):
        register("nothing", controller)
    assert "nothing" not in registered()


def test_everything_public_is_there() -> None:
    assert all(hasattr(congestion, name) for name in congestion.__all__)
