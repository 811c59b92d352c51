"""DNS messages: the RFC's own example, and octets that no parser should trust."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postel.errors import ArgumentError, WireError
from postel.wire import dns
from postel.wire.address import parse as address
from postel.wire.dns import DnsMessage, Question, ResourceRecord

WWW = "www.example.org"
RESPONSE = DnsMessage(
    0x1234,
    Question(WWW, dns.A),
    is_response=True,
    answers=(
        ResourceRecord(WWW, dns.CNAME, dns.encode_name("web.example.org"), 60),
        ResourceRecord("web.example.org", dns.A, address("10.0.0.80"), 60),
    ),
)

labels = st.text("abcXYZ019-_", min_size=1, max_size=63)
names = st.lists(labels, max_size=4).map(".".join).filter(lambda name: len(name) < 254)
ttls = st.integers(0, 0xFFFFFFFF)
classes = st.integers(0, 0xFFFF)
records = st.one_of(
    st.builds(ResourceRecord, names, st.just(dns.A), st.binary(min_size=4, max_size=4), ttls, classes),
    st.builds(ResourceRecord, names, st.just(dns.AAAA), st.binary(min_size=16, max_size=16), ttls, classes),
    st.builds(ResourceRecord, names, st.just(dns.CNAME), names.map(dns.encode_name), ttls, classes),
    st.builds(ResourceRecord, names, st.integers(29, 65535), st.binary(max_size=30), ttls, classes),
)
messages = st.builds(
    DnsMessage,
    st.integers(0, 0xFFFF),
    st.builds(Question, names, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)),
    st.booleans(),
    st.just(False),
    st.integers(0, 15),
    st.lists(records, max_size=3).map(tuple),
)


def header(questions: int = 1, answers: int = 0, flags: int = 0x8180) -> bytes:
    return b"".join(field.to_bytes(2, "big") for field in (7, flags, questions, answers, 0, 0))


def asked(name: bytes, answers: int = 0) -> bytes:
    return header(answers=answers) + name + b"\0\1\0\1"


@given(messages)
def test_what_is_encoded_is_parsed_again(message: DnsMessage) -> None:
    assert dns.parse(dns.encode(message)) == message


@given(
    st.one_of(st.binary(max_size=600), st.binary(max_size=600).map(lambda octets: header(answers=1) + octets))
)
@example(header(answers=0xFFFF) + bytes(100))
def test_any_octets_parse_or_are_told_to_be_wrong(octets: bytes) -> None:
    with contextlib.suppress(WireError):
        message = dns.parse(octets)
        dns.describe(octets)
        assert dns.parse(dns.encode(message))[:5] == message[:5]


@given(st.binary(min_size=1, max_size=4), st.integers(0, 200))
def test_a_response_with_octets_changed_parses_or_is_told_to_be_wrong(change: bytes, place: int) -> None:
    octets = bytearray(dns.encode(RESPONSE))
    octets[place % len(octets) : place % len(octets) + len(change)] = change
    with contextlib.suppress(WireError):
        dns.parse(bytes(octets))


def test_compressed_names_as_in_rfc_1035_4_1_4() -> None:
    names = b"\1F\3ISI\4ARPA\0"  # at 12, where the question's name stands
    octets = asked(names, answers=2)
    octets += b"\3FOO\xc0\x0c" + b"\0\1\0\1\0\0\0\x3c\0\4" + address("10.0.0.1")
    octets += b"\xc0\x12" + b"\0\5\0\1\0\0\0\x3c\0\2\xc0\x0e"
    message = dns.parse(octets)
    assert [record.name for record in message.answers] == ["FOO.F.ISI.ARPA", "ARPA"]
    assert dns.decode_name(message.answers[1].data) == "ISI.ARPA"


@pytest.mark.parametrize(
    ("octets", "complaint"),
    [
        (bytes(11), "11 octets of a header"),
        (header(questions=0), "not one question"),
        (header(questions=2) + b"\0\0\1\0\1" * 2, "not one question"),
        (header(flags=0x2800) + b"\0\0\1\0\1", "not one question"),
        (header(), "a name is cut off"),
        (header() + b"\5ab", "too long"),
        (header() + b"\x40" + bytes(70), "too long"),
        (header() + (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1", "too long"),
        (header() + b"\1 \0\0\1\0\1", "octet 32 in a name"),
        (header() + b"\xc0", "a pointer is cut off"),
        (header() + b"\xc0\x0c\0\1\0\1", "leads forwards"),  # to itself
        (asked(b"\1a\0", answers=1) + b"\1b\xc0\x13" + bytes(12), "leads forwards"),  # to where it began
        (asked(b"\1a\xc0\x0c", answers=0), "leads forwards"),
        (header() + b"\1a\0\0\1", "question is cut off"),
        (asked(b"\0", answers=9), "9 answers in 0 octets"),
        (asked(b"\0", answers=1) + b"\1a\0\0\1\0\1\0\0\0\0", "cut off"),
        (asked(b"\0", answers=1) + b"\0\0\1\0\1\0\0\0\0\0\x09abcd", "9 octets of data in 4"),
        (asked(b"\0", answers=1) + b"\0\0\1\0\1\0\0\0\0\0\3abc", "3 octets of an address"),
        (asked(b"\0", answers=1) + b"\0\0\5\0\1\0\0\0\0\0\2\1a\0", "longer than it says"),
    ],
)
def test_octets_that_lie(octets: bytes, complaint: str) -> None:
    with pytest.raises(WireError, match=complaint) as told:
        dns.parse(octets)
    assert told.value.reason == "dns"


def test_a_name_has_no_more_pointers_than_labels() -> None:
    """Or each of many names might be a walk through all of a long message."""
    pointers = b"".join(
        (0xC000 | (12 if n == 0 else 17 + 2 * (n - 1))).to_bytes(2, "big") for n in range(129)
    )
    assert dns._name(asked(b"\0") + pointers, 17 + 2 * 126) == ("", 17 + 2 * 127)
    with pytest.raises(WireError, match="too many pointers"):
        dns._name(asked(b"\0") + pointers, 17 + 2 * 127)


def test_answers_of_a_truncated_message_are_passed_over() -> None:
    cut = dns.encode(RESPONSE._replace(is_truncated=True))[:-5]
    assert dns.parse(cut) == RESPONSE._replace(is_truncated=True, answers=())


@pytest.mark.parametrize("name", ["a..b", "b\xfcch.example", "x" * 64, ".a", "a b", ".".join(["x" * 60] * 5)])
def test_what_can_t_be_a_name(name: str) -> None:
    with pytest.raises(ArgumentError, match="name is"):
        dns.encode_name(name)


def test_names_are_compared_without_regard_to_case_and_the_last_dot() -> None:
    assert dns.canonical("WWW.Example.org.") == WWW
    assert dns.encode_name("a.") == dns.encode_name("a") == b"\1a\0"
    assert dns.encode_name("") == dns.encode_name(".") == b"\0"


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (DnsMessage(1, Question(WWW, dns.AAAA)), "AAAA? www.example.org"),
        (RESPONSE, "www.example.org CNAME web.example.org, web.example.org A 10.0.0.80"),
        (RESPONSE._replace(is_truncated=True, answers=()), "A? www.example.org: truncated"),
        (RESPONSE._replace(rcode=dns.NAME_ERROR, answers=()), "A? www.example.org: NXDOMAIN"),
        (RESPONSE._replace(rcode=9, answers=()), "A? www.example.org: RCODE9"),
        (RESPONSE._replace(answers=()), "A? www.example.org: no data"),
        (
            DnsMessage(1, Question("", 16), is_response=True, answers=(ResourceRecord("", 16, b"text"),)),
            " TYPE16",
        ),
    ],
)
def test_a_message_in_a_line(message: DnsMessage, text: str) -> None:
    assert dns.describe(dns.encode(message)) == text
