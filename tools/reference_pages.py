"""Write the site's reference: a page for each namespace, from docs/surface.tsv and the docstrings.

This module is not run by hand. ``site_pages.write`` calls ``write`` at each build of the site
(``python -m sphinx -W docs build/site``).

Each name has one of three marks: it exists, it exists but differs (a line of docs/differences.md
names it), or it is missing.
"""

import inspect
import re
import textwrap
from collections import defaultdict
from pathlib import Path

import coverage_page
from sphinx.ext.napoleon import Config, GoogleDocstring

__all__ = ["write"]

MARKS = {"exists": "✓", "differs": "≠", "missing": "–"}
#: Namespaces that docs/surface.tsv does not list: all of what they export is described.
FURTHER = [
    "torch.compiler", "torch.serialization", "torch.profiler", "torch.onnx", "torch.export",
    "torch.jit", "torch.hub", "torch.nn.utils.prune", "torch.distributions.constraints",
    "torchvision.datasets", "torchvision.transforms", "torchvision.transforms.functional",
    "torchvision.models", "torchvision.utils", "torchvision.io", "torchvision.ops",
]  # fmt: skip
NAPOLEON = Config(napoleon_use_rtype=False, napoleon_use_ivar=True)


def write(folder):
    """Write the pages of all namespaces, and ``index.rst`` that lists them, into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    spaces = defaultdict(list)
    for space, name, kind, area in coverage_page.rows():
        spaces[space].append((name, kind, area))
    differences = notes()
    counts = {}
    for space, rows in spaces.items():
        entries = [Entry(space, name, kind, differences) for name, kind, _ in rows]
        counts[space] = sum(e.exists for e in entries), len(entries)
        if counts[space][0]:
            _put(folder / f"{space}.rst", page(space, entries))
    further = [space for space in FURTHER if home_of(space) is not None]
    for space in further:
        entries = [Entry(space, name, kind, differences) for name, kind in exports(space)]
        _put(folder / f"{space}.rst", page(space, entries))
    _put(folder / "index.rst", index(counts, further))


def home_of(space):
    """What stands for a namespace of PyTorch's or torchvision's; None where it is missing."""
    return coverage_page.namespace(space.replace("torchvision", "torch.vision"))


def exports(space):
    """(name, kind) of what a namespace exports, but for modules."""
    home = home_of(space)
    for name in sorted(home.__all__):
        value = getattr(home, name)
        if inspect.isclass(value):
            yield name, "class"
        elif callable(value):
            yield name, "function"
        elif not inspect.ismodule(value):
            yield name, "value"


def _put(path, lines):
    """Write a page, but leave one that is the same untouched: Sphinx keeps what it has of it."""
    text = "\n".join(lines) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8", newline="\n")


def notes():
    """The lines of docs/differences.md, each with the names that it is about.

    These are the names that it begins with, and those with a dot (``torch.multinomial``).
    """
    text = (coverage_page.DOCS / "differences.md").read_text(encoding="utf-8")
    found = []
    for item in re.split(r"\n(?=[*#])|\n\n", text):
        if item.startswith("* "):
            first = re.match(r"\* ((`[^`]+`(,| and)? )*)", item)[1]
            names = {*re.findall(r"`([\w.]+)", first), *re.findall(r"`(\w+\.[\w.]+)", item)}
            found.append((names, " ".join(item[2:].split())))
    return found


class Entry:
    """One public name: what it is here, and what the page says of it."""

    functions = {name for space, name, *_ in coverage_page.rows() if space == "torch"}

    def __init__(self, space, name, kind, differences):
        home = home_of(space)
        self.space, self.name, self.kind = space, name, kind
        self.exists = home is not None and hasattr(home, name)
        look = (
            inspect.getattr_static if inspect.isclass(home) else getattr
        )  # properties as they are
        self.value = look(home, name) if self.exists else None
        self.differences = [
            note for names, note in differences if self.exists and any(map(self.is_called, names))
        ]
        self.mark = "differs" if self.differences else "exists" if self.exists else "missing"

    def is_called(self, name):
        """Whether ``name``, with or without the namespace, is this one."""
        return f".{self.space}.{self.name}".endswith(f".{name}")

    @property
    def doc(self):
        """The docstring; of a constant, of what has none of its own, nothing."""
        if self.kind in ("value", "dtype", "module"):
            return ""
        return inspect.cleandoc(getattr(self.value, "__doc__", None) or "")

    @property
    def summary(self):
        """The docstring's first sentence."""
        first = self.doc.partition("\n\n")[0].replace("\n", " ")
        return re.split(r"(?<=[.:;]) (?=[A-Z])", first)[0]

    @property
    def twin(self):
        """The function of ``torch`` that a method of Tensor is; None where it has no such."""
        if self.space != "torch.Tensor" or self.kind != "method":
            return None
        torch = coverage_page.namespace("torch")
        same = getattr(torch, self.name, None) is self.value and self.value is not None
        return f"torch.{self.name}" if same and self.name in self.functions else None


def page(space, entries):
    """The lines of one namespace's page: a table of what exists, what is missing, the entries."""
    there = [e for e in entries if e.exists]
    missing = [e.name for e in entries if not e.exists]
    lines = heading(space, "=")
    if space not in FURTHER:
        lines += [f"{len(there)} of PyTorch's {len(entries)} names exist.", ""]
    if any(e.differences for e in there):
        lines += [
            f"{MARKS['differs']} marks those that differ on purpose; how, their entries say.", "",
        ]  # fmt: skip
    lines += [".. list-table::", "   :class: names", "   :widths: auto", ""]
    for e in there:
        lines += [
            f"   * - {MARKS[e.mark]}",
            f"     - {link(e)}",
            f"     - {prose(e.summary)}",
        ]
    lines.append("")
    if missing:
        text = ", ".join(f"``{name}``" for name in missing)
        lines += [".. rubric:: Missing", "", text + ".", ""]
    described = [e for e in there if e.doc and e.twin is None]
    if described:
        lines += [*heading("Entries", "-")]
    for e in described:
        lines += described_as(e)
    return lines


def heading(text, rule):
    """A title and the line beneath it."""
    return [text, rule * len(text), ""]


def link(entry):
    """The name, as a link to where it is described."""
    if not entry.doc:
        return f"``{entry.name}``"
    target = entry.twin or f"{entry.space}.{entry.name}"
    return f":py:obj:`{entry.name} <{target}>`"


def described_as(entry):
    """The lines of one entry: its signature, its docstring, how it differs."""
    directive = {"class": "class", "function": "function"}.get(entry.kind, "attribute")
    if entry.kind == "method":
        directive = "method"
    space, name = entry.space, entry.name
    lines = [f".. py:{directive}:: {space}.{name}{signature(entry.value, name)}", ""]
    body = [*restructured(entry.doc), ""]
    for note in entry.differences:
        body += [".. admonition:: Differs from PyTorch", "", f"   {note_of(note)}", ""]
    if inspect.isclass(entry.value):
        body += methods(entry.value)
    return [*lines, *textwrap.indent("\n".join(body), "   ").split("\n"), ""]


def note_of(text):
    """A line of docs/differences.md as reStructuredText."""
    return prose(re.sub(r"`+", "``", text))


def methods(owner):
    """The lines about the public methods that a class itself defines and describes."""
    lines = []
    for name, value in vars(owner).items():
        function = getattr(value, "__func__", value)
        if name.startswith("_") or not inspect.isfunction(function) or not function.__doc__:
            continue
        lines += [f".. py:method:: {name}{signature(function, name)}", "   :no-index:", ""]
        text = "\n".join(restructured(inspect.cleandoc(function.__doc__)))
        lines += [*textwrap.indent(text, "   ").split("\n"), ""]
    return lines


def signature(value, name):
    """``(input, *, out=None)``; nothing for what is not called."""
    value = getattr(value, "__func__", value)
    if not callable(value):
        return ""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):
        return "(...)"
    written = name.endswith("_")  # in place, so with nowhere else to go
    kept = [p for n, p in found.parameters.items() if n != "self" and not (written and n == "out")]
    text = str(found.replace(parameters=kept, return_annotation=inspect.Signature.empty))
    return re.sub(r"<[^>]* at 0x\w+>", "...", text)


def restructured(doc):
    """The lines of a docstring as reStructuredText, its sections as fields."""
    parts, code = [], False
    doc = re.sub(r"(?<=\S)\n(?=(Args|Attributes|Raises|Source):)", "\n\n", doc)
    for part in doc.split("\n\n"):
        if part.lstrip().startswith(">>>") or (code and part.startswith(" ")):
            parts.append(part)
            continue
        code = part.endswith("::")
        label = re.match(r"(Shape|Source|Units|Note): ", part)
        if label:  # what follows on indented lines is the same paragraph
            text = " ".join(part[label.end() :].split())
            parts.append(f"**{label[1]}.** {prose(text)}")
        else:
            parts.append(prose(part))
    return str(GoogleDocstring("\n\n".join(parts), NAPOLEON)).split("\n")


def prose(text):
    """``text`` in which stars, bars and trailing underscores are themselves; literals stay."""
    parts = re.split(r"(``.+?``)", text, flags=re.DOTALL)
    parts[::2] = [re.sub(r"([*|`]|(?<=\w)_(?!\w))", r"\\\1", part) for part in parts[::2]]
    for i in range(2, len(parts), 2):
        if parts[i][:1].isalnum():
            parts[i] = "\\ " + parts[i]  # a literal must end at a break; this one is not shown
    return "".join(parts)


def index(counts, further):
    """The lines of the page that lists the namespaces."""
    lines = [
        *heading("Reference", "="),
        "Names, arguments and defaults are PyTorch's: ``import rushlight as torch``. "
        f"On each page {MARKS['exists']} marks a name that exists and {MARKS['differs']} one that "
        "exists and differs on purpose; what is missing is listed.",
        "",
        ".. list-table::",
        "   :header-rows: 1",
        "   :widths: auto",
        "",
        "   * - namespace",
        "     - exist",
        "     - of",
    ]
    for space, (have, total) in counts.items():
        shown = f":doc:`{space} <{space}>`" if have else f"``{space}``"
        lines += [f"   * - {shown}", f"     - {have}", f"     - {total}"]
    others = ", ".join(f":doc:`{space} <{space}>`" for space in further)
    lines += ["", f"Without such a count: {others}.", "", ".. toctree::", "   :hidden:", ""]
    pages = [space for space, (have, _) in counts.items() if have] + further
    return lines + [f"   {space} <{space}>" for space in pages]


if __name__ == "__main__":
    write(Path("docs/generated/reference"))
