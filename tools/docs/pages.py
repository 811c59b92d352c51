"""Copies the Markdown pages of the repository to where Sphinx reads them.

Pages of ``docs/`` go to the root of the site. ``README.md`` and the other pages at the root of the repository
go to ``project/``. A file of any other kind to which a page links becomes a page that shows it, below
``source/``, and so does a folder: the site has no links that leave it for a file of the repository.

The pages stay plain Markdown that a code-hosting site shows as well. What Sphinx needs beyond that is added
to the copies: a table of contents after ``docs/index.md``, made from its own lists of links; a link between a
page and its translation; anchors in a form that Sphinx can check.
"""

import os
import re
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

FENCE = re.compile(r"^ *(```|~~~)")
LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)\s]*)?\))")
ANCHOR = re.compile(r'<a id="([^"]+)"></a>(`[^`]+`)')
CHINESE_LINE = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef])\n *(?=[\u3400-\u9fff\[`A-Za-z0-9])")
HEADING = re.compile(r"^## +(.+)$")
ENTRY = re.compile(r"^[-*] +\[([^\]]+)\]\(([^)#:\s]+\.md)\)")
LEXERS = {".py": "python", ".toml": "toml", ".sh": "sh", ".md": "md", "": "text"}
TRANSLATED = ".zh.md"
# Both begin with "Postel", as the first page of the site does: in a search one couldn't tell them apart
READMES = {"README.md": "README", "README.zh.md": "Postel 中文说明"}
NOT_FOR_READERS = "---\norphan: true\nnosearch: true\n---\n\n"


class MissingPage(Exception):
    """A page links to a file that doesn't exist."""


def outside_of_fences(text: str) -> Iterator[tuple[str, bool]]:
    """Each line of ``text`` with its end, and whether it is prose, not part of a fenced block."""
    fence = ""
    for line in text.splitlines(keepends=True):
        found = FENCE.match(line)
        yield line, not fence and not found
        if found and not fence:
            fence = found[1]
        elif found and found[1] == fence and line.strip() == fence:
            fence = ""


class Pages:
    """Pages of the repository at ``root``, to be written below ``target``."""

    def __init__(self, root: Path, target: Path, appended: dict[str, str]) -> None:
        """``appended`` is what is added to the end of a page, by its place."""
        self.root = root
        self.target = target
        self.appended = appended
        self._waiting: list[Path] = []
        self._places: dict[Path, str] = {}

    def write(self) -> None:
        """Write all pages, and all files that they link to."""
        for page in [*sorted((self.root / "docs").rglob("*.md")), *sorted(self.root.glob("*.md"))]:
            self.place_of(page)
        while self._waiting:
            source = self._waiting.pop()
            place = self.target / self._places[source]
            place.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                place.write_text(self.listing(source), encoding="utf-8")
            elif place.suffix != ".md":
                place.write_bytes(source.read_bytes())
            elif source.suffix == ".md":
                place.write_text(self.page(source), encoding="utf-8")
            else:
                place.write_text(self.shown(source), encoding="utf-8")

    def place_of(self, source: Path) -> str:
        """Where the copy of ``source`` stands below the target. It is written later, once."""
        if source not in self._places:
            self._places[source] = self._new_place(source)
            self._waiting.append(source)
        return self._places[source]

    def _new_place(self, source: Path) -> str:
        path = source.relative_to(self.root)
        if path.parts[0] == "docs":
            return path.relative_to("docs").as_posix()
        if source.is_dir():
            return f"source/{path.as_posix()}/index.md"
        if path.suffix == ".md":
            return f"source/{path.as_posix()}" if path.parent.name else f"project/{path.as_posix()}"
        return f"source/{path.as_posix()}.md"

    def page(self, source: Path) -> str:
        """The text of a Markdown page, with its links changed to the places of the copies."""
        lines = outside_of_fences(source.read_text(encoding="utf-8"))
        parts = [
            (is_prose, "".join(line for line, _ in part))
            for is_prose, part in groupby(lines, key=itemgetter(1))
        ]
        texts = [self._prose(part, source) if is_prose else part for is_prose, part in parts]
        text = self._with_translation("".join(texts), source)
        if source.parent == self.root and source.stem.startswith("README"):
            text = text.replace("# Postel\n", f"# {READMES[source.name]}\n", 1)
        if source == self.root / "docs" / "index.md":
            text += "".join(contents(text))
        text += self.appended.get(self._places[source], "")
        return NOT_FOR_READERS + text if self._places[source].startswith("source/") else text

    def _prose(self, text: str, source: Path) -> str:
        """Prose of a page as the site needs it. A line's end within Chinese isn't a space."""
        return self._linked(ANCHOR.sub(r"[\2]{#\1}", CHINESE_LINE.sub("", text)), source)

    def _linked(self, text: str, source: Path) -> str:
        def changed(match: re.Match[str]) -> str:
            target = Path(os.path.normpath(source.parent / match[2]))
            if not target.exists():
                raise MissingPage(f"{source}: there is no {match[2]}")
            return match[1] + self._between(source, target) + match[3]

        return LINK.sub(changed, text)

    def _between(self, source: Path, target: Path) -> str:
        start = Path(self.place_of(source)).parent
        return Path(os.path.relpath(self.place_of(target), start)).as_posix()

    def _with_translation(self, text: str, source: Path) -> str:
        """``text`` with a link to the same page in the other language, where there is one and no link yet."""
        is_translation = source.name.endswith(TRANSLATED)
        other = source.with_name(
            source.name.removesuffix(TRANSLATED) + ".md" if is_translation else source.stem + TRANSLATED
        )
        if not other.exists() or f"]({self._between(source, other)})" in text:
            return text
        title, _, rest = text.partition("\n")
        name = "English" if is_translation else "中文"
        return f"{title}\n\n[{name}]({self._between(source, other)})\n{rest}"

    def shown(self, source: Path) -> str:
        """A page that shows a file of another kind."""
        path = source.relative_to(self.root).as_posix()
        text = source.read_text(encoding="utf-8")
        lexer = LEXERS.get(source.suffix, "text")
        return f"{NOT_FOR_READERS}# `{path}`\n\n`````{lexer}\n{text.rstrip()}\n`````\n"

    def listing(self, folder: Path) -> str:
        """A page that lists the files of a folder."""
        path = folder.relative_to(self.root).as_posix()
        files = [file for file in sorted(folder.iterdir()) if file.suffix in {".py", ".toml", ".md"}]
        place = Path(self.place_of(folder)).parent
        links = [f"- [`{file.name}`]({os.path.relpath(self.place_of(file), place)})\n" for file in files]
        return f"{NOT_FOR_READERS}# `{path}/`\n\n{''.join(links)}"


def contents(index: str) -> Iterator[str]:
    """Hidden tables of contents for Sphinx, one for each heading of the index that has a list of links."""
    caption = ""
    listed: dict[str, list[str]] = {}
    for line in index.splitlines():
        if heading := HEADING.match(line):
            caption = heading[1]
        elif entry := ENTRY.match(line):
            listed.setdefault(caption, []).append(f"{entry[1].replace('`', '')} <{entry[2]}>")
    for title, entries in listed.items():
        yield "\n".join(["", "```{toctree}", ":hidden:", f":caption: {title}", "", *entries, "```", ""])
