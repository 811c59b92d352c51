"""Links from names in the texts to their descriptions."""

import functools
import re

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.python import ObjectEntry
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

from tools.docs.interface import homes, public_paths

NAME = re.compile(r"((?:postel\.)?[A-Z]\w+(?:\.\w+)*|postel(?:\.\w+)+)(?:\(.*\))?")
LONG = 30  # characters
NOT_LINKED = (nodes.reference, nodes.title, pending_xref)


class Directory:
    """Where each public name is described."""

    def __init__(self, entries: dict[str, ObjectEntry]) -> None:
        self._entries = entries
        self._by_ending: dict[str, list[str]] = {}
        for path in entries:
            parts = path.split(".")
            for start in range(1, len(parts)):
                self._by_ending.setdefault(".".join(parts[start:]), []).append(path)

    @staticmethod
    @functools.cache
    def of(env: BuildEnvironment) -> "Directory":
        """Of all pages, once all were read."""
        return Directory(env.domains["py"].objects)

    def find(self, name: str, module: str = "", kind: str = "") -> ObjectEntry | None:
        """The entry that ``name`` means in a text about class ``kind`` of ``module``, or None."""
        inside = [f"{module}.{kind}.{name}", f"{kind}.{name}"] if kind else []
        for path in [*inside, f"{module}.{name}", name, f"postel.{name}"]:
            found = self._entries.get(_public(path))
            if found is not None:
                return found
        return self._by_its_ending(name)

    def _by_its_ending(self, name: str) -> ObjectEntry | None:
        if "." not in name and not name[:1].isupper():
            return None  # `send` alone may be anything
        found = {
            entry.node_id: entry for entry in map(self._entries.get, self._by_ending.get(name, [])) if entry
        }
        return next(iter(found.values())) if len(found) == 1 else None


def _public(path: str) -> str:
    """The path under which what is at ``path`` is described."""
    head, rest = path, ""
    while head:
        known = homes().get(head) or public_paths().get(head)
        if known:
            return known + rest
        head, dot, last = head.rpartition(".")
        rest = f"{dot}{last}{rest}"
    return path


class ResolveNames(SphinxPostTransform):
    """Makes links of the names in docstrings and signatures, by their private paths as well."""

    default_priority = 5  # Sphinx's own comes at 10

    def run(self, **_: object) -> None:
        """Replace each name that is known; the others stay as they are, without a link."""
        directory = Directory.of(self.env)
        for node in list(self.document.findall(pending_xref)):
            if node.get("refdomain") == "py" and node["reftype"] != "mod":
                self._resolve(node, directory)

    def _resolve(self, node: pending_xref, directory: "Directory") -> None:
        target = node["reftarget"].lstrip("~.").removesuffix("()")
        entry = directory.find(target, node.get("py:module") or "", node.get("py:class") or "")
        shown = node[0].deepcopy()
        if entry is not None:
            page = node.get("refdoc", self.env.docname)
            shown = make_refnode(self.app.builder, page, entry.docname, entry.node_id, shown, target)
        node.replace_self(shown)


def link_names(app: Sphinx, tree: nodes.document, page: str) -> None:
    """In pages of Markdown a name of the interface in backticks becomes a link."""
    if page.startswith(("api/", "source/")):
        return
    directory = Directory.of(app.env)
    for literal in list(tree.findall(nodes.literal)):
        found = NAME.fullmatch(literal.astext())
        entry = directory.find(found[1]) if found and not _is_within(literal, NOT_LINKED) else None
        if entry is not None and found is not None:
            link = make_refnode(app.builder, page, entry.docname, entry.node_id, literal.deepcopy(), found[1])
            literal.replace_self(link)


def mark_long(_app: Sphinx, tree: nodes.document, _page: str) -> None:
    """Mark long literals in tables: they may break anywhere, and others not."""
    for table in tree.findall(nodes.table):
        for literal in table.findall(nodes.literal):
            if len(literal.astext()) > LONG:
                literal["classes"].append("long")


def _is_within(node: nodes.Node | None, kinds: tuple[type, ...]) -> bool:
    while node is not None:
        if isinstance(node, kinds):
            return True
        node = node.parent
    return False


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    app.add_post_transform(ResolveNames)
    app.connect("doctree-resolved", link_names)
    app.connect("doctree-resolved", mark_long)
