"""Every program in examples/ is short, uses public names alone, and runs."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PUBLIC = {
    *(
        "postel",
        "postel.aio",
        "postel.congestion",
        "postel.errors",
        "postel.links",
        "postel.sim",
        "postel.sim.loop",
    ),
    *("postel.testing", "postel.testing.faults", "postel.testing.machine", "postel.times", "postel.view"),
}
LONGEST = {"ethernet.py": 250, "pay_twice.py": 66, "raft.py": 350}  # lines; 60 for all others
TESTS_ALONE = ("raft.py",)  # nothing but tests, which pytest and `postel sim` run


def imports(path: Path) -> set[tuple[str, str]]:
    """Modules of Postel that a program imports, and the name that it takes from each ("" for the module
    itself).
    """
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {(name.name, "") for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.module or "", name.name) for name in node.names}
    return {(module, name) for module, name in found if module.partition(".")[0] == "postel"}


def is_public(module: str, name: str) -> bool:
    if not name or module not in PUBLIC:
        return module in PUBLIC
    value = getattr(importlib.import_module(module), name)
    if isinstance(value, ModuleType):
        return value.__name__ in PUBLIC
    return not name.startswith("_") and name in getattr(importlib.import_module(module), "__all__", [name])


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
class TestExample:
    def test_it_is_short(self, path: Path) -> None:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST.get(path.name, 60)

    def test_it_imports_public_names_alone(self, path: Path) -> None:
        assert [
            f"{module}: {name}" for module, name in sorted(imports(path)) if not is_public(module, name)
        ] == []

    def test_it_touches_nothing_private(self, path: Path) -> None:
        """But for what is the program's own: an attribute of ``self``."""
        nodes = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Attribute)
        ]
        private = [node for node in nodes if node.attr.startswith("_") and not node.attr.endswith("__")]
        assert [ast.unparse(node) for node in private if ast.unparse(node.value) != "self"] == []

    def test_it_runs(self, path: Path) -> None:
        if path.name in TESTS_ALONE:
            pytest.skip("it has tests, which tests/examples/test_raft.py runs")
        program = [sys.executable, "-W", "error", str(path)]
        environment = {"PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
        done = subprocess.run(
            program, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout
