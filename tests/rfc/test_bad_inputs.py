"""Each case of ``bad_inputs.toml`` that concerns what is built has a test that bears its id, in its name or
as its label.
"""

import re
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CASES = tomllib.loads((HERE / "bad_inputs.toml").read_text("utf-8"))["case"]
TEXT = "\n".join(path.read_text("utf-8") for path in HERE.parent.rglob("test_*.py") if path != Path(__file__))


def is_tested(case: str) -> bool:
    name = "test_" + case.lower().replace("-", "_")
    return f'"{case}"' in TEXT or re.search(rf"def {name}(_|\()", TEXT) is not None


@pytest.mark.parametrize("case", [case["id"] for case in CASES])
def test_the_case_has_a_test(case: str) -> None:
    assert is_tested(case), "write its test"
