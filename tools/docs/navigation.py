"""The list of all pages beside each page, made once for each folder.

Sphinx makes it anew for every page, which takes a third of the time of a build. Apart from the mark of the
page at hand, all pages of a folder have the same list.
"""

import posixpath
from typing import Any

from bs4 import BeautifulSoup
from sphinx.application import Sphinx


class Navigation:
    """Lists of all pages, as HTML, by the folder that links are relative to."""

    def __init__(self) -> None:
        self._lists: dict[tuple[Any, ...], str] = {}

    def share(self, app: Sphinx, page: str, _template: str, context: dict[str, Any], _tree: object) -> None:
        """Put in place of Sphinx's own list of pages one that is made once for each folder."""
        folder = posixpath.dirname(page)

        def listed(**options: object) -> str:
            key = (folder, *sorted(options.items()))
            if key not in self._lists:
                # The name of no page: so the list has no mark
                own = f"{folder}/-".lstrip("/")
                self._lists[key] = app.builder._get_local_toctree(own, **options)
            return marked(self._lists[key], posixpath.basename(app.builder.get_target_uri(page)))

        if "toctree" in context:
            context["toctree"] = listed


def marked(pages: str, own: str) -> str:
    """The list with a mark on the page at ``own``, and on all entries around it."""
    soup = BeautifulSoup(pages, "html.parser")
    link = soup.find("a", href=own)
    if link is None:
        return pages
    for element in [link, *link.parents]:
        if element.name in {"a", "li", "ul"}:
            element["class"] = [*element.get("class", []), "current"]
    return str(soup)


def setup(app: Sphinx) -> None:
    """Connect to Sphinx, before Furo makes its own list from Sphinx's."""
    app.connect("html-page-context", Navigation().share, priority=400)
