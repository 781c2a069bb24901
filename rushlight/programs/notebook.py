"""The code cells of a Jupyter notebook, without IPython's own syntax."""

import ast
import json
import re

__all__ = ["cells"]

#: Magics whose rest of the line, or of the cell, is Python.
_PYTHON = r"%{1,2}(?:time|timeit|capture|prun|memit)\b"
_ASSIGNED = re.compile(r"=\s*[!%].*")
_HELP = re.compile(r"\s*(?:\?.*|[\w.]+\?{1,2})\s*$")


def cells(source):
    """Yield (number, tree) of each code cell. Cells are counted from 1, those of text as well.

    Args:
        source: The text of the ``.ipynb`` file.

    Raises:
        ValueError: the text is no notebook.
        SyntaxError: a cell is not Python.

    >>> notebook = '{"cells": [{"cell_type": "code", "source": ["!ls\\\\n", "x = 1"]}]}'
    >>> [(number, ast.unparse(tree)) for number, tree in cells(notebook)]
    [(1, 'pass\\nx = 1')]
    """
    held = json.loads(source)
    listed = held.get("cells") if isinstance(held, dict) else None
    if not isinstance(listed, list):
        raise ValueError("it is no Jupyter notebook: it has no cells")
    for number, cell in enumerate(listed, 1):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            lines = cell.get("source", "")
            yield number, _tree("".join(lines), number)


def _tree(text, number):
    try:
        return ast.parse(text)
    except SyntaxError:
        pass
    try:
        return ast.parse(_without_magics(text))
    except SyntaxError as error:
        raise SyntaxError(f"cell {number}, line {error.lineno}: {error.msg}") from None


def _without_magics(text):
    """Replace IPython's commands by ``pass``; every line stays where it is."""
    lines = text.split("\n")
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("%%") and not re.match(_PYTHON, first):
        return ""  # a cell in another language
    return "\n".join([_plain(line) for line in lines])


def _plain(line):
    rest = line.lstrip()
    indent = line[: len(line) - len(rest)]
    found = re.match(_PYTHON + r"(?:\s+-\S+(?:\s+\d+)?)*\s*", rest)
    if found and not rest.startswith("%%") and rest[found.end() :]:
        return indent + rest[found.end() :]
    if rest.startswith(("%", "!")) or _HELP.match(rest):
        return indent + "pass"
    return _ASSIGNED.sub("= None", line)
