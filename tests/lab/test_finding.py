"""Claims are found by the words that people use."""

import pytest

from postel.lab import find


def found(words: str) -> list[str]:
    return [claim.id for claim in find(words)]


@pytest.mark.parametrize(
    ("words", "first"),
    [
        ("syn flood", "syn-flood"),
        ("SYN洪泛", "syn-flood"),
        ("SYN 泛洪", "syn-flood"),
        ("ＳＹＮ洪泛", "syn-flood"),  # full-width letters, as Chinese input methods write them
        ("TIME_WAIT 过多", "many-time-waits"),
        ("too many CLOSE_WAIT", "close-wait-stays"),
        ("为什么三次握手", "stale-syn"),
        ("三次握手", "three-way"),
        ("why 2MSL", "why-two-msl"),
        ("为什么四次挥手？", "why-not-three"),
        ("粘包", "byte-stream"),
        ("address already in use", "port-busy"),
        ("connection reset by peer", "rst-aborts"),
        ("head-of-line blocking", "head-of-line"),
        ("队头阻塞", "head-of-line"),
        ("Nagle", "nagle-delayed-ack"),
        ("keepalive", "keep-alive"),
        ("慢启动", "slow-start"),
        ("快速重传", "fast-retransmit"),
        ("Karn", "karn"),
        ("序列号回绕", "numbers-wrap"),
        ("zero window deadlock", "zero-window-deadlock"),
        ("SO_LINGER", "linger-zero"),
    ],
)
def test_the_claim_that_people_mean_is_the_first(words: str, first: str) -> None:
    assert found(words)[:1] == [first]


def test_every_word_must_be_there() -> None:
    assert "many-time-waits" in found("TIME_WAIT ports")
    assert "last-ack-lost" not in found("TIME_WAIT ports")


def test_a_plural_finds_the_singular() -> None:
    assert found("zero windows") == found("zero window")


def test_a_name_with_a_sign_between_is_one_word() -> None:
    assert found("TIME_WAIT") == found("time-wait")
    assert "keep-alive" not in found("TIME_WAIT")


def test_a_chinese_word_with_more_around_it_is_found_by_its_parts() -> None:
    assert found("拥塞窗口减半")[0] == "fast-recovery"
    assert found("保活机制的原理") == ["keep-alive"]


def test_what_the_other_texts_say_is_found_where_no_name_has_it() -> None:
    assert found("seq+urg") == ["urgent-pointer"]


@pytest.mark.parametrize("words", ["", "  ", "为什么", "the", "frobnicate", "syn frobnicate", "量子纠缠"])
def test_nothing_is_found(words: str) -> None:
    assert found(words) == []
