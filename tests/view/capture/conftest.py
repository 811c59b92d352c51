"""Keeps the captures that tests of this folder make, for `test_same_as_tshark.py`, which runs last."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.view.capture import tape

LAST = "test_same_as_tshark"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LAST in item.nodeid and Path(__file__).parent in item.path.parents)


@pytest.fixture(autouse=True)
def _gathered(request: pytest.FixtureRequest) -> Iterator[None]:
    is_made_by_chance = getattr(request.function, "is_hypothesis_test", False)
    is_of_others = "shared" in request.node.nodeid
    tape.gathering[0] = "" if is_made_by_chance or is_of_others else request.node.nodeid.partition("::")[2]
    yield
    tape.gathering[0] = ""
