"""What README and docs show works: every ``pycon`` block as a doctest, every ``python`` block as a
program.
"""

import doctest
import re
from pathlib import Path

import pytest

from postel import Host, errors
from postel.tcp import config, events
from tools.printed import refreshed

ROOT = Path(__file__).parent.parent
ENGLISH, CHINESE = READMES = ROOT / "README.md", ROOT / "README.zh.md"
PAGES = [*READMES, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The fenced blocks in ``language``, each with the line it begins on."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, match.start(2)), match[2])
        for match in FENCE.finditer(text)
        if match[1] == language
    ]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_shows_at_the_prompt(page: Path) -> None:
    globs: dict[str, object] = {}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for line, block in blocks(page, "pycon"):
        example = doctest.DocTestParser().get_doctest(block, globs, page.name, str(page), line)
        runner.run(example, clear_globs=False)
        globs = example.globs
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_shows_as_a_program(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert refreshed(text, str(page)) == text, "python tools/printed.py *.md docs/*.md"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def reference() -> str:
    return (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


def test_the_reference_names_every_choice() -> None:
    assert [name for name in config.names() if f"| `{name}` |" not in reference()] == []


def test_the_reference_names_every_error() -> None:
    kinds = [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.PostelError)
    ]
    classes = [name for name in kinds if name not in {"PostelError", "TcpError"}]
    assert [name for name in classes if f"| `{name}` |" not in reference()] == []


def test_the_reference_names_every_event() -> None:
    kinds = [
        name
        for name, value in vars(events).items()
        if isinstance(value, type) and issubclass(value, events.Event)
    ]
    assert [
        name
        for name in kinds
        if name != "Event" and not re.search(rf"^\| `{name}\(", reference(), re.MULTILINE)
    ] == []


def test_the_reference_names_every_counter() -> None:
    keys = Host("10.0.0.1/24", secret=b"secret").statistics()
    sources = [
        path.read_text(encoding="utf-8")
        for folder in ("wire", "host")
        for path in (ROOT / "postel" / folder).rglob("*.py")
    ]
    reasons = {
        reason
        for text in sources
        for reason in re.findall(r'(?:WireError\(|drop\(|return |_give_up\(partial, )"(\w+_\w+)"', text)
    }
    assert [name for name in {*keys, *reasons} if f"`{name}`" not in reference()] == []


SHAPE = re.compile(r"^(#+ |```\w*|\||[-*] )", re.MULTILINE)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def rows(page: Path) -> list[str]:
    """The rows of all tables of a page."""
    return [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("|")]


def test_both_readmes_have_the_same_headings_blocks_and_rows() -> None:
    """In the same order."""
    ours, theirs = (SHAPE.findall(page.read_text(encoding="utf-8")) for page in READMES)
    assert theirs == ours


def test_the_readme_is_two_screens() -> None:
    for page in READMES:
        assert len(page.read_text(encoding="utf-8").splitlines()) <= 140, page


def commands(page: Path) -> list[str]:
    """The shell commands of a page, without their comments."""
    return [
        line.partition(" #")[0].rstrip() for _, block in blocks(page, "sh") for line in block.splitlines()
    ]


def test_both_readmes_show_the_same_code() -> None:
    """The comments may differ, and the language of the ladder."""
    assert commands(CHINESE) == commands(ENGLISH)
    for language in ("python", "pycon"):
        ours, theirs = ([block for _, block in blocks(page, language)] for page in READMES)
        assert [block.replace(', language="zh"', "") for block in theirs] == ours


def test_both_readmes_tell_the_same_figures() -> None:
    """Row by row, in digits."""
    ours, theirs = ([sorted(NUMBER.findall(row)) for row in rows(page)] for page in READMES)
    assert theirs == ours


def test_the_figures_of_the_readme_are_rows_of_the_page_of_figures() -> None:
    assert [row for row in rows(ENGLISH) if row not in rows(ROOT / "docs" / "performance.md")] == []
