import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.errors import ArgumentError, WireError
from postel.wire import options
from postel.wire.options import ABSENT, Bearer, OptionLayout

MSS = bytes.fromhex("020405b4")
WINDOW_SCALE = bytes.fromhex("030307")
SACK_PERMITTED = bytes.fromhex("0402")
TIMESTAMPS = bytes.fromhex("080a0000000100000002")
SACK = bytes.fromhex("050a0000000100000002")
LINUX_SYN = bytes.fromhex("020405b4 0402 080a0000000100000000 01 030307")


def read(octets: bytes, *, syn: bool = True) -> Bearer:
    bearer = Bearer()
    around = b"\x55" * 20  # a reader that leaves the list finds nothing sound
    complaint = options.read(around + octets + around, 20, 20 + len(octets), bearer, syn=syn)
    if complaint:
        raise WireError("bad_option", complaint)
    return bearer


def fields(bearer: Bearer) -> dict[str, object]:
    return {
        name: getattr(bearer, name)
        for name in ("mss", "window_scale", "sack_permitted", "tsval", "tsecr", "sack", "other")
    }


EMPTY = fields(Bearer())


def test_a_linux_syn() -> None:
    bearer = read(LINUX_SYN)
    assert fields(bearer) == EMPTY | {
        "mss": 1460,
        "window_scale": 7,
        "sack_permitted": True,
        "tsval": 1,
        "tsecr": 0,
    }
    assert options.encode(bearer) == LINUX_SYN


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("mss",),
        ("mss", "sack"),
        ("mss", "scale"),
        ("scale", "ts"),
        ("sack", "scale", "mss"),
        ("ts",),
        ("sack", "ts"),
    ],
)
def test_every_option_is_aligned_as_linux_does_it(names: tuple[str, ...]) -> None:
    bearer = Bearer(1, 2) if "ts" in names else Bearer()
    bearer.mss = 1460 if "mss" in names else ABSENT
    bearer.window_scale = 7 if "scale" in names else ABSENT
    bearer.sack_permitted = "sack" in names
    octets = options.encode(bearer)
    assert len(octets) % 4 == 0
    assert fields(read(octets)) == fields(bearer)
    if "ts" in names:
        assert octets.index(TIMESTAMPS) % 4 == 2
    if "scale" in names:
        assert octets.endswith(b"\x01" + WINDOW_SCALE)


numbers = st.integers(0, 0xFFFFFFFF)
others = st.tuples(st.sampled_from([6, 19, 29, 30, 253, 255]), st.binary(min_size=2, max_size=4))


@given(
    st.just(ABSENT) | st.integers(0, 0xFFFF),
    st.just(ABSENT) | st.integers(0, 0xFF),
    st.booleans(),
    st.just((ABSENT, ABSENT)) | st.tuples(numbers, numbers),
    st.lists(st.tuples(numbers, numbers), max_size=1),
    st.lists(others, max_size=1),
)
def test_round_trip(
    mss: int,
    window_scale: int,
    sack_permitted: bool,
    timestamps: tuple[int, int],
    sack: list[tuple[int, int]],
    other: list[tuple[int, bytes]],
) -> None:
    bearer = Bearer(*timestamps)
    bearer.mss, bearer.window_scale, bearer.sack_permitted = mss, window_scale, sack_permitted
    bearer.other = tuple(other)
    room = options.ROOM - len(options.encode(bearer))
    bearer.sack = tuple(sack) if room >= 12 else ()
    assert fields(read(options.encode(bearer))) == fields(bearer)


@pytest.mark.parametrize(("tsval", "fit"), [(ABSENT, 4), (1, 3)])
def test_sack_blocks_fill_the_room(tsval: int, fit: int) -> None:
    bearer = Bearer(tsval, 2 if tsval == 1 else ABSENT)
    bearer.sack = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10))
    octets = options.encode(bearer)
    assert len(octets) <= options.ROOM
    assert octets.index(bytes((options.SACK, 2 + 8 * fit))) % 4 == 2
    assert read(octets).sack == bearer.sack[:fit]


@pytest.mark.label("BAD-SACK-7")
@pytest.mark.parametrize("size", [27, 34, 255])
def test_bad_sack_7_four_blocks_beside_timestamps_reach_beyond_the_header(size: int) -> None:
    octets = (b"\1\1" + TIMESTAMPS + bytes((1, 1, 5, size))).ljust(40, b"\1")
    with pytest.raises(WireError, match=f"kind 5, length {size}, 26 octets left"):
        read(octets)


def test_sack_blocks_make_way_altogether() -> None:
    bearer = Bearer()
    bearer.sack, bearer.other = ((1, 2),), ((30, bytes(30)),)
    assert fields(read(options.encode(bearer))) == fields(bearer) | {"sack": ()}
    bearer.other = ((30, bytes(38)),)
    assert fields(read(options.encode(bearer))) == fields(bearer) | {"sack": ()}


def test_too_much_of_others_is_the_callers_mistake() -> None:
    bearer = Bearer()
    bearer.other = ((30, bytes(39)),)
    with pytest.raises(ArgumentError, match="40 octets"):
        options.encode(bearer)


def test_must_4_end_of_list_no_operation_and_mss() -> None:
    assert fields(read(b"\x01\x01" + MSS + b"\x00" + WINDOW_SCALE)) == EMPTY | {"mss": 1460}


@pytest.mark.parametrize("syn", [True, False])
def test_must_5_options_are_read_in_any_segment(*, syn: bool) -> None:
    assert fields(read(TIMESTAMPS + SACK, syn=syn)) == EMPTY | {"tsval": 1, "tsecr": 2, "sack": ((1, 2),)}


@pytest.mark.parametrize("shift", range(4))
def test_must_64_options_need_not_be_aligned(shift: int) -> None:
    bearer = read(b"\x01" * shift + WINDOW_SCALE + TIMESTAMPS + MSS + SACK)
    assert fields(bearer) == EMPTY | {
        "mss": 1460,
        "window_scale": 7,
        "tsval": 1,
        "tsecr": 2,
        "sack": ((1, 2),),
    }


@pytest.mark.parametrize("kind", [6, 7, 9, 14, 19, 28, 29, 30, 69, 253, 254, 255])
def test_must_6_unknown_options_are_stepped_over_and_kept(kind: int) -> None:  # EP-PRE-6
    unknown = bytes((kind, 5)) + b"abc"
    assert fields(read(unknown + MSS)) == EMPTY | {"mss": 1460, "other": ((kind, b"abc"),)}


@pytest.mark.parametrize("length", [0, 1])
@pytest.mark.parametrize("kind", range(2, 256))
def test_bad_opt_1_length_0_or_1(kind: int, length: int) -> None:  # MUST-7, EP-PRE-5
    with pytest.raises(WireError) as caught:
        read(MSS + bytes((kind, length, 0, 0)))
    assert caught.value.reason == "bad_option"


@pytest.mark.parametrize("length", [0, 1])
def test_bad_opt_1_single_octet_options_have_no_length(length: int) -> None:
    assert fields(read(bytes((options.END, length)) + MSS)) == EMPTY
    assert read(bytes((options.NOP, 1)) + MSS).mss == 1460
    assert fields(read(bytes((options.NOP, 0)) + MSS)) == EMPTY


@pytest.mark.parametrize("kind", range(2, 256))
@pytest.mark.parametrize("octets", ["", "05", "06aabb", "28", "ff"])
def test_bad_opt_2_past_the_end_of_the_header(kind: int, octets: str) -> None:  # EP-PRE-5
    with pytest.raises(WireError) as caught:
        read(b"\x01" + bytes((kind,)) + bytes.fromhex(octets))
    assert caught.value.reason == "bad_option"


@pytest.mark.parametrize(
    ("kind", "length"),
    [
        (2, 2),
        (2, 3),
        (2, 5),
        (2, 6),
        (3, 2),
        (3, 4),
        (4, 3),
        (8, 2),
        (8, 9),
        (8, 11),
        (5, 2),
        (5, 3),
        (5, 9),
        (5, 11),
    ],
)
def test_bad_opt_4_wrong_length_of_a_known_option(kind: int, length: int) -> None:  # EP-PRE-7
    wrong = bytes((kind, length)) + bytes(length - 2)
    unknown = (30, b"after")
    assert fields(read(wrong + bytes((30, 7)) + b"after")) == EMPTY | {"other": (unknown,)}


@pytest.mark.parametrize("octets", [MSS, WINDOW_SCALE, SACK_PERMITTED])
def test_bad_opt_5_out_of_place_without_syn(octets: bytes) -> None:  # EP-PRE-7
    assert fields(read(octets + TIMESTAMPS, syn=False)) == EMPTY | {"tsval": 1, "tsecr": 2}


@pytest.mark.parametrize(
    ("kind", "length"), [(19, 2), (19, 3), (19, 10), (19, 17), (29, 4), (29, 10), (29, 17)]
)
def test_bad_opt_7_signatures_without_a_key(kind: int, length: int) -> None:
    mac = bytes(range(length - 2))
    assert fields(read(bytes((kind, length)) + mac + MSS)) == EMPTY | {"mss": 1460, "other": ((kind, mac),)}


@pytest.mark.label("RFC5925-2.2")
@pytest.mark.parametrize(
    "octets",
    ["1d02", "1d0301", "1d0401021d040102", "1d0401021304aaaa", "1304aaaa1d040102"],
    ids=["no IDs", "one ID", "twice", "with MD5 behind it", "with MD5 before it"],
)
def test_rfc5925_2_2_what_tcp_ao_may_not_look_like(octets: str) -> None:
    with pytest.raises(WireError, match="bad_option"):
        read(bytes.fromhex(octets) + MSS)


@pytest.mark.parametrize("layout", [options.ALIGNED, options.PACKED])
@pytest.mark.parametrize(("kind", "size", "nops"), [(19, 16, 2), (29, 14, 0)])
def test_a_signature_ends_with_a_word(kind: int, size: int, nops: int, layout: OptionLayout) -> None:
    bearer = Bearer()
    bearer.other = ((kind, bytes(size)),)
    assert options.encode(bearer, layout) == b"\x01" * nops + bytes((kind, size + 2)) + bytes(size)


@pytest.mark.parametrize("kind", [19, 29])
def test_bad_opt_7_truncated_signature(kind: int) -> None:
    with pytest.raises(WireError):
        read(bytes((kind, 18)) + bytes(15))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (MSS, bytes.fromhex("02040001")),
        (WINDOW_SCALE, bytes.fromhex("030301")),
        (TIMESTAMPS, bytes.fromhex("080a0000000300000004")),
        (SACK, bytes.fromhex("050a0000000300000004")),
        (SACK_PERMITTED, SACK_PERMITTED),
    ],
)
def test_ep_pre_8_of_two_the_first_counts(first: bytes, second: bytes) -> None:
    assert fields(read(first + second)) == fields(read(first))


def test_a_window_scale_over_14_is_read_as_it_stands() -> None:
    assert read(bytes.fromhex("0303ff")).window_scale == 255


@given(st.binary(max_size=40), st.booleans())
def test_bad_hdr_12_any_list_reads_or_raises(octets: bytes, syn: bool) -> None:
    try:
        bearer = read(octets, syn=syn)
    except WireError as error:
        assert error.reason == "bad_option"
    else:
        again = read(options.encode(bearer), syn=syn)
        assert fields(again) == fields(bearer) | {"sack": again.sack}


def test_texts() -> None:
    assert options.texts(Bearer()) == []
    bearer = read(MSS + WINDOW_SCALE + SACK_PERMITTED + TIMESTAMPS + SACK + bytes.fromhex("1e04abcd"))
    assert options.texts(bearer) == [
        "mss=1460",
        "ws=7",
        "sack_permitted",
        "ts=1/2",
        "sack=1-2",
        "option30=abcd",
    ]
    assert options.texts(read(bytes.fromhex("1d063d540102"))) == ["ao=61/84"]
    assert options.texts(read(bytes.fromhex("1304abcd"))) == ["md5"]


COOKIES = [b"", *(bytes(range(1, size + 1)) for size in range(4, 17, 2))]


@pytest.mark.label("RFC7413-4.1.1")
@pytest.mark.parametrize("cookie", COOKIES, ids=len)
@pytest.mark.parametrize("layout", [options.ALIGNED, options.PACKED])
def test_the_fast_open_option_of_a_syn(cookie: bytes, layout: OptionLayout) -> None:
    bearer = read(LINUX_SYN)
    assert bearer.fast_open is None
    bearer.other = ((options.FAST_OPEN, cookie),)
    octets = options.encode(bearer, layout)
    assert bytes((34, len(cookie) + 2)) + cookie in octets
    assert len(octets) % 4 == 0
    assert octets.endswith(
        (b"\0" if layout == options.PACKED else b"\1") * (-(len(LINUX_SYN) + len(cookie) + 2) % 4)
    )
    assert read(octets).fast_open == cookie
    assert fields(read(octets)) == fields(bearer)
    assert read(octets, syn=False).fast_open is None


@pytest.mark.label("RFC7413-4.1.1", "BAD-TFO-1")
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 13, 15, 17, 18, 32, 36])
def test_bad_tfo_1_a_cookie_of_a_wrong_length_counts_for_nothing(size: int) -> None:
    wrong = bytes((34, size + 2)) + bytes(size)
    assert fields(read(wrong)) == EMPTY
    if size < 30:
        assert read(wrong + bytes((34, 6)) + b"good").fast_open == b"good"  # EP-PRE-8: the first sound one


@pytest.mark.label("RFC7413-4.1.1")
def test_a_cookie_in_words() -> None:
    bearer = Bearer()
    bearer.other = ((30, b"x"), (options.FAST_OPEN, b"\x01\x02\x03\x04"))
    assert options.texts(bearer) == ["option30=78", "fast_open=01020304"]
    assert bearer.fast_open == b"\x01\x02\x03\x04"
