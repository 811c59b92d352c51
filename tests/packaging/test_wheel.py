"""What `pip install .` makes of the source: compiled where it can be, plain where not. From a copy, so that
the checkout stays as it is.
"""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCE = ("setup.py", "pyproject.toml", "pytest_postel.py", "README.md", "LICENSE")
BUILT = ROOT / "build" / "compiled" / "build"
WHERE = "import postel, postel.host.host as core; print(core.__file__)"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    copy = tmp_path / "source"
    shutil.copytree(ROOT / "postel", copy / "postel", ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    for name in SOURCE:
        shutil.copy(ROOT / name, copy)
    return copy


def pip(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def wheel(source: Path, **environment: str) -> Path:
    """Built with what this environment has: nothing is downloaded."""
    folder = source.parent / "wheels"
    done = pip(
        "wheel",
        "-v",
        "--no-build-isolation",
        "--no-deps",
        "--no-cache-dir",
        "-w",
        folder,
        source,
        **environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.glob("*.whl")
    return made


def installed(made: Path) -> tuple[str, str]:
    """Where the core is in a fresh environment, and what the command says of it."""
    fresh = made.parent.parent / "fresh"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", fresh], check=True)
    done = pip("--python", fresh / "bin" / "python", "install", "--no-index", "--no-deps", made)
    assert done.returncode == 0, done.stdout + done.stderr
    told = [
        subprocess.run(command, check=True, capture_output=True, text=True, cwd=fresh).stdout.strip()
        for command in ([fresh / "bin" / "python", "-c", WHERE], [fresh / "bin" / "postel", "--version"])
    ]
    subprocess.run([fresh / "bin" / "postel", "demo"], check=True, capture_output=True, cwd=fresh)
    return told[0], told[1]


def test_where_there_is_a_compiler_the_core_is_compiled(source: Path) -> None:
    if not shutil.which(os.environ.get("CC", "cc")):
        pytest.skip("there is no C compiler")
    level = "0"
    if BUILT.exists():  # `make compile` compiled the same files, at level 3
        shutil.copytree(BUILT, source / "build")
        level = "3"
    made = wheel(source, POSTEL_COMPILE="1", POSTEL_OPTIMISE=level)
    assert "none-any" not in made.name
    core, version = installed(made)
    assert not core.endswith(".py")
    assert "compiled" in version


@pytest.mark.parametrize(
    "environment", [{"CC": "/bin/false"}, {"PATH": "/nowhere"}, {"POSTEL_COMPILE": "0"}], ids=str
)
def test_where_there_is_none_or_nobody_wants_it_the_same_source_is_plain(
    source: Path, environment: dict[str, str]
) -> None:
    made = wheel(source, **environment)
    assert made.name.endswith("py3-none-any.whl")
    core, version = installed(made)
    assert core.endswith(".py")
    assert "plain Python" in version


def test_who_insists_is_told_what_is_missing(source: Path) -> None:
    done = pip(
        "wheel",
        "--no-build-isolation",
        "--no-deps",
        "-w",
        source.parent,
        source,
        CC="/bin/false",
        POSTEL_COMPILE="1",
    )
    assert done.returncode != 0
    assert "no C compiler that works with this Python" in done.stdout + done.stderr


def test_an_sdist_has_the_source_and_nothing_made_of_it(source: Path) -> None:
    program = "import sys, setuptools.build_meta as backend; print(backend.build_sdist(sys.argv[1]))"
    subprocess.run(
        [sys.executable, "-c", program, source.parent], cwd=source, check=True, capture_output=True
    )
    (made,) = source.parent.glob("*.tar.gz")
    with tarfile.open(made) as archive:
        names = archive.getnames()
    assert any(name.endswith("postel/host/host.py") for name in names)
    assert any(name.endswith("/setup.py") for name in names)
    assert not [name for name in names if name.endswith((".c", ".h", ".so"))]
