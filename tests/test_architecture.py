"""What import-linter can't see: names, sizes, exports, and what tests may lean on."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import postel

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "postel").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
NOT_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc", "core"}
LONGEST_FILE = 700
LONGEST_FUNCTION = 50


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def begin_of_body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The first line behind the signature and the docstring."""
    described = ast.get_docstring(function) is not None and len(function.body) > 1
    return function.body[described].lineno


def is_a_list_of_fields(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return function.name == "__init__" and not any(
        isinstance(line, ast.If | ast.For | ast.While | ast.Try | ast.With) for line in function.body
    )


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
class TestSources:
    def test_a_file_is_a_word_that_says_what_it_holds(self, path: Path) -> None:
        words = set(path.relative_to(ROOT).with_suffix("").parts)
        assert not words & NOT_NAMES

    def test_a_file_can_be_read_in_one_sitting(self, path: Path) -> None:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE

    def test_a_function_fits_on_a_screen(self, path: Path) -> None:
        functions = [
            node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        assert [
            f.name
            for f in functions
            if f.end_lineno - begin_of_body(f) >= LONGEST_FUNCTION and not is_a_list_of_fields(f)
        ] == []

    def test_a_module_says_what_it_is_for(self, path: Path) -> None:
        assert ast.get_docstring(tree(path))

    def test_no_import_is_for_type_checking_alone(self, path: Path) -> None:
        """But for the compiler's own words, and for `postel.attach`, without which asyncio isn't imported."""
        assert "TYPE_CHECKING" not in path.read_text(encoding="utf-8") or name_of(path) in (
            "postel/compiler.py",
            "postel/__init__.py",
        )


@pytest.mark.parametrize("path", [path for path in TESTS if path != Path(__file__)], ids=name_of)
class TestTests:
    def test_nothing_is_mocked_or_patched(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert not [
            word
            for word in ("unittest.mock", "from unittest import mock", "monkeypatch", "mocker")
            if word in text
        ]

    def test_nothing_waits_in_real_time(self, path: Path) -> None:
        if "kernel" in path.parts:
            pytest.skip("the kernel's clock is real")
        calls = [node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
        assert "time.sleep" not in [ast.unparse(call) for call in calls]


def modules() -> list[str]:
    return [
        "postel",
        *(
            found.name
            for found in pkgutil.walk_packages(postel.__path__, "postel.")
            if not found.name.endswith("__main__")
        ),
    ]


@pytest.mark.parametrize("name", modules())
def test_what_a_module_exports_exists_and_is_explained(name: str) -> None:
    module = importlib.import_module(name)
    for exported in getattr(module, "__all__", ()):
        value = getattr(module, exported)
        assert not isinstance(value, type) or value.__doc__, f"{name}.{exported} has no docstring"


CORE = [
    path for folder in ("wire", "tcp", "host") for path in sorted((ROOT / "postel" / folder).rglob("*.py"))
]


def test_the_core_calls_nothing_that_a_property_gives() -> None:
    """mypyc makes ``config.controller(…)`` a call of the property's own function, and the class comes back,
    not an object of it.
    """
    nodes = [(path, node) for path in CORE for node in ast.walk(tree(path))]
    properties = [
        node.name
        for _, node in nodes
        if isinstance(node, ast.FunctionDef)
        and any(
            isinstance(decorator, ast.Name) and decorator.id == "property"
            for decorator in node.decorator_list
        )
        and node.returns is not None
        and {"type", "Callable"} & {name.id for name in ast.walk(node.returns) if isinstance(name, ast.Name)}
    ]
    calls = [
        (name_of(path), node.func.attr)
        for path, node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    assert properties
    assert [call for call in calls if call[1] in properties] == []


def test_the_tcb_is_the_core_s_own() -> None:
    """One place sets what no program may choose: initial sequence numbers as a broken stack would have
    them.
    """
    others = [path for path in SOURCES if path not in CORE and path.parent.name != "testing"]
    lines = [
        (name_of(path), line.strip())
        for path in others
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert [name for name, line in lines if re.search(r"\._?tcb\b", line)] == ["postel/lab/front.py"]


def loaded_by(statement: str) -> set[str]:
    script = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    return set(
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout.split()
    )


def test_importing_the_package_loads_no_loop_and_no_socket() -> None:
    assert not loaded_by("import postel") & {"asyncio", "socket", "ssl", "logging", "argparse"}


def test_the_core_loads_nothing_of_the_outside() -> None:
    loaded = loaded_by("import postel.host.host, postel.tcp.connection")
    assert not {
        name
        for name in loaded
        if name.startswith(("postel.links", "postel.aio", "postel.sim", "postel.view", "postel.cli"))
    }


def test_the_command_line_needs_the_standard_library_alone() -> None:
    packages = {name.partition(".")[0] for name in loaded_by("import postel.cli")}
    assert not {
        name
        for name in packages - {"postel", "rich"}
        if name not in sys.stdlib_module_names and not name.startswith("_")
    }
