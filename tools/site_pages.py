"""Write the pages of the site that are made from other files: examples, introduction, reference.

This module is not run by hand. ``python -m sphinx -W docs build/site`` builds the site, and runs
``docs/conf.py`` first, which calls ``write``. The pages go to docs/generated, which is not
committed.
"""

import ast
import re
import shutil
from pathlib import Path

import reference_pages

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"


def write(folder):
    """Write everything that is generated into ``folder``."""
    examples = folder / "examples"
    examples.mkdir(parents=True, exist_ok=True)
    _copy(EXAMPLES / "introduction.ipynb", folder / "introduction.ipynb")
    programs = sorted(EXAMPLES.glob("*.py"))
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"\]\((\w+)\.py\)", r"](\1.md)", text)
    text = text.replace("](introduction.ipynb)", "](../introduction.ipynb)")
    names = "\n".join(path.stem for path in programs)
    _put(examples / "index.md", f"{text}\n```{{toctree}}\n:hidden:\n\n{names}\n```\n")
    for path in programs:
        _put(examples / f"{path.stem}.md", program(path))
    reference_pages.write(folder / "reference")


def program(path):
    """The page of one example: its docstring, how to run it, its source."""
    source = path.read_text(encoding="utf-8")
    doc = ast.get_docstring(ast.parse(source))
    code = source.partition('"""')[2].partition('"""')[2].lstrip("\n")
    return (
        f"# {path.stem}\n\n{doc}\n\n```console\n$ rushlight run examples/{path.name}\n"
        f"$ rushlight run examples/{path.name} --compile\n$ python examples/{path.name}    "
        f"# PyTorch: the same losses\n```\n\n```python\n{code}```\n"
    )


def _put(path, text):
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8", newline="\n")


def _copy(source, target):
    if not target.exists() or source.read_bytes() != target.read_bytes():
        shutil.copyfile(source, target)
