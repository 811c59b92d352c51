"""TCP-AO between two ends: sequence number extension, key changes, what is refused and why."""

import pytest

from postel.errors import ArgumentError
from postel.tcp.authentication import UNKNOWN, Authentication
from postel.tcp.authentication.ao import Ao
from postel.tcp.authentication.keychain import Keychain
from postel.tcp.authentication.keys import Algorithm, Key
from postel.wire import options
from postel.wire.address import Endpoint
from postel.wire.segment import ACK, RST, SYN, Segment, encode_for, parse

HERE, THERE = Endpoint(b"\x0a\x00\x00\x01", 5000), Endpoint(b"\x0a\x00\x00\x02", 179)
HERE_ISN, THERE_ISN = 0xFFFF_F000, 0x1000


def keys(*ids: tuple[int, int], secret: bytes = b"secret", algorithm: Algorithm = "SHA1") -> tuple[Key, ...]:
    """Their secrets differ by their IDs, whichever way round."""
    return tuple(
        Key(secret + bytes(sorted((mine, yours))), send_id=mine, receive_id=yours, algorithm=algorithm)
        for mine, yours in ids
    )


class Ends:
    """``here`` sends to ``there``, and the other way round; both know both initial numbers."""

    def __init__(self, *ids: tuple[int, int], algorithm: Algorithm = "SHA1") -> None:
        mirrored = [(yours, mine) for mine, yours in ids]
        self.here = Ao(HERE, THERE, keys(*ids, algorithm=algorithm), heeds_icmp=False)
        self.there = Ao(THERE, HERE, keys(*mirrored, algorithm=algorithm), heeds_icmp=False)

    def made(self, number: int, flags: int = ACK, data: bytes = b"text", **values: int) -> bytes:
        segment = Segment(HERE.port, THERE.port, number, 1, flags, 1000, data, **values)
        return self.here.seal(segment, options.ALIGNED, HERE_ISN, THERE_ISN)

    def judged(self, octets: bytes, irs: int = HERE_ISN) -> str:
        return self.there.objection(octets, 0, len(octets), parse(octets, 0, len(octets)), THERE_ISN, irs)

    def carry(self, number: int, flags: int = ACK) -> str:
        return self.judged(self.made(number, flags))

    def answer(self) -> str:
        octets = self.there.seal(
            Segment(THERE.port, HERE.port, THERE_ISN + 1, 1, ACK, 1000), options.ALIGNED, THERE_ISN, HERE_ISN
        )
        return self.here.objection(octets, 0, len(octets), parse(octets, 0, len(octets)), HERE_ISN, THERE_ISN)


def option(octets: bytes) -> bytes:
    return dict(parse(octets, 0, len(octets)).other)[options.AO]


# The sequence number extension


@pytest.mark.label("RFC5925-6.2")
def test_rfc5925_6_2_numbers_go_round_four_times() -> None:
    ends = Ends((1, 2))
    number = HERE_ISN
    for _ in range(4 * 8 + 1):  # RFC 9187: any step below half of the space
        assert ends.carry(number) == ""
        number = number + 0x2000_0000 & 0xFFFF_FFFF


@pytest.mark.label("RFC5925-6.2")
@pytest.mark.parametrize(
    "numbers",
    [
        [0xFFFF_FFF0, 0x10, 0xFFFF_FFF8, 0x18],  # reordered around the end
        # An old number comes once the new ones are far beyond the wrap
        [0x0000_0001, 0xFFFF_FF00, 0x0000_0100, 0x7FFF_0000, 0x0000_0200],
        # Where RFC 5925's own example goes wrong
        [0x7FFF_FFF0, 0x8000_0010, 0x7FFF_FFF8, 0xFFFF_FFFF, 0x0, 0xFFFF_FFFF],
    ],
)
def test_rfc5925_6_2_reordering(numbers: list[int]) -> None:
    ends = Ends((1, 2))
    segments = [ends.made(number) for number in numbers]
    assert [ends.judged(octets) for octets in segments] == [""] * len(numbers)


@pytest.mark.label("RFC5925-6.2", "BAD-AO-1")
def test_rfc5925_6_2_what_was_sent_a_round_ago_is_no_longer_authentic() -> None:
    ends = Ends((1, 2))
    old = ends.made(0x10)
    assert ends.judged(old) == ""
    for number in (0x4000_0000, 0x8000_0000, 0xC000_0000, 0x10):
        assert ends.carry(number) == ""
    assert ends.judged(old) == "signature_wrong"
    assert ends.made(0x10) != old


def test_a_forged_segment_does_not_move_the_extension() -> None:
    ends = Ends((1, 2))
    assert ends.carry(HERE_ISN + 1) == ""
    forged = bytearray(ends.made(HERE_ISN + 1))
    forged[4:8] = (0x7000_0000).to_bytes(4, "big")
    assert ends.judged(bytes(forged)) == "signature_wrong"
    assert ends.carry(0x8) == ""


# Which key


@pytest.mark.label("RFC5925-7.4")
@pytest.mark.parametrize("algorithm", ["SHA1", "AES128"])
def test_rfc5925_7_4_the_option_names_our_key_and_the_one_that_we_wish_for(algorithm: Algorithm) -> None:
    ends = Ends((1, 2), (3, 4), algorithm=algorithm)
    assert option(ends.made(HERE_ISN + 1))[:2] == bytes((1, 2))
    ends.here.prefer(3, UNKNOWN)
    assert option(ends.made(HERE_ISN + 1))[:2] == bytes((3, 2))
    ends.here.prefer(UNKNOWN, 4)
    assert option(ends.made(HERE_ISN + 1))[:2] == bytes((3, 4))
    assert ends.carry(HERE_ISN + 1) == ""
    assert ends.there.heard == (3, 4)


def test_the_peers_wish_changes_our_key() -> None:  # 7.5, step 2.e
    ends = Ends((1, 2), (3, 4))
    ends.there.prefer(UNKNOWN, 3)
    assert ends.answer() == ""
    assert ends.here.current.send_id == 3
    assert ends.here.next.receive_id == 2  # only its user changes it
    assert ends.carry(HERE_ISN + 1) == ""
    ends.there.prefer(UNKNOWN, 1)  # and back
    assert ends.answer() == ""
    assert ends.here.current.send_id == 1


def test_a_wish_that_cannot_be_granted_changes_nothing() -> None:
    ends = Ends((1, 2), (3, 4))
    ends.here.install(keys((1, 2)))
    ends.there.prefer(UNKNOWN, 3)
    assert ends.answer() == ""
    assert ends.here.current.send_id == 1


def test_a_first_syn_chooses_the_key_of_its_answer() -> None:
    ends = Ends((1, 2), (3, 4))
    ends.here.prefer(3, 4)
    assert ends.judged(ends.made(HERE_ISN, SYN, b""), irs=UNKNOWN) == ""
    assert (ends.there.current.send_id, ends.there.next.receive_id) == (4, 3)


def test_an_old_syn_said_again_chooses_nothing() -> None:
    ends = Ends((1, 2), (3, 4))
    ends.here.prefer(3, 4)
    old = ends.here.seal(Segment(HERE.port, THERE.port, 77, 0, SYN, 1000), options.ALIGNED, 77, UNKNOWN)
    assert ends.judged(old) == ""  # authentic, and for TCP to challenge
    assert (ends.there.current.send_id, ends.there.heard) == (2, (UNKNOWN, UNKNOWN))


def test_keys_in_use_do_not_change_but_go() -> None:
    ends = Ends((1, 2), (3, 4))
    ends.here.prefer(3, 4)
    for wrong in (
        keys((1, 2), secret=b"other"),
        keys((1, 9)),
        keys((9, 2)),
        (Key(b"x", algorithm="MD5", send_id=7, receive_id=7),),
    ):
        with pytest.raises(ArgumentError, match="IDs"):
            ends.here.install(wrong)
    ends.here.install(keys((1, 2), (5, 6)))
    assert (ends.here.current.send_id, ends.here.next.receive_id) == (1, 2)
    assert ends.carry(HERE_ISN + 1) == ""


def test_a_key_that_went_may_come_back_as_another() -> None:
    ends = Ends((1, 2), (3, 4))
    assert ends.carry(HERE_ISN + 1) == ""
    for end, mine, yours in ((ends.here, 1, 2), (ends.there, 2, 1)):
        end.install(keys((mine + 2, yours + 2)))
        end.install(keys((mine, yours), secret=b"new"))
    assert ends.carry(HERE_ISN + 1) == ""
    assert ends.made(HERE_ISN + 1) != Ends((1, 2)).made(HERE_ISN + 1)


def test_only_keys_that_are_there_can_be_preferred() -> None:
    ends = Ends((1, 2))
    with pytest.raises(ArgumentError, match="send_id"):
        ends.here.prefer(3, UNKNOWN)
    with pytest.raises(ArgumentError, match="receive_id"):
        ends.here.prefer(1, 3)
    assert ends.here.current.send_id == 1


# What is refused


@pytest.mark.label("RFC5925-7.3", "RFC5925-7.4")
def test_rfc5925_7_3_reasons() -> None:
    ends = Ends((1, 2))
    bare = Segment(HERE.port, THERE.port, HERE_ISN + 1, 1, ACK, 1000)
    assert ends.judged(encode_for(bare, HERE.address, THERE.address)) == "signature_missing"
    bare.other = ((options.AO, bytes((9, 9)) + bytes(12)),)
    assert ends.judged(encode_for(bare, HERE.address, THERE.address)) == "signature_key"
    bare.other = ((options.AO, bytes((1, 2)) + bytes(16)),)
    assert ends.judged(encode_for(bare, HERE.address, THERE.address)) == "signature_length"
    bare.other = ((options.MD5, bytes(16)),)
    assert ends.judged(encode_for(bare, HERE.address, THERE.address)) == "signature_missing"
    assert ends.judged(ends.made(HERE_ISN + 1), irs=UNKNOWN) == "signature_early"
    # The segment is signed for another connection
    assert ends.judged(ends.made(HERE_ISN + 1), irs=HERE_ISN + 1) == "signature_wrong"
    assert (ends.there.accepted, ends.there.refused) == (0, 6)


@pytest.mark.label("RFC5925-5.1")
def test_rfc5925_5_1_every_octet_is_covered_and_so_are_the_addresses() -> None:
    ends = Ends((1, 2))
    octets = ends.made(HERE_ISN + 1, tsval=1, tsecr=2)
    lists = {12, 20, 21, 22, 23, 32, 33}  # where options begin and end: altered, they may cease to parse
    for place in sorted(set(range(len(octets))) - lists - {16, 17}):  # the checksum isn't covered
        altered = bytearray(octets)
        altered[place] ^= 4
        assert ends.judged(bytes(altered)) != "", place
    assert ends.judged(octets) == ""
    stranger = Ao(THERE, Endpoint(b"\x0a\x00\x00\x03", HERE.port), keys((2, 1)), heeds_icmp=False)
    assert (
        stranger.objection(octets, 0, len(octets), parse(octets, 0, len(octets)), THERE_ISN, HERE_ISN)
        == "signature_wrong"
    )


@pytest.mark.label("RFC5925-5.1")
@pytest.mark.parametrize("covers", [True, False])
def test_rfc5925_5_1_other_options_count_by_the_keys_flag(*, covers: bool) -> None:
    key, mirrored = (Key(b"secret", covers_options=covers) for _ in range(2))
    here, there = Ao(HERE, THERE, (key,), heeds_icmp=False), Ao(THERE, HERE, (mirrored,), heeds_icmp=False)
    segment = Segment(HERE.port, THERE.port, HERE_ISN + 1, 1, ACK, 1000, b"text", tsval=5, tsecr=6)
    octets = bytearray(here.seal(segment, options.ALIGNED, HERE_ISN, THERE_ISN))
    octets[27] ^= 1  # of TSval
    reason = there.objection(
        bytes(octets), 0, len(octets), parse(bytes(octets), 0, len(octets)), THERE_ISN, HERE_ISN
    )
    assert reason == ("signature_wrong" if covers else "")


def test_what_cannot_be_signed_yet_goes_as_it_is() -> None:
    ends = Ends((1, 2))
    octets = ends.here.seal(Segment(HERE.port, THERE.port, 1, 0, RST, 0), options.ALIGNED, HERE_ISN, UNKNOWN)
    assert parse(octets, 0, len(octets)).other == ()


# Keys and the peers that they are for


def test_a_secret_is_never_shown() -> None:
    assert "hidden" not in repr(Key(b"hidden"))


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"secret": b""}, "secret"),
        (
            {"secret": "text"},
            "^secret is <class 'str'>; allowed: bytes, 1 octet or more; RFC 5925, 5.3 advises 12 to 24$",
        ),
        ({"secret": None}, "secret"),
        ({"algorithm": "SHA256"}, "algorithm is 'SHA256'; allowed: 'SHA1', 'AES128' or 'MD5'"),
        ({"algorithm": 1}, "algorithm"),
        ({"send_id": True}, "send_id"),
        ({"receive_id": "1"}, "receive_id"),
        ({"peer": 10}, "peer"),
        ({"covers_options": 1}, "covers_options"),
        ({"send_id": 256}, "send_id"),
        ({"receive_id": -1}, "receive_id"),
        ({"peer": "10.0.0.0/33"}, "peer is '10.0.0.0/33'; allowed: a prefix length of 0 to 32"),
    ],
)
def test_what_no_key_can_be(wrong: dict[str, object], name: str) -> None:
    with pytest.raises(ArgumentError, match=name):
        Key(**{"secret": b"secret", **wrong})  # type: ignore[arg-type]


def test_no_peer_stands_for_every_peer() -> None:
    assert Key(b"secret", peer="") == Key(b"secret")


def test_the_longest_prefix_counts() -> None:
    anybody, network, one, six = (
        Key(b"1"),
        Key(b"2", "10.0.0.0/8"),
        Key(b"3", "10.0.0.9"),
        Key(b"4", "fd00::/64"),
    )
    chain = Keychain(anybody, network, one, six)
    assert chain.for_peer(b"\x0a\x00\x00\x09") == (one,)
    assert chain.for_peer(b"\x0a\x00\x00\x08") == (network,)
    assert chain.for_peer(b"\x0b\x00\x00\x08") == (anybody,)
    assert chain.for_peer(b"\xfd" + bytes(15)) == (six,)
    assert chain.for_peer(b"\xfe" + bytes(15)) == (anybody,)
    assert Keychain(network).for_peer(b"\x0b\x00\x00\x08") == ()


def test_ids_are_distinct_and_md5_is_alone() -> None:
    with pytest.raises(ArgumentError, match="send_id"):
        Keychain(Key(b"1", send_id=1, receive_id=1), Key(b"2", send_id=1, receive_id=2))
    with pytest.raises(ArgumentError, match="receive_id"):
        Keychain(Key(b"1", send_id=1, receive_id=1), Key(b"2", send_id=2, receive_id=1))
    with pytest.raises(ArgumentError, match="TCP MD5"):
        Keychain(Key(b"1", send_id=1, receive_id=1), Key(b"2", send_id=2, receive_id=2, algorithm="MD5"))
    Keychain(Key(b"1", "10.0.0.0/8"), Key(b"2", "10.0.0.0/16", algorithm="MD5"))


@pytest.mark.parametrize("chain", [Keychain(Key(b"1", algorithm="MD5")), Keychain(accepts_unmatched=False)])
def test_only_tcp_ao_has_ids_to_prefer(chain: Keychain) -> None:
    made = chain.authentication(HERE, THERE)
    assert isinstance(made, Authentication)
    with pytest.raises(ArgumentError, match="send_id"):
        made.prefer(1, 1)
