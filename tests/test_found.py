"""Faults that random searches found, a line each (found.txt): a script, and what PyTorch gives."""

import ast
import builtins
import importlib
import re
import warnings
from pathlib import Path

import pytest

import rushlight


def _lines():
    text = Path(__file__).with_name("found.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and line[0] != "#"]
    return dict([line.split(" => ") for line in lines])


LINES = _lines()
#: A class that notes the names of the functions that are called with its tensors.
NOTING = """
class Noting(t.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        names.append(func.__name__)
        return super().__torch_function__(func, types, args, kwargs or {})

def raises(call):
    try:
        call()
    except Exception as error:
        return True
    return False
"""


class _Importing(ast.NodeTransformer):
    """Turns imports of torch into imports of the framework that runs the script."""

    def __init__(self, name):
        self.name = name

    def _renamed(self, module):
        return re.sub(r"^torch\b", self.name, module)

    def visit_Import(self, node):
        return ast.Import([ast.alias(self._renamed(a.name), a.asname) for a in node.names])

    def visit_ImportFrom(self, node):
        return ast.ImportFrom(self._renamed(node.module), node.names, node.level)


def outcome(script, t):
    """The text of the last expression's value; or the built-in type of the error it raises."""
    names = {"t": t, "F": t.nn.functional, "names": [], "torch": t}
    tree = _Importing(t.__name__).visit(ast.parse(script))
    *before, last = ast.fix_missing_locations(tree).body
    exec(NOTING, names)
    try:
        exec(compile(ast.Module(before, []), script, "exec"), names)
        found = eval(compile(ast.Expression(last.value), script, "eval"), names)
    except Exception as error:
        kinds = [k.__name__ for k in type(error).__mro__ if hasattr(builtins, k.__name__)]
        return f"raises {kinds[0]}"
    return str(found).replace("rushlight", "torch").replace("\n", "")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("script", LINES)
def test_found(script):
    wanted, found = LINES[script], outcome(script, rushlight)
    assert found == wanted or (wanted == "raises RuntimeError" and found in _RUNTIME)


#: Errors that are RuntimeErrors.
_RUNTIME = {"raises NotImplementedError"}


@pytest.mark.parity
@pytest.mark.parametrize("script", LINES)
def test_found_by_pytorch(script):
    """On two threads: on one, PyTorch refuses transposed convolutions with empty results."""
    torch = pytest.importorskip("torch")
    importlib.import_module("torch.nn.utils.parametrize")
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert outcome(script, torch) == LINES[script]
    finally:
        torch.set_num_threads(threads)
