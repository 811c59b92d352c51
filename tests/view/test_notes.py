import re
import string

import pytest

from postel.view import notes
from postel.view.packet import Kind

TIMERS = (
    "retransmission",
    "tail-probe",
    "reorder",
    "time-wait",
    "persist",
    "delayed-ack",
    "keep-alive",
    "user-timeout",
    "override",
    "orphan",
)


@pytest.mark.parametrize("key", notes.TEXTS)
def test_both_languages_say_the_same(key: str) -> None:
    english, chinese = notes.TEXTS[key]
    fields = [
        {name for _, name, _, _ in string.Formatter().parse(text) if name} for text in (english, chinese)
    ]
    assert fields[0] == fields[1]
    assert english.isascii() or re.sub("[“”…]", "", english).isascii()
    assert re.search("[\u4e00-\u9fff“；]", chinese) or key == "text"


@pytest.mark.parametrize(
    "key", [*(kind.value for kind in Kind if kind is not Kind.PLAIN), *(f"{timer} timer" for timer in TIMERS)]
)
def test_there_are_words_for_all_that_happens(key: str) -> None:
    assert key in notes.TEXTS


def test_unknown_words_stand_for_themselves() -> None:
    assert notes.say("solar flare", "zh") == "solar flare"
