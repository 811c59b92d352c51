"""Search in English and Chinese.

Chinese is written without spaces, so each pair of neighbouring characters becomes a word of the index, and so
does each character. A query is split in the same way, and finds the pages that have all of its pairs.
"""

import re
from itertools import pairwise
from typing import Any

from sphinx.application import Sphinx
from sphinx.search import languages
from sphinx.search.en import SearchEnglish

RUN = re.compile(r"[\u3400-\u9fff]+|[^\W\u3400-\u9fff]+")


def is_chinese(word: str) -> bool:
    """Whether a run of characters is Chinese."""
    return "\u3400" <= word[0] <= "\u9fff"


def words(text: str) -> list[str]:
    """Words of the index: pairs and single characters where the text is Chinese."""
    found = []
    for run in RUN.findall(text):
        if is_chinese(run):
            found += [*run, *(first + second for first, second in pairwise(run))]
        else:
            found.append(run)
    return found


class WithChinese(SearchEnglish):
    """Sphinx's search in English, and Chinese by pairs of characters."""

    lang = "en-zh"
    language_name = "English"  # of its stemmer in the browser
    js_splitter_code = r"""
var splitQuery = (query) =>
  (query.match(/[\u3400-\u9fff]+|[\p{Letter}\p{Number}_]+/gu) || []).flatMap((word) =>
    (/[\u3400-\u9fff]/.test(word) && word.length > 1)
      ? [...word].slice(1).map((second, index) => word[index] + second)
      : [word]);
"""

    def split(self, text: str) -> list[str]:
        """Words of a text."""
        return words(text)


def setup(app: Sphinx) -> None:
    """Make the language known to Sphinx, and tell the browser which pages are in Chinese."""
    languages[WithChinese.lang] = WithChinese
    app.connect("html-page-context", _tell_language)


def _tell_language(_app: Sphinx, page: str, _template: str, context: dict[str, Any], _tree: object) -> None:
    if page.endswith(".zh"):
        context["language"] = "zh-CN"
