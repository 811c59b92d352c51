"""Two machines and a path, step by step: Hypothesis chooses the calls and what becomes of each packet, and a
subclass what it likes.
"""

import subprocess
import sys

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, run_state_machine_as_test

from postel.tcp.config import DEFAULT, Config
from postel.testing.machine import PairMachine

PairMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestMachine = PairMachine.TestCase
FEW = settings(
    max_examples=20,
    stateful_step_count=20,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # the failure is expected: don't make it small
)


class Forgetful(PairMachine):
    """Its user claims to have sent an octet that it never sent."""

    def configs(self) -> st.SearchStrategy[Config]:
        return st.just(DEFAULT)

    def heal(self) -> bool:
        self.sent[0].extend(b"!" * (not self.sent[0]))
        return super().heal()


class Curious(PairMachine):
    @invariant()
    def nothing_is_ever_sent(self) -> None:
        assert not self.sent[0]


def test_what_never_arrived_is_found() -> None:
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Forgetful, settings=FEW)


def test_an_invariant_of_a_subclass_is_held() -> None:
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Curious, settings=FEW)


def test_without_hypothesis_the_error_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['hypothesis'] = None; import postel.testing; import postel.testing.machine"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "postel.testing.machine needs Hypothesis" in done.stderr
    assert "pip install 'postel[test]'" in done.stderr
