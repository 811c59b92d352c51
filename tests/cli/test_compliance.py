"""`postel compliance`: what it prints."""

import json

import pytest

from postel.cli import main


def printed(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["compliance", *options]) == 0
    return capsys.readouterr().out


def test_a_rule_its_code_its_tests_and_the_sum(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys).splitlines()
    assert any(line.startswith("MUST-58 ") and " passed " in line and " MUST " in line for line in lines)
    assert any(line.strip().startswith("postel/tcp/") for line in lines)
    assert any(line.strip().startswith("tests/tcp/") for line in lines)
    assert lines[-1].endswith(" open")


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    rules = json.loads(printed(capsys, "--json"))["rules"]
    assert sum(rule["source"] == "appendix-b" for rule in rules) == 119
    assert {rule["result"] for rule in rules} <= {"passed", "answered", "open"}


def test_only_what_is_open(capsys: pytest.CaptureFixture[str]) -> None:
    rules = json.loads(printed(capsys, "--json", "--open"))["rules"]
    assert {rule["result"] for rule in rules} <= {"open"}


def test_one_rfc(capsys: pytest.CaptureFixture[str]) -> None:
    rules = json.loads(printed(capsys, "--json", "--rfc", "5961"))["rules"]
    assert {rule["rfc"] for rule in rules} == {"RFC 5961"}


def test_an_rfc_without_rules_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compliance", "--rfc", "1"]) == 2
    assert "--rfc" in capsys.readouterr().err
