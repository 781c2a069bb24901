"""Every public name of the core and of the layers says what it is, with an example that runs."""

import doctest
import inspect
import sys

import pytest

import rushlight
from tests.test_house import ROOT

sys.path.insert(0, str(ROOT / "tools"))
try:
    import coverage_page
finally:
    sys.path.pop(0)

#: Of torch.nn, what is no layer or takes what its parts do.
SHAPELESS = {
    "Buffer", "DataParallel", "Module", "ModuleDict", "ModuleList", "Parameter", "ParameterDict",
    "ParameterList", "RNNBase", "Sequential", "UninitializedBuffer", "UninitializedParameter",
}  # fmt: skip
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
#: Kinds of docs/surface.tsv that have a docstring of their own.
DESCRIBED = ("class", "function", "method", "attribute")


def names():
    """(dotted name, the object) of the rows that exist."""
    for space, name, kind, area in coverage_page.rows():
        home = coverage_page.namespace(space) if area in ("first", "layers") else None
        if kind in DESCRIBED and hasattr(home, name):
            look = inspect.getattr_static if inspect.isclass(home) else getattr
            yield f"{space}.{name}", look(home, name)


NAMES = dict(names())


def described_by(name, value):
    """The docstring; that of ``x`` for the in-place ``x_`` and for a deprecated ``x``."""
    doc = inspect.cleandoc(value.__doc__ or "")
    if doc.startswith("In-place version of"):
        short = name.rstrip("_")
        value = NAMES.get(short) or getattr(rushlight.Tensor, short.rpartition(".")[2])
    elif doc.startswith("The deprecated name of"):
        value = NAMES[name + "_"]
    return value.__doc__ or ""


def test_every_name_has_a_docstring_with_an_example():
    bare = [name for name, value in NAMES.items() if ">>>" not in described_by(name, value)]
    assert bare == []


def test_every_layer_says_what_shapes_it_takes():
    bare = [
        name
        for name, value in NAMES.items()
        if name.rpartition(".")[0] in ("torch.nn", "torch.nn.functional")
        and name.rpartition(".")[2] not in SHAPELESS
        and not any(word in described_by(name, value) for word in ("Shape:", "→"))
    ]
    assert bare == []


@pytest.mark.parametrize("space", sorted({name.rpartition(".")[0] for name in NAMES}))
def test_the_examples_run(space):
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    said = []
    for name, value in NAMES.items():
        if name.rpartition(".")[0] == space and value.__doc__:
            test = doctest.DocTestParser().get_doctest(value.__doc__, {}, name, None, 0)
            runner.run(test, out=said.append)
    assert said == []
