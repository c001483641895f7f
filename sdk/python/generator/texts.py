"""Docstrings."""

import inspect
import textwrap

WIDTH = 120


def docstring(text: str, indent: int, arguments: dict[str, str] | None = None) -> str:
    """The text as a docstring; `arguments` are listed under Args, each with what is said of it."""
    margin = " " * indent
    paragraphs = inspect.cleandoc(text).replace("\\", "\\\\").replace('"""', "'''").split("\n\n")
    blocks = [_fill(paragraphs[0], margin, first=margin + '"""')]
    blocks += [_fill(paragraph, margin) for paragraph in paragraphs[1:]]
    if arguments:
        lines = [_fill(f"{name}: {said}", margin + " " * 8, first=margin + " " * 4) for name, said in arguments.items()]
        blocks.append("\n".join([f"{margin}Args:", *lines]))
    whole = "\n\n".join(blocks)
    is_one_line = "\n" not in whole and len(whole) + 3 <= WIDTH
    return f'{whole}"""' if is_one_line else f'{whole}\n{margin}"""'


def _fill(text: str, margin: str, first: str | None = None) -> str:
    return textwrap.fill(
        " ".join(text.split()),
        WIDTH,
        initial_indent=margin if first is None else first,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
