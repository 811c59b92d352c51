"""Lists of attributes in docstrings, made reStructuredText.

The source writes them as text that is easy to read there::

    It has these attributes:
        seq, ack: sequence and acknowledgement numbers.
"""

import re

from sphinx.application import Sphinx

ITEM = re.compile(r"( +)(\w+(?:, \w+)*): (.*)")


def with_lists(lines: list[str]) -> list[str]:
    """The lines of a docstring, with an item of a list for each attribute, its names as literals."""
    found: list[str] = []
    indent = ""
    for before, line in zip(["", *lines], lines, strict=False):
        item = ITEM.fullmatch(line)
        if item and not indent and before.endswith(":") and not before.endswith("::"):
            found.append("")
            indent = item[1]
        elif indent and line and not line.startswith(indent):
            found.append("")
            indent = ""
        if indent and item and item[1] == indent:
            names = ", ".join(f"``{name}``" for name in item[2].split(", "))
            found.append(f"- {names}: {item[3]}")
        else:
            found.append(f"  {line.strip()}" if indent and line else line)
    return found


def change(_app: Sphinx, _what: str, _name: str, _thing: object, _options: object, lines: list[str]) -> None:
    """Change the docstring of a name for Sphinx."""
    lines[:] = with_lists(lines)


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    app.connect("autodoc-process-docstring", change)
