"""Partitions and holds that overlap, and what ends them, in any order: held against sets of pairs."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from postel.sim import ActiveFault, World
from postel.testing.post import Post

NAMES = "abc"
PAIRS = list(permutations(NAMES, 2))
Pair = tuple[str, str]
hosts = st.sampled_from(["a", "b", "c", "*", "[ab]", ("a", "c"), ("b",)])
ways = st.tuples(hosts, hosts, st.booleans())
calls = st.lists(
    st.tuples(st.just("end"), st.integers(0, 5))
    | st.tuples(st.sampled_from(["partition", "hold", "repair", "release"]), ways),
    max_size=8,
)


def covered(a: object, b: object, *, both: bool) -> set[Pair]:
    """The pairs of sender and receiver that a call concerns."""
    chosen = {"*": "abc", "[ab]": "ab"}
    ones, others = ({*chosen.get(side, side)} if isinstance(side, str) else {*side} for side in (a, b))  # type: ignore[misc,call-overload]
    there = {(one, other) for one in ones for other in others}
    return there | {(other, one) for one, other in there if both}


class Model:
    """What is cut and held, said simply: every fault has the pairs that are left to it."""

    def __init__(self) -> None:
        self.faults: list[tuple[ActiveFault, str, set[Pair]]] = []

    def call(self, world: World, name: str, argument: object) -> None:
        """Make the call, and remember what it does."""
        if name == "end":
            assert isinstance(argument, int)
            if argument < len(self.faults):
                fault, _, pairs = self.faults[argument]
                fault.end()
                pairs.clear()
            return
        a, b, both = argument  # type: ignore[misc]
        active = getattr(world, name)(a, b, both=both)
        pairs = covered(a, b, both=both)
        if name in ("partition", "hold"):
            self.faults.append((active, name, pairs))
        for _, kind, left in self.faults:
            if (kind, name) in (("partition", "repair"), ("hold", "release")):
                left.difference_update(pairs)

    def those(self, kind: str) -> set[Pair]:
        """The pairs that are cut or held now."""
        return {pair for _, other, pairs in self.faults if other == kind for pair in pairs}


@given(calls=calls)
def test_every_pair_is_cut_or_held_as_long_as_a_fault_is_left_that_says_so(
    calls: list[tuple[str, object]],
) -> None:
    post, model = Post(NAMES), Model()
    for name, argument in calls:
        model.call(post.world, name, argument)
        post.arrived.clear()
        for packet in post.world.in_flight():
            packet.drop()
        for sender, receiver in PAIRS:
            post.send(sender, receiver, sender + receiver)
        post.world.run()
        cut, held = model.those("partition"), model.those("hold")
        assert {(text[0], text[1]) for text in post.texts()} == set(PAIRS) - cut - held
        assert {(packet.sender, packet.receiver) for packet in post.world.in_flight()} == (
            set(PAIRS) & held
        ) - cut
        active = post.world.active_faults()
        assert all(fault.fault in active for fault, _, pairs in model.faults if pairs)


def test_repairs_that_together_cover_a_partition_end_it() -> None:
    post = Post()
    partition = post.world.partition("a", "b")
    post.world.repair("a", "b", both=False)
    assert partition.is_active
    post.world.repair("b", "a", both=False)
    assert not partition.is_active
    assert post.world.active_faults() == []
