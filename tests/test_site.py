"""How the pages of the documentation's site are made; tests/browser/test_docs.py opens them."""

from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="Sphinx isn't installed (pip install 'postel[docs]')")

from tests.test_api import MODULES, OF_AN_EXTRA, SOURCE
from tools.docs import interface
from tools.docs.chinese import words
from tools.docs.constants import readable
from tools.docs.docstrings import with_lists
from tools.docs.pages import MissingPage, Pages

pytestmark = pytest.mark.skipif(not SOURCE, reason="the site is made from the source")


def staged(tmp_path: Path, files: dict[str, str]) -> dict[str, str]:
    """What stands in each place of the site."""
    for name, text in files.items():
        path = tmp_path / "repository" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    target = tmp_path / "site"
    Pages(tmp_path / "repository", target, {}).write()
    return {
        path.relative_to(target).as_posix(): path.read_text(encoding="utf-8") for path in target.rglob("*.md")
    }


def test_links_lead_to_the_places_of_the_copies(tmp_path: Path) -> None:
    found = staged(
        tmp_path,
        {"README.md": "# Postel\n\n[how](docs/a.md#b)\n", "docs/a.md": "# A\n\n[back](../README.md)\n"},
    )
    assert found["project/README.md"] == "# README\n\n[how](../a.md#b)\n"
    assert found["a.md"] == "# A\n\n[back](project/README.md)\n"


def test_a_file_of_another_kind_becomes_a_page_that_no_search_finds(tmp_path: Path) -> None:
    found = staged(tmp_path, {"docs/a.md": "# A\n\n[it](../examples/it.py)\n", "examples/it.py": "x = 1\n"})
    assert "[it](source/examples/it.py.md)" in found["a.md"]
    assert "nosearch: true" in found["source/examples/it.py.md"]
    assert "`````python\nx = 1\n`````" in found["source/examples/it.py.md"]


def test_a_link_to_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MissingPage, match=r"gone\.md"):
        staged(tmp_path, {"docs/a.md": "[it](gone.md)\n"})


def test_code_stays_as_it_is(tmp_path: Path) -> None:
    text = "# A\n\n```text\n[it](gone.md)\n```\n"
    assert staged(tmp_path, {"docs/a.md": text})["a.md"] == text


def test_a_page_links_to_its_translation(tmp_path: Path) -> None:
    found = staged(tmp_path, {"docs/a.md": "# A\n\nText.\n", "docs/a.zh.md": "# 甲\n\n一行\n又一行\n"})
    assert found["a.md"] == "# A\n\n[中文](a.zh.md)\n\nText.\n"
    assert found["a.zh.md"] == "# 甲\n\n[English](a.md)\n\n一行又一行\n"


def test_the_contents_follow_the_lists_of_the_index(tmp_path: Path) -> None:
    found = staged(tmp_path, {"docs/index.md": "# I\n\n## Use\n\n- [A](a.md): text\n", "docs/a.md": "# A\n"})
    assert found["index.md"].endswith("```{toctree}\n:hidden:\n:caption: Use\n\nA <a.md>\n```\n")


def test_every_public_module_has_a_page() -> None:
    assert set(interface.modules()) == {*MODULES, *OF_AN_EXTRA}


def test_every_public_name_is_on_a_page(tmp_path: Path) -> None:
    interface.Interface(tmp_path, readable).write()
    text = "\n".join(page.read_text(encoding="utf-8") for page in tmp_path.glob("*.rst"))
    homes = [name for module in interface.modules() for name in interface.names(module)]
    own = [name for name in homes if interface.homes()[name.path] == name.path and name.kind != "Modules"]
    assert [name.path for name in own if f":: {name.name}\n" not in text] == []


def test_a_public_name_without_a_text_is_an_error(tmp_path: Path) -> None:
    def silent() -> None: ...

    made = interface.Interface(tmp_path, readable)
    list(made._described(interface.Name("postel", "silent", silent)))
    with pytest.raises(interface.Undocumented, match=r"postel\.silent"):
        made.write()


def test_a_list_of_attributes_becomes_a_list() -> None:
    lines = ["Text:", "    seq, ack: numbers", "        of both.", "    data: octets.", "", "More."]
    assert with_lists(lines) == [
        "Text:",
        "",
        "- ``seq``, ``ack``: numbers",
        "  of both.",
        "- ``data``: octets.",
        "",
        "",
        "More.",
    ]


def test_a_default_shows_no_private_name() -> None:
    assert readable("orphans.MOST", "postel.host.host").isdigit()
    assert readable("5 * MINUTE", "postel.tcp.config") == "5 * MINUTE"
    assert readable("USER_TIMEOUT", "postel.tcp.config") == "5 * MINUTE"


def test_chinese_is_found_by_pairs_of_characters() -> None:
    assert words("TCP 三次握手") == ["TCP", "三", "次", "握", "手", "三次", "次握", "握手"]
