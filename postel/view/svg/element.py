"""Writing of SVG and HTML elements as text.

>>> element("text", escaped("a < b"), x=1, y=2.25, class_="note", data_at=3, lang=None)
'<text x="1" y="2.2" class="note" data-at="3">a &lt; b</text>'
"""

from collections.abc import Sequence
from html import escape


def element(name: str, /, *children: str, **attributes: object) -> str:
    """Write an element with its children, which are text that is escaped already.

    An attribute's name loses underscores at its end, and others become hyphens: ``class_`` is class,
    ``data_at`` is data-at. An attribute that is None is left out, one that is True has no value, and a float
    has at most one decimal.
    """
    told = "".join(
        _attribute(key.rstrip("_").replace("_", "-"), value)
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(children)
    return f"<{name}{told}>{inner}</{name}>" if inner or name not in _EMPTY else f"<{name}{told}/>"


_EMPTY = ("path", "rect", "line", "circle", "polygon", "input", "meta")


def _attribute(key: str, value: object) -> str:
    if value is True:
        return f" {key}"
    text = f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
    return f' {key}="{escape(text)}"'


def escaped(text: object) -> str:
    """Escape a text for the inside of an element."""
    return escape(str(text), quote=False)


def in_languages(name: str, texts: dict[str, str], /, **attributes: object) -> str:
    """Write an element once for each language of ``texts``.

    Where the texts differ, each element has an attribute ``lang``, and the page's style shows one of them.
    """
    if len(texts) == 1 or len(set(texts.values())) == 1:
        return element(name, escaped(next(iter(texts.values()))), **attributes)
    return "".join(
        element(name, escaped(text), lang=language, **attributes) for language, text in texts.items()
    )


def document(parts: Sequence[str], wide: float, high: float, *, style: str = "", title: str = "TCP") -> str:
    """Write a whole SVG picture; without ``style``, one to put into a page that has the style sheet."""
    head = element("title", escaped(title)) + (element("style", style) if style else "")
    paper = element("rect", width=wide, height=high, class_="paper") if style else ""
    size = {"viewBox": f"0 0 {wide:g} {high:g}", "width": f"{wide:g}", "height": f"{high:g}"}
    space = "http://www.w3.org/2000/svg" if style else None
    return element("svg", head, paper, *parts, xmlns=space, class_="postel", role="img", **size) + "\n"
