"""Docstrings."""

import inspect
import textwrap

WIDTH = 120


def docstring(text: str, indent: int, arguments: dict[str, str] | None = None, example: str = "") -> str:
    """The text as a docstring. Code follows it, and then under Args what is said of each argument."""
    margin = " " * indent
    paragraphs = inspect.cleandoc(text).replace("\\", "\\\\").replace('"""', "'''").split("\n\n")
    blocks = [_fill(paragraphs[0], margin, first=margin + '"""')]
    blocks += [_fill(paragraph, margin) for paragraph in paragraphs[1:]]
    if example:
        blocks.append(textwrap.indent(f"```python\n{example}\n```", margin))
    if arguments:
        lines = [_fill(f"{name}: {said}", margin + " " * 8, first=margin + " " * 4) for name, said in arguments.items()]
        blocks.append("\n".join([f"{margin}Args:", *lines]))
    whole = "\n\n".join(blocks)
    if "\n" in whole:
        return f'{whole}\n{margin}"""'
    if len(whole) + 3 <= WIDTH:
        return f'{whole}"""'
    # The formatter would put the quotes at the end of what is one line.
    return f'{_fill(whole, margin, first=margin, width=WIDTH - 3)}\n{margin}"""'


def _fill(text: str, margin: str, first: str | None = None, width: int = WIDTH) -> str:
    return textwrap.fill(
        " ".join(text.split()),
        width,
        initial_indent=margin if first is None else first,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
