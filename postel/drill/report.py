"""Place of a failure in a line of the script, and its explanation for human readers."""

import re
from typing import Final

from postel.errors import PostelError, ScriptError, ScriptFailed

_PLACES: Final = {
    "time": r"[+*]?\s*[\d.]+(?:~\+?[\d.]+)?",
    "time of return": r"\.\.\.\+?\s*[\d.]+",
    "flags": r"(?<=[<>])\s*(?:\([^)]*\)|\[\w+\])?\s*(\S+)",
    "seq": r"(?:\d+:\d+|\.\.\.)\(\d+\)",
    "length": r"\(\d+\)",
    "ack": r"ack\s+\d+",
    "window": r"win\s+\d+",
    "urgent": r"urg\s+\d+",
    "options": r"<[^<>]*>(?!.*<)",
    "packet": r"[<>].*\S",
    "result": r"=\s*\S+",
    "traffic class": r"\([^)]*\)",
    "hop limit": r"\([^)]*\)",
    "TS val": r"val\s+\d+",
    "TS ecr": r"ecr\s+\d+",
    "assertion": r"assert\s.*?(?=\s*\}?%?$)",
}


def place(line: str, problem: PostelError) -> tuple[int, int]:
    """First column and width of the part of the line that differs; the whole line if the part isn't known."""
    word = problem.word if isinstance(problem, ScriptFailed | ScriptError) else ""
    if isinstance(problem, ScriptFailed) and problem.field in _PLACES:
        found = re.search(_PLACES[problem.field], line)
        if found is not None:
            group = 1 if found.lastindex else 0
            return found.start(group), found.end(group) - found.start(group)
    at = line.find(word) if word else -1
    if at >= 0:
        return at, len(word)
    text = line.strip()
    return line.find(text), max(1, len(text))


def explain(line: str, problem: PostelError, rule: str = "") -> str:
    """Line of the script with a caret under the part that differs.

    Lines below it say what was expected, what happened, and which rule of the RFCs applied, if ``rule`` says
    so.
    """
    start, width = place(line, problem)
    words = [line.expandtabs(1), " " * start + "^" * width]
    if isinstance(problem, ScriptFailed):
        words += [
            f"{problem.field}:",
            f"  expected  {problem.expected}",
            f"  actual    {problem.actual}",
            *([f"  rule      {rule}"] if rule else []),
        ]
    else:
        words.append(str(problem))
    return "\n".join(words)
