"""How Sphinx builds the site of the documentation: ``make docs``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from sphinx.application import Sphinx

import postel
from tools.docs import chinese, docstrings, links, navigation, signatures

project = "Postel"
author = "the authors of Postel"
version = release = postel.__version__
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_static"]

myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # a page may begin with a heading of any level

default_role = "py:obj"
add_module_names = False
python_maximum_signature_line_length = 88
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "Postel"
html_static_path = [str(Path(__file__).parent / "static")]
html_favicon = str(Path(__file__).parent / "static" / "icon.svg")
html_css_files = ["postel.css"]
html_js_files = [("from-file.js", {"priority": 250})]
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
html_search_language = chinese.WithChinese.lang
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}
templates_path = []


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    chinese.setup(app)
    docstrings.setup(app)
    links.setup(app)
    navigation.setup(app)
    signatures.setup(app)
