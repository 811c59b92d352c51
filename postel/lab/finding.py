"""Search for claims by the words that people use for them, in English and Chinese.

A claim is found where all words are in its name, its text or its keywords. Where no claim is found so, the
claims' other texts count as well. Where no claim has a Chinese word as it is, half of its pairs of characters
are enough, because Chinese is written without spaces, and one thing has several names.
"""

import re
import unicodedata
from itertools import pairwise
from typing import Final

from postel.lab.catalogue import Claim, claims
from postel.lab.translations import Text

_WORD: Final = re.compile(r"[0-9a-z][0-9a-z+]*(?:[-_/][0-9a-z+]+)*|[\u3400-\u9fff]+")
# Words of questions, which say nothing about TCP
_EMPTY: Final = re.compile(
    "an?|and|are|does|do|for|how|in|is|it|of|on|or|that|the|to|what|when|which|why|with"
)
_PART: Final = 1 / 2  # share of a Chinese word's pairs of characters that a text must have
_EMPTY_CHINESE: Final = re.compile(
    "为什么|为何|是什么|什么是|什么|怎么办|怎么|如何|多少|请问|原理|过程|作用|区别|[吗呢的了和与是]"
)


def find(words: str) -> list[Claim]:
    """Return the claims that are about ``words``, the best first; an empty list where there is none.

    >>> [claim.id for claim in find("SYN洪泛")]
    ['syn-flood', 'server-allocates-at-syn', 'cookies-cost']
    """
    wanted = _words(words)
    if not wanted:
        return []
    for texts in (_names, _everything):
        shares = {claim.id: _share(wanted, texts(claim)) for claim in claims().values()}
        least = 1 if 1 in shares.values() else _PART
        found = [claim for claim in claims().values() if shares[claim.id] >= least]
        if found:
            return sorted(found, key=lambda claim: -_merit(words, wanted, claim))
    return []


def _merit(words: str, wanted: list[str], claim: Claim) -> float:
    """Return how good a claim is as an answer: best where it has the whole phrase, then by name and text."""
    has_phrase = _is_in(_plain(" ".join(_WORD.findall(_folded(words)))), _names(claim))
    in_name = sum(_is_in(word, _plain(claim.id)) for word in wanted) / len(wanted)
    in_text = _share(wanted, _plain(f"{claim.text.en}\n{claim.text.zh}"))
    return 2 * has_phrase + in_name + in_text + _share(wanted, _everything(claim))


def _plain(text: str) -> str:
    """Return a text in lower case, with one form of each character, and spaces for joining signs."""
    return re.sub(r"[-_/]", " ", _folded(text))


def _folded(text: str) -> str:
    """Return a text in lower case, with one form of each character."""
    return unicodedata.normalize("NFKC", text).casefold()


def _words(text: str) -> list[str]:
    """Return the words of a query, without those of questions; ``TIME_WAIT`` is one word, "time wait"."""
    meant = _EMPTY_CHINESE.sub(" ", _folded(text))
    return [_plain(word) for word in _WORD.findall(meant) if not _EMPTY.fullmatch(word)]


def _names(claim: Claim) -> str:
    """Return what a claim is called and says."""
    return _plain("\n".join([claim.id, claim.text.en, claim.text.zh, *claim.keywords]))


def _everything(claim: Claim) -> str:
    """Return all texts of a claim."""
    texts: list[Text] = [claim.look, claim.note, *claim.runs.values()]
    return "\n".join([_names(claim), claim.rfc, *[_plain(f"{text.en}\n{text.zh}") for text in texts]])


def _share(wanted: list[str], text: str) -> float:
    """Return how well a text matches: the mean of `_share_of` over the words, or 0 where one is missing."""
    shares = [_share_of(word, text) for word in wanted]
    return sum(shares) / len(shares) if all(shares) else 0


def _share_of(word: str, text: str) -> float:
    """Return 1 where a text has the word, or the share of a Chinese word's pairs that it has, else 0."""
    if _is_in(word, text):
        return 1
    pairs = ["".join(pair) for pair in pairwise(word)] if word[0] >= "\u3400" else []
    share = sum(pair in text for pair in pairs) / len(pairs) if len(pairs) > 1 else 0
    return share if share >= _PART else 0


def _is_in(word: str, text: str) -> bool:
    """Say whether a text has a word: a Chinese one anywhere, another one at the beginning of a word."""
    if word[:1] >= "\u3400":
        return word in text
    stems = [stem for stem in (word.removesuffix("s"), word.removesuffix("ing")) if len(stem) > 1] or [word]
    return any(re.search(rf"(?<![0-9a-z]){re.escape(stem)}", text) for stem in stems)
