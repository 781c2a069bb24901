"""``rushlight check``: list the torch names that a program uses and rushlight lacks.

The program's files are parsed, not run. A file's imports tell which of its names stand for which
names of PyTorch. Every chain of attributes that begins with such a name is looked up in rushlight.
"""

import ast
import contextlib
import errno
import importlib
import io
import os
import stat
import sys
import tokenize
import warnings
from pathlib import Path
from typing import NamedTuple

from rushlight.programs.notebook import cells
from rushlight.programs.places import INTERNAL, family, locate

__all__ = ["Missing", "check", "missing", "missing_in"]

BAD_USE = 2


class Missing(NamedTuple):
    """A name of PyTorch that rushlight lacks, and the file and line that use the name."""

    file: str
    line: int
    name: str

    def __str__(self):
        return f"{self.file}:{self.line}: {self.name}"


def check(targets):
    """Print the torch names that scripts and folders use and rushlight lacks.

    Returns the exit code: 0 if no name is missing, 1 if some are, 2 if a file cannot be read. Each
    file that cannot be read is reported in one line.
    """
    complaints: list[str] = []
    found, count = [], 0
    for target in map(Path, targets):
        for file in _files(target, complaints):
            try:
                found += missing(file)
                count += 1
            except (OSError, *NOT_PYTHON) as error:
                complaints.append(f"{file}: {_reason(error)}")
    for line in complaints:
        print(f"rushlight check: {_one_line(line)}", file=sys.stderr)
    for entry in found:
        print(_one_line(entry))
    names = len({entry.name for entry in found})
    read = f"{count} file{'s' * (count != 1)} read"
    if found:
        print(f"{read}: {names} name{'s' * (names != 1)} of torch missing (docs/coverage.md)")
    elif count or not complaints:
        print(f"{read}: rushlight has every torch name used")
    return BAD_USE if complaints else int(bool(found))


def missing_in(folders):
    """Return the ``Missing`` entries of all files in folders that can be read and are Python."""
    found = []
    for file in (file for folder in folders for file in _files(folder, [])):
        with contextlib.suppress(OSError, *NOT_PYTHON):
            found += missing(file)
    return found


#: The errors of parsing a file that is not Python, or is nested too deeply.
NOT_PYTHON = (SyntaxError, ValueError, LookupError, RecursionError, MemoryError)


def _files(target, complaints):
    """Return the programs and notebooks in the folder ``target``, or ``[target]`` for a file."""
    if not target.is_dir():
        return [target]
    files = []
    for folder, _, names in os.walk(target, onerror=lambda e: complaints.append(_named(e))):
        if Path(folder).name != ".ipynb_checkpoints":
            files += [Path(folder, name) for name in names if name.endswith((".py", ".ipynb"))]
    return sorted(files)


def _named(error):
    return f"{error.filename}: {error.strerror}"


def _reason(error):
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) or type(error).__name__


def _one_line(text):
    """Escape unprintable characters, because a file's name may hold any character."""
    return "".join(
        [c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)]
    )


def missing(file):
    """Return the ``Missing`` entries of one file, in the order of its lines.

    Raises:
        OSError: the file cannot be read, or is no regular file. (A pipe could block its reader.)
        SyntaxError, ValueError, LookupError, RecursionError, MemoryError: the file is not Python.
    """
    source = _source(file)
    with warnings.catch_warnings():  # the parser warns about escapes in the program's strings
        warnings.simplefilter("ignore")
        if Path(file).suffix == ".ipynb":
            places = [(f"{file}:cell {number}", tree) for number, tree in cells(source)]
        else:
            places = [(str(file), ast.parse(source, str(file)))]
    reader, ends = Reader(), [0]
    for _, tree in places:
        reader.visit(tree)
        ends.append(len(reader.used))
    found = []
    for (place, _), start, end in zip(places, ends, ends[1:], strict=False):
        uses = reader.used[start:end]
        lines = {(node.lineno, name) for name, node in uses if reader.lacks(name)}
        found += [Missing(place, line, name) for line, name in sorted(lines)]
    return found


def _source(file):
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a file")
        encoding, _ = tokenize.detect_encoding(stream.readline)
        stream.seek(0)
        with io.TextIOWrapper(stream, encoding) as text:
            return text.read()


class Reader(ast.NodeVisitor):
    """Collects the dotted torch names in a tree.

    Attributes:
        used: (dotted name, node) for each use.
        known: Dotted names that the program assigns, or whose presence it asks for.
    """

    def __init__(self):
        self.used = []
        self.known = set()
        #: From a name in scope to the dotted torch name that it stands for, or None.
        self._scopes: list[dict] = [{}]

    def visit_Import(self, node):
        for entry in node.names:
            if _of_torch(entry.name):
                self.used.append((entry.name, node))
                bound = entry.asname or entry.name.partition(".")[0]
                self._scopes[-1][bound] = entry.name if entry.asname else bound

    def visit_ImportFrom(self, node):
        if node.level or not _of_torch(node.module or ""):
            return
        for entry in node.names:
            if entry.name == "*":
                self._star(node)
                continue
            name = f"{node.module}.{entry.name}"
            self.used.append((name, node))
            self._scopes[-1][entry.asname or entry.name] = name

    def _star(self, node):
        self.used.append((node.module, node))
        place = locate(node.module)
        if place is not None:
            module = _module(place)
            names = getattr(module, "__all__", dir(module))
            self._scopes[-1].update({name: f"{node.module}.{name}" for name in names})

    def visit_FunctionDef(self, node):
        """Visit a function's scope, in which parameters and assigned names hide outer names."""
        for part in (*getattr(node, "decorator_list", ()), node.args):
            self.visit(part)
        body = node.body if isinstance(node.body, list) else [node.body]
        hidden = {arg.arg: None for arg in ast.walk(node.args) if isinstance(arg, ast.arg)}
        for part in ast.walk(ast.Module(body, [])):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                hidden[part.id] = None
        self._scopes.append(hidden)
        for part in body:
            self.visit(part)
        self._scopes.pop()

    visit_AsyncFunctionDef = visit_FunctionDef
    visit_Lambda = visit_FunctionDef

    def visit_Try(self, node):
        """Ignore names inside ``try`` … ``except ImportError``: the program can do without them."""
        before = len(self.used)
        for part in node.body:
            self.visit(part)
        if any(_catches(handler) for handler in node.handlers):
            del self.used[before:]
        for part in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(part)

    def visit_Attribute(self, node):
        name = self._dotted(node)
        if name is None:
            self.generic_visit(node)
        elif isinstance(node.ctx, ast.Load):
            self.used.append((name, node))
        else:
            self.known.add(name)

    def visit_Call(self, node):
        """Note the names in ``hasattr(torch, "name")`` and ``setattr(torch, "name", value)``."""
        asks = isinstance(node.func, ast.Name) and node.func.id in ("hasattr", "setattr")
        if asks and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
            owner = self._dotted(node.args[0])
            if owner is not None:
                self.known.add(f"{owner}.{node.args[1].value!s}")
        self.generic_visit(node)

    def lacks(self, name):
        """True if the program needs PyTorch's dotted ``name`` and rushlight does not have it."""
        if any(f"{name}.".startswith(f"{known}.") for known in self.known):
            return False
        # The operators in torch.ops are known when a program runs: it may define some itself.
        if name.startswith("torch.ops."):
            return False
        return not _exists(name)

    def visit_Name(self, node):
        self._dotted(node)

    def _dotted(self, node):
        """Return the torch name that a chain of attributes stands for, or None."""
        if isinstance(node, ast.Attribute):
            base = self._dotted(node.value)
            return None if base is None else f"{base}.{node.attr}"
        if not isinstance(node, ast.Name):
            return None
        for scope in reversed(self._scopes):
            if node.id in scope:
                return scope[node.id]
        return None


def _of_torch(name):
    return name.partition(".")[0] in ("torch", "torchvision")


_LACKING = {"ImportError", "ModuleNotFoundError", "AttributeError", "Exception", "BaseException"}


def _catches(handler):
    if handler.type is None:
        return True
    return any(isinstance(n, ast.Name) and n.id in _LACKING for n in ast.walk(handler.type))


def _exists(name):
    """True if rushlight has PyTorch's dotted ``name``."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        path = ".".join(parts[:cut])
        place = locate(path)
        if place is not None:
            module = _module(place)
            return module is None or _has(path, module, parts[cut:])
    return False


def _module(place):
    """Import rushlight's module ``place``; None if a package that it needs is not installed."""
    try:
        return importlib.import_module(place)
    except ImportError:
        return None


def _has(path, value, attributes):
    for i, name in enumerate(attributes):
        if path == "torch" and i == 0 and name in INTERNAL:
            return False
        package = family(path) if i == 0 else None
        try:
            if not hasattr(value, name) and package is not None and package != "torch":
                value = importlib.import_module(locate(package))
            if not hasattr(value, name):
                return False
            value = getattr(value, name)
        except ImportError:
            return True  # a module of this name, which needs a package that is not installed
        if not isinstance(value, type | type(importlib)):
            return True  # the attributes of a value are only known when the program runs
    return True
