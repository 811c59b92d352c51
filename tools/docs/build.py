"""Builds the site of the documentation: ``python -m tools.docs.build build/docs``.

Warnings are errors: a link that leads nowhere, a page that no list of ``docs/index.md`` has, a docstring that
isn't reStructuredText, a public name without a text.
"""

import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx

from tools.docs import interface
from tools.docs.constants import readable
from tools.docs.pages import Pages

ROOT = Path(__file__).parents[2]


def build(target: Path) -> int:
    """Build the site in ``target``, from nothing. The exit status."""
    work = target.with_name(f"{target.name}-work")
    sources, trees = work / "sources", work / "trees"
    for folder in (target, work):
        shutil.rmtree(folder, ignore_errors=True)
    Pages(ROOT, sources, {"api.md": interface.index()}).write()
    interface.Interface(sources / "api", readable).write()
    own = Path(__file__).parent
    options = ["-q", "-W", "--keep-going", "-j", "auto", "-c", str(own), "-d", str(trees)]
    return sphinx(["-b", "html", *options, str(sources), str(target)])


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1])))
