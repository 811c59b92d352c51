"""The FreeBSD suite, where it lies beside the repository: what follows from the RFCs passes, but for what is
named here.
"""

from collections import Counter

import pytest

from postel.drill import Outcome, Profile, parse, run
from postel.errors import ScriptError
from tests.drill.suites import FREEBSD, classes

pytestmark = pytest.mark.skipif(not FREEBSD.is_dir(), reason="the suite isn't here")

# Against RFC 9293, 3.10.7.4, second check: in CLOSING a RST deletes the TCB, and no error is signalled
# (EP-RST-6). No knob for it: the profile's others choose among what RFCs allow, or say what they leave open,
# and this one would break a rule.
LEFT_EDGE = "state-event-engine/rcv-rst-closing/rcv-rst-closing-left-edge"
REFUSED = {f"{LEFT_EDGE}-{how}-{family}.pkt" for how in ("secure", "insecure")
           for family in ("ipv4", "ipv6")}  # fmt: skip
LEAST = {"core": 399, "policy": 191}


def outcome(name: str) -> Outcome:
    text = (FREEBSD / name).read_text(encoding="utf-8")
    try:
        return run(parse(text, defined=("STANDARD",)), Profile.named("freebsd"))
    except ScriptError as error:
        return Outcome("error", error.line, str(error))


@pytest.mark.label("RFC7413-4.1.1", "RFC7413-4.1.3", "RFC7413-4.2.2")
def test_fast_open() -> None:
    names = [name for name in classes() if name.startswith("fast-open/")]
    assert [(name, found.message) for name in names if (found := outcome(name)).result != "passed"] == []


def test_what_the_rfcs_say_and_what_is_policy() -> None:
    outcomes = {name: outcome(name).result for name, kind in classes().items() if kind in LEAST}
    passed = Counter(classes()[name] for name, result in outcomes.items() if result == "passed")
    assert {kind: passed[kind] >= least for kind, least in LEAST.items()} == dict.fromkeys(LEAST, True), (
        passed
    )
    assert "error" not in outcomes.values()


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_the_rfc_is_against(name: str) -> None:
    assert outcome(name).message == "SO_ERROR: expected ECONNRESET, actual 0"
