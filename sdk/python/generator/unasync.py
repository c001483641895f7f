"""The synchronous client's source from the asynchronous one's."""

import re

_REPLACEMENTS = [
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAwaitable\[((?:[^\[\]]|\[[^\[\]]*\])*)\]", r"\1"),
    (r"\b__a(enter|exit)__\b", r"__\1__"),
    (r"\baclose\b", "close"),
    (r"\bimport asyncio\b", "import time"),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\b_async\b", "_sync"),
    (r"\basynchronous\b", "synchronous"),
]


def unasync(source: str) -> str:
    """The same without async: keywords, names and what the docstrings show."""
    for pattern, replacement in _REPLACEMENTS:
        source = re.sub(pattern, replacement, source)
    return source
